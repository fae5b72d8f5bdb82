"""Log lines of all parts."""

import json
import logging
from pathlib import Path

import pytest

from videofleet_api.logs import JsonFormatter
from videofleet_operator.logs import FOREIGN


def formatted(message: str, *args: object, error: BaseException | None = None, **extra: object) -> dict[str, object]:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.getLogger("test").makeRecord("test", logging.WARNING, "f", 1, message, args, info, extra=extra)
    line = JsonFormatter(foreign=FOREIGN).format(record)
    assert "\n" not in line
    return dict(json.loads(line))


def test_a_line_is_json_with_what_was_given() -> None:
    line = formatted("phase of %s", "camera", epoch=3, worker=None, folder=Path("/archive"))
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "test", "phase of camera")
    assert (line["epoch"], line["worker"], line["folder"]) == (3, None, "/archive")
    assert str(line["time"]).endswith("+00:00")


def test_credentials_are_taken_out_of_messages_and_fields() -> None:
    url = "rtsp://viewer:secret@camera.example/1?token=abc"
    line = formatted("cannot open %s", url, source=url)
    assert line["message"] == "cannot open rtsp://camera.example/1?token=***"
    assert line["source"] == "rtsp://camera.example/1?token=***"


def test_an_exception_is_one_field_without_credentials() -> None:
    with pytest.raises(ValueError, match="cannot open") as caught:
        raise ValueError("cannot open rtsp://viewer:secret@camera.example/1")
    line = formatted("failed", error=caught.value)
    assert "Traceback" in str(line["exception"])
    assert "ValueError: cannot open rtsp://camera.example/1" in str(line["exception"])
    assert "secret" not in json.dumps(line)


def test_kopfs_own_fields_stay_out() -> None:
    assert "k8s_ref" not in formatted("x", k8s_ref={"name": "y"}, settings=object())


def test_nothing_stands_between_the_parts_of_a_line() -> None:
    """So that it can be searched as it is written."""
    record = logging.getLogger("test").makeRecord("test", logging.ERROR, "f", 1, "x", (), None)
    assert '"level":"ERROR","logger":"test","message":"x"' in JsonFormatter().format(record)


def test_what_has_parts_keeps_them() -> None:
    line = formatted("ready", models=["a", "b"], ports={"api": 1}, source=["rtsp://viewer:secret@camera.example/1"])
    assert (line["models"], line["ports"]) == (["a", "b"], {"api": 1})
    assert line["source"] == ["rtsp://camera.example/1"]


@pytest.mark.parametrize("value", [{"a": {1: 2}}, {1, 2}, object(), 2**70, float("nan"), "\ud800"])
def test_whatever_is_logged_a_line_comes_out(value: object) -> None:
    assert formatted("odd", value=value)["message"] == "odd"
