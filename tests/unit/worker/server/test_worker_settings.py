"""Settings, logs, readiness."""

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import REPOSITORY
from videofleet_api.environment import ConfigError
from videofleet_api.logs import JsonFormatter
from videofleet_worker.config import load_settings
from videofleet_worker.logs import Secrets, leave_word


def test_defaults_need_no_environment() -> None:
    settings = load_settings({})
    assert (settings.archive, settings.tls_dir, settings.capacity) == ("/archive", Path("/tls"), 1)
    assert (settings.execution_provider, settings.api_port, settings.plain_port) == ("auto", 8443, 8080)


def test_every_variable_is_taken_and_an_empty_one_counts_as_absent() -> None:
    settings = load_settings(
        {
            "VIDEOFLEET_WORKER_ID": "w",
            "VIDEOFLEET_CAPACITY": "12",
            "VIDEOFLEET_EXECUTION_PROVIDER": "cuda",
            "VIDEOFLEET_MODELS": "/models/a:/models/b",
            "VIDEOFLEET_LOG_LEVEL": "debug",
            "VIDEOFLEET_ARCHIVE": "",
            "VIDEOFLEET_SOURCE_POLICY": '{"schemes": ["rtsp"]}',
            "VIDEOFLEET_OUTPUT_POLICY": '{"deniedCidrs": ["10.0.0.0/8"]}',
        }
    )
    assert settings.source_policy.schemes == ["rtsp"]
    assert settings.output_policy.denied_cidrs == ["10.0.0.0/8"]
    assert (settings.worker_id, settings.capacity, settings.execution_provider) == ("w", 12, "cuda")
    assert settings.models == (Path("/models/a"), Path("/models/b"))
    assert (settings.log_level, settings.archive) == ("DEBUG", "/archive")


def test_an_archive_may_be_a_bucket() -> None:
    settings = load_settings(
        {
            "VIDEOFLEET_ARCHIVE": "s3://results/site",
            "VIDEOFLEET_ARCHIVE_ENDPOINT": "https://store:9000",
            "VIDEOFLEET_ARCHIVE_REGION": "eu-west-1",
            "VIDEOFLEET_ARCHIVE_CREDENTIALS": "/secret",
        }
    )
    assert (settings.archive, settings.archive_endpoint) == ("s3://results/site", "https://store:9000")
    assert (settings.archive_region, settings.archive_credentials) == ("eu-west-1", Path("/secret"))


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings({"VIDEOFLEET_CAPACITY": "0", "VIDEOFLEET_LOG_LEVEL": "loud"})
    for word in ("VIDEOFLEET_CAPACITY", "'0'", "VIDEOFLEET_LOG_LEVEL", "loud"):
        assert word in str(refused.value)


@pytest.fixture
def secrets() -> Secrets:
    secrets = Secrets()
    secrets.remember("a-job", ("someone", "pa55/word", None))
    return secrets


def _logged(secrets: Secrets, message: str, *values: object, **fields: object) -> dict[str, object]:
    stream = io.StringIO()
    logger = logging.Logger("a.logger")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(secrets.redact))
    logger.addHandler(handler)
    try:
        raise ValueError("no way to rtsp://someone:pa55/word@host/cam")
    except ValueError:
        logger.exception(message, *values, extra=fields)
    (line,) = stream.getvalue().splitlines()
    record: dict[str, object] = json.loads(line)
    return record


def test_a_record_is_one_line_with_its_fields(secrets: Secrets) -> None:
    record = _logged(secrets, "took %d", 3, uid="u", epoch=2)
    assert (record["level"], record["logger"], record["message"]) == ("ERROR", "a.logger", "took 3")
    assert (record["uid"], record["epoch"]) == ("u", 2)
    assert str(record["time"]).endswith("+00:00")
    assert "ValueError" in str(record["exception"])


def test_credentials_stay_hidden_while_something_of_a_job_that_has_gone_needs_them(secrets: Secrets) -> None:
    secrets.need("a-job")
    secrets.need("a-job")
    secrets.forget("a-job")
    secrets.need_no_more("a-job")
    assert "pa55/word" not in secrets.redact("it is pa55/word")
    secrets.need_no_more("a-job")
    assert "pa55/word" in secrets.redact("it is pa55/word")
    # One that needs them beyond an epoch does not keep them from the next one.
    secrets.remember("a-job", ["other"])
    secrets.need("a-job")
    secrets.forget("a-job")
    secrets.remember("a-job", ["another"])
    secrets.need_no_more("a-job")
    assert "another" not in secrets.redact("it is another")


def test_no_part_of_a_record_holds_credentials(secrets: Secrets) -> None:
    record = _logged(secrets, "open %s", "http://host/a?token=t0ps", address="rtsp://someone:pa55%2Fword@host/cam")
    text = json.dumps(record)
    for secret in ("someone", "pa55/word", "pa55%2Fword", "t0ps"):
        assert secret not in text
    assert "host/cam" in text


def test_nothing_is_told_about_the_models_to_anybody(tmp_path: Path) -> None:
    # The runtime's reporting begins with an identifier in the home folder.
    paths = os.pathsep.join(str(REPOSITORY / part) for part in ("api", "archive", "worker"))
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", "import videofleet_worker.inference"], env=environment, check=True)
    assert list(tmp_path.rglob("*")) == []


def test_credentials_are_forgotten_with_their_job(secrets: Secrets) -> None:
    secrets.forget("a-job")
    assert secrets.redact("someone") == "someone"


def test_why_it_ends_is_left_where_kubernetes_reads_it_and_nowhere_else(tmp_path: Path) -> None:
    there, absent = tmp_path / "termination-log", tmp_path / "absent"
    there.touch()
    leave_word("cannot start: no model", there)
    leave_word("cannot start: no model", absent)
    assert there.read_text() == "cannot start: no model"
    assert not absent.exists()


def test_a_name_that_is_no_text_changes_nothing_about_how_it_ends(tmp_path: Path) -> None:
    there = tmp_path / "termination-log"
    there.touch()
    leave_word(f"cannot start: no model in {os.fsdecode(bytes([0xFF]))}", there)
    assert there.read_text() == "cannot start: no model in ?"
