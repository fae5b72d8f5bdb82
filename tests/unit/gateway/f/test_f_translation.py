"""F's job and VideoJob's spec, one from the other."""

from typing import Any

import orjson
import pytest

from videofleet_api.videojob import VideoJobSpec
from videofleet_gateway.dialects.f.settings import DEFAULTS
from videofleet_gateway.dialects.f.translation import (
    Names,
    Secrets,
    headers_secret,
    merge_patch,
    read,
    written,
)
from videofleet_gateway.dialects.f.wanted import Wanted, changed, created, edit
from videofleet_gateway.jobs.secrets import source_secret
from videofleet_gateway.jobs.urls import UrlPolicy

URL = "rtsp://cam.example/1"
ROUTER = "http://router.example/v0/frame"
EMPTY: dict[str, Any] = {"analytics": [{"steps": [{"model": "detect"}, {"model": "track"}]}]}


def job(**body: Any) -> Wanted:
    return created(edit({"stream_url": URL, **body}), {})


def spec(wanted: Wanted, names: Names | None = None, base: dict[str, Any] | None = None) -> dict[str, Any]:
    address = UrlPolicy().source(wanted.stream_url)
    return written(base or EMPTY, wanted, address, names or Names())


def parsed(raw: dict[str, Any]) -> VideoJobSpec:
    return VideoJobSpec.model_validate(raw)


@pytest.mark.acceptance("F11", "F12", "F16", "X3")
def test_a_plain_job_is_a_plain_spec() -> None:
    assert spec(job()) == {**EMPTY, "source": {"url": URL}}
    assert spec(job(enabled=False, single_pass=True, labels={"district": "SVAO"})) == {
        **EMPTY,
        "source": {"url": URL},
        "enabled": False,
        "singlePass": True,
        "labels": {"district": "SVAO"},
    }


@pytest.mark.acceptance("F13", "F14", "F15", "F37", "F38", "F39", "F85")
def test_the_router_and_what_is_said_of_it() -> None:
    said = {
        "router_timeout_ms": 2500,
        "router_verify_ssl": False,
        "router_headers": ["Authorization = Token abc"],
        "router_body": ["camera = north"],
        "ffmpeg_params": ["rtsp_transport=tcp"],
    }
    wanted = job(router_url=ROUTER, router_events_url=f"{ROUTER}/events", stream_settings=said)
    raw = spec(wanted, Names(headers="job-headers"))
    assert raw["outputs"]["router"] == {
        "url": ROUTER,
        "eventsUrl": f"{ROUTER}/events",
        "timeout": 2.5,
        "verifyTls": False,
        "headersSecretRef": {"name": "job-headers"},
        "body": {"camera": "north"},
    }
    assert raw["source"]["transport"] == "tcp"
    assert headers_secret(wanted) == {"Authorization": "Token abc"}
    assert b"abc" not in orjson.dumps(raw)
    again = read(parsed(raw), Secrets(headers={"Authorization": "Token abc"}))
    assert again == wanted


@pytest.mark.acceptance("F94")
def test_what_has_no_effect_is_kept_and_shown_again() -> None:
    wanted = job(
        stream_settings={"roi": "100x200+0+0", "disable_drops": True, "detectors": {"face": {"min": 1.5}}},
        stream_settings_gpu={"filter_min_quality": -2},
    )
    raw = spec(wanted)
    assert set(raw["streamSettings"]["extra"]) == {"roi", "disable_drops", "detectors", "stream_settings_gpu"}
    assert read(parsed(raw), Secrets()) == wanted


@pytest.mark.acceptance("F15")
def test_a_router_of_events_alone() -> None:
    said = {"router_timeout_ms": 2500, "router_headers": ["Authorization = Token abc"]}
    wanted = job(router_events_url=ROUTER, stream_settings=said)
    raw = spec(wanted, Names(headers="secret-1"))
    router = {"eventsUrl": ROUTER, "timeout": 2.5, "verifyTls": True, "headersSecretRef": {"name": "secret-1"}}
    assert raw["outputs"]["router"] == router
    again = read(parsed(raw), Secrets(headers={"Authorization": "Token abc"}))
    assert (again.router_url, again.router_events_url) == ("", ROUTER)
    assert again.stream_settings == wanted.stream_settings


@pytest.mark.acceptance("F34")
@pytest.mark.parametrize(("given", "sampling"), [(2, {"speed": 2}), (0.5, {"speed": 0.5}), (-1, None), (-2, None)])
def test_the_speed_of_what_is_recorded(given: float, sampling: dict[str, float] | None) -> None:
    wanted = job(stream_settings={"play_speed": given})
    raw = spec(wanted)
    assert raw.get("sampling") == sampling
    assert repr(read(parsed(raw), Secrets()).stream_settings["play_speed"]) == repr(given)
    theirs = spec(wanted, base={**EMPTY, "sampling": {"mode": "keyframe"}})
    assert theirs["sampling"] == {"mode": "keyframe", **(sampling or {})}
    taken_back = changed(read(parsed(theirs), Secrets()), edit({"stream_settings": {"play_speed": None}}), {})
    assert written(theirs, taken_back, None, Names())["sampling"] == {"mode": "keyframe"}


@pytest.mark.acceptance("F42")
def test_what_is_said_of_a_router_waits_for_one() -> None:
    alone = job(stream_settings={"router_timeout_ms": 500, "router_body": ["a = b"]})
    raw = spec(alone)
    assert "outputs" not in raw
    assert read(parsed(raw), Secrets()) == alone
    with_router = changed(alone, edit({"router_url": ROUTER}), {})
    later = written(raw, with_router, None, Names())
    assert (later["outputs"]["router"]["timeout"], later["outputs"]["router"]["body"]) == (0.5, {"a": "b"})
    assert "streamSettings" not in later


@pytest.mark.acceptance("X7")
def test_a_password_is_in_the_secret_alone_and_read_as_posted() -> None:
    posted = "rtsp://admin:p%40ss@cam.example/1"
    wanted = job(stream_url=posted)
    kept = source_secret(posted, UrlPolicy().source(posted))
    raw = spec(wanted, Names(source="job-source"))
    assert kept == {"posted": posted, "username": "admin", "password": "p@ss"}
    assert raw["source"] == {"url": "rtsp://cam.example/1", "credentialsSecretRef": {"name": "job-source"}}
    assert read(parsed(raw), Secrets(posted=posted)).stream_url == posted
    assert read(parsed(raw), Secrets()).stream_url == "rtsp://cam.example/1"


@pytest.mark.acceptance("X7")
def test_a_signed_address_stands_in_the_secret_whole() -> None:
    posted = "https://user:pass@bucket.example/clip.mp4?X-Amz-Signature=abc"
    kept = source_secret(posted, UrlPolicy().source(posted))
    raw = spec(job(stream_url=posted), Names(source="s"))
    bare = "https://bucket.example/clip.mp4?X-Amz-Signature=abc"
    assert kept == {"posted": posted, "url": bare, "username": "user", "password": "pass"}
    assert raw["source"] == {"urlSecretRef": {"name": "s", "key": "url"}, "credentialsSecretRef": {"name": "s"}}
    assert read(parsed(raw), Secrets()).stream_url == ""


def test_a_plain_address_needs_no_secret() -> None:
    assert source_secret(URL, UrlPolicy().source(URL)) is None
    assert headers_secret(job(router_url=ROUTER)) is None


@pytest.mark.acceptance("F6")
def test_of_a_spec_that_others_wrote_only_what_f_has_words_for_is_touched() -> None:
    raw: dict[str, Any] = {
        "source": {"url": URL, "rotation": "90", "kind": "live"},
        "analytics": [{"name": "main", "steps": [{"model": "detect"}, {"model": "track"}]}],
        "zones": [{"name": "door", "polygon": [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 1, "y": 1}]}],
        "outputs": {"archive": {"enabled": False}, "router": {"url": ROUTER, "headersSecretRef": {"name": "theirs"}}},
        "priority": 5,
        "labels": {"a": "1", "b": "2"},
    }
    wanted = read(parsed(raw), Secrets())
    after = changed(wanted, edit({"labels": {"b": "3"}, "stream_settings": {"router_timeout_ms": 1000}}), {})
    assert merge_patch(raw, written(raw, after, None, Names())) == {
        "labels": {"a": None, "b": "3"},
        "outputs": {"router": {"timeout": 1.0, "verifyTls": True}},
    }


@pytest.mark.acceptance("F90")
def test_nothing_given_writes_nothing() -> None:
    raw = spec(job(router_url=ROUTER, labels={"a": "b"}, stream_settings={"roi": "1x1+0+0"}))
    same = changed(read(parsed(raw), Secrets()), edit({}), {})
    assert merge_patch(raw, written(raw, same, None, Names())) == {}


@pytest.mark.acceptance("F6")
def test_another_address_takes_the_place_of_what_led_to_the_source() -> None:
    raw = {**EMPTY, "source": {"images": ["https://h.example/1.jpg"], "rotation": "90"}}
    wanted = changed(read(parsed(raw), Secrets()), edit({"stream_url": URL}), {})
    after = written(raw, wanted, UrlPolicy().source(URL), Names())
    assert after["source"] == {"url": URL, "rotation": "90"}
    assert merge_patch(raw, after) == {"source": {"images": None, "url": URL}}


@pytest.mark.acceptance("F6", "F14")
def test_a_router_is_taken_away_with_an_empty_address() -> None:
    raw = spec(job(router_url=ROUTER))
    after = changed(read(parsed(raw), Secrets()), edit({"router_url": ""}), {})
    assert merge_patch(raw, written(raw, after, None, Names())) == {"outputs": None}


@pytest.mark.acceptance("X1")
def test_a_job_of_others_has_every_setting() -> None:
    found = read(parsed({**EMPTY, "source": {"url": "https://h.example/v?token=abc"}}), Secrets())
    assert found.stream_url == "https://h.example/v?token=***"
    assert found.stream_settings == DEFAULTS
    hidden = {"url": ROUTER, "headersSecretRef": {"name": "theirs"}}
    found = read(parsed({**EMPTY, "source": {"url": URL}, "outputs": {"router": hidden}}), Secrets())
    assert found.stream_settings["router_headers"] == ["*** = ***"]
