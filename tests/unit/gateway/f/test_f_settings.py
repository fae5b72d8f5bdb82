"""stream_settings: defaults, the video-manager's file, the job; and which of them do something."""

from pathlib import Path
from typing import Any

import pytest

from videofleet_gateway.dialects.f import settings
from videofleet_gateway.dialects.f.settings import DEFAULTS, SettingsError
from videofleet_gateway.dialects.f.wanted import Edit, Wanted, changed, created, edit
from videofleet_gateway.errors import Failure, GatewayError

URL = "rtsp://cam.example/1"


def job(body: dict[str, Any] | None = None, file: dict[str, Any] | None = None) -> Wanted:
    return created(edit({"stream_url": URL, **(body or {})}), file or {})


@pytest.mark.acceptance("F34", "F35", "F36", "F37", "F38", "F39", "F40", "F42")
def test_settings_that_nobody_names_are_those_of_the_service() -> None:
    assert job().stream_settings == {
        "play_speed": -1,
        "disable_drops": False,
        "imotion_threshold": 0,
        "router_timeout_ms": 15000,
        "router_verify_ssl": True,
        "router_headers": [],
        "router_body": [],
        "ffmpeg_params": [],
        "ffmpeg_format": "",
    }


@pytest.mark.acceptance("F17", "F41")
def test_a_key_of_the_job_wins_over_the_file_and_that_over_the_service() -> None:
    file = {"router_timeout_ms": 2000, "router_verify_ssl": False}
    found = job({"stream_settings": {"router_timeout_ms": 500}}, file).stream_settings
    assert (found["router_timeout_ms"], found["router_verify_ssl"], found["play_speed"]) == (500, False, -1)


@pytest.mark.acceptance("F41")
def test_a_key_that_is_taken_back_falls_to_the_file() -> None:
    file = {"router_timeout_ms": 2000}
    before = job({"stream_settings": {"router_timeout_ms": 500}}, file)
    after = changed(before, edit({"stream_settings": {"router_timeout_ms": None}}), file)
    assert after.stream_settings["router_timeout_ms"] == 2000


@pytest.mark.acceptance("F6", "F41")
def test_a_change_of_one_key_leaves_the_others() -> None:
    before = job({"stream_settings": {"router_timeout_ms": 500, "router_verify_ssl": False}})
    after = changed(before, edit({"stream_settings": {"router_timeout_ms": 700}}), {})
    assert after.stream_settings == {**DEFAULTS, "router_timeout_ms": 700, "router_verify_ssl": False}


@pytest.mark.acceptance("F18", "A9")
def test_the_deprecated_settings_lie_under_the_others() -> None:
    gpu = {"router_timeout_ms": 300, "play_speed": 2, "filter_min_quality": -2}
    found = job({"stream_settings": {"router_timeout_ms": 500}, "stream_settings_gpu": gpu})
    assert (found.stream_settings["router_timeout_ms"], found.stream_settings["play_speed"]) == (500, 2)
    assert found.stream_settings_gpu == gpu
    assert "filter_min_quality" not in found.stream_settings
    later = changed(found, edit({"stream_settings_gpu": {"play_speed": 3}}), {})
    assert (later.stream_settings["router_timeout_ms"], later.stream_settings["play_speed"]) == (500, 3)


@pytest.mark.acceptance("F18", "F94")
def test_what_has_no_effect_is_warned_of() -> None:
    body = {
        "stream_settings": {"roi": "100x100+0+0", "play_speed": 2, "disable_drops": True, "router_timeout_ms": 1},
        "stream_settings_gpu": {"filter_min_quality": -2},
        "colour": "red",
        "status": "DISABLED",
    }
    warned = " | ".join(edit(body).warnings)
    assert all(word in warned for word in ("roi", "disable_drops", "stream_settings_gpu is deprecated", "colour"))
    assert not any(word in warned for word in ("play_speed", "router_timeout_ms", "status"))


@pytest.mark.acceptance("F94")
def test_unknown_keys_are_kept() -> None:
    detectors = {"face": {"filter_min_size": 40}}
    assert job({"stream_settings": {"detectors": detectors}}).stream_settings["detectors"] == detectors


@pytest.mark.acceptance("F40", "F75")
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("play_speed", "fast"),
        ("play_speed", 0.01),
        ("play_speed", 101),
        ("play_speed", True),
        ("disable_drops", 1),
        ("imotion_threshold", -1),
        ("router_timeout_ms", 0),
        ("router_timeout_ms", 300001),
        ("router_timeout_ms", 1.5),
        ("router_verify_ssl", "no"),
        ("router_body", ["nothing"]),
        ("router_headers", ["X-A: a\nX-B: b"]),
        ("router_headers", ["a b = c"]),
        ("ffmpeg_params", ["protocol_whitelist=file,http"]),
        ("ffmpeg_params", ["rtsp_transport=http"]),
        ("ffmpeg_params", "rtsp_transport=tcp"),
        ("ffmpeg_format", 3),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name(key: str, value: object) -> None:
    with pytest.raises(GatewayError) as refused:
        job({"stream_settings": {key: value}, "router_url": "http://router.example/"})
    assert (refused.value.failure, refused.value.param) == (Failure.INVALID, f"stream_settings.{key}")


@pytest.mark.acceptance("X7")
def test_refused_headers_are_not_told_again() -> None:
    with pytest.raises(GatewayError) as refused:
        job({"stream_settings": {"router_headers": ["Authorization: Bearer abc\n"]}})
    assert "abc" not in f"{refused.value.message} {refused.value.value}"


@pytest.mark.parametrize("sign", [" = ", "=", ": ", ":"])
def test_pairs_are_written_in_several_ways(sign: str) -> None:
    assert settings.pair(f"Authorization{sign}Bearer a=b:c") == ("Authorization", "Bearer a=b:c")


@pytest.mark.acceptance("F41")
def test_the_video_managers_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "video-manager.yaml"
    file.write_text("etcd: {}\nstream_settings:\n  router_timeout_ms: 2000\n  roi: null\n")
    assert settings.of_file(file) == {"router_timeout_ms": 2000}
    assert settings.of_file(None) == {}


@pytest.mark.parametrize("text", ["stream_settings: [1]", "stream_settings: {router_timeout_ms: soon}", "a: ["])
def test_a_file_that_is_wrong_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match="settings"):
        settings.of_file(file)


def test_headers_without_a_router_are_refused() -> None:
    with pytest.raises(GatewayError) as refused:
        job({"stream_settings": {"router_headers": ["X-A = b"]}})
    assert refused.value.param == "router_url"


def test_nothing_given_changes_nothing() -> None:
    before = job({"stream_settings": {"roi": "1x1+0+0"}, "labels": {"a": "b"}})
    assert changed(before, Edit({}), {}) == before
