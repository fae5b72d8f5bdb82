"""The job object, its errors and its ids."""

from typing import Any

import orjson
import pytest

from videofleet_api.phases import Phase
from videofleet_api.videojob import Statistics, Transition, VideoJobStatus, WorkerRef
from videofleet_gateway.dialects.f.documents import Links, job_document, statistic
from videofleet_gateway.dialects.f.errors import CODES, render
from videofleet_gateway.dialects.f.ids import id_of, in_path, segments
from videofleet_gateway.dialects.f.wanted import Wanted, created, edit
from videofleet_gateway.errors import HTTP_STATUS, Failure, GatewayError, invalid

P = Phase
START, FIRST, LAST = "2026-01-02T03:04:05.000006Z", "2026-01-02T03:04:06Z", "2026-01-02T03:04:16.5Z"
WORKER = WorkerRef(name="pool-0-1", pool="default/pool", id="0f6c1e", instance="abc")


def document(status: VideoJobStatus | None = None, links: Links | None = None, **body: Any) -> dict[str, Any]:
    wanted = created(edit({"stream_url": "rtsp://cam.example/1", **body}), {})
    return job_document("cam 1", 7, wanted, status or VideoJobStatus(), links or Links())


@pytest.mark.acceptance(
    "F10", "F11", "F12", "F13", "F14", "F15", "F16", "F18", "F19", "F20", "F21", "F29", "F30", "F31", "F32", "F33"
)
def test_every_attribute_is_in_every_answer() -> None:
    found = document()
    del found["stream_settings"], found["statistic"]
    assert found == {
        "id": "cam 1",
        "enabled": True,
        "stream_url": "rtsp://cam.example/1",
        "labels": {},
        "router_url": "",
        "router_events_url": "",
        "single_pass": False,
        "stream_settings_gpu": {},
        "status": "AWAITING",
        "status_msg": "",
        "restream_url": "",
        "restream_direct_url": "",
        "shots_url": "",
        "worker_id": "",
        "version": 7,
    }


@pytest.mark.acceptance("F19", "F43")
@pytest.mark.parametrize("phase", list(P))
def test_the_ten_statuses_are_those_of_the_videojob(phase: Phase) -> None:
    assert document(VideoJobStatus(phase=phase, message="why"))["status"] == phase.value
    assert document(VideoJobStatus(phase=phase, message="why"))["status_msg"] == "why"


@pytest.mark.acceptance("F32")
def test_the_worker_is_named_while_there_is_one() -> None:
    assert document(VideoJobStatus(phase=P.INPROGRESS, worker=WORKER))["worker_id"] == "0f6c1e"


@pytest.mark.acceptance("F21", "F22", "F23", "F24", "F25", "F26", "F27", "F28", "X11")
def test_statistics_of_a_job_that_runs() -> None:
    counted = Statistics(
        source_fps=25.0,
        processed_fps=5.0,
        decoded_frames=250,
        processed_frames=50,
        dropped_frames={"stale": 3, "decode": 4},
        objects_posted=6,
        objects_not_posted=2,
        restarts=1,
    )
    changes = [
        Transition(sequence=1, time="2026-01-01T00:00:00Z", from_=P.AWAITING, to=P.STARTING),
        Transition(sequence=2, time=START, from_=P.AWAITING, to=P.STARTING),
        Transition(sequence=3, time=FIRST, from_=P.STARTING, to=P.INPROGRESS),
    ]
    found = statistic(VideoJobStatus(phase=P.INPROGRESS, epoch=2, statistics=counted, history=changes))
    assert found == {
        "processed_duration": 10.0,
        "objects_posted": 6,
        "faces_posted": 6,
        "objects_not_posted": 2,
        "faces_not_posted": 2,
        "processing_fps": 5.0,
        "frames_processed": 50,
        "frames_dropped": 7,
        "job_start_time": "2026-01-02T03:04:05.000Z",
        "job_starts": 2,
    }
    assert b'"processing_fps":5.0' in orjson.dumps(found)


@pytest.mark.acceptance("F22", "F28")
def test_statistics_of_a_job_that_never_ran_and_of_one_whose_rate_nobody_knows() -> None:
    fresh = statistic(VideoJobStatus())
    assert (fresh["processed_duration"], fresh["job_start_time"], fresh["job_starts"]) == (0.0, None, 0)
    assert statistic(VideoJobStatus(first_frame_time=FIRST, last_frame_time=LAST))["processed_duration"] == 10.5


@pytest.mark.acceptance("F70", "F71", "F72", "F74", "F75", "F76", "F77", "F78", "F79", "F80", "X6", "A1", "F73")
@pytest.mark.parametrize(
    ("failure", "code", "status"),
    [
        (Failure.INTERNAL, "UNKNOWN_ERROR", 500),
        (Failure.INVALID, "BAD_PARAM", 400),
        (Failure.MALFORMED, "MALFORMED_REQUEST", 400),
        (Failure.NOT_READY, "CACHE_MISS", 404),
        (Failure.CONFLICT, "CONFLICT", 409),
        (Failure.NOT_FOUND, "NOT_FOUND", 404),
        (Failure.UNAVAILABLE, "SERVICE_UNAVAILABLE", 503),
    ],
)
def test_the_table_of_errors(failure: Failure, code: str, status: int) -> None:
    answer = render(GatewayError(failure, "what is wrong"))
    body = orjson.loads(answer.body)
    assert (answer.status_code, body["code"]) == (status, code)
    assert body["desc"]
    assert ("param" in body and "value" in body) == (failure is Failure.INVALID)


@pytest.mark.acceptance("F72", "F73", "X6", "A1")
def test_every_failure_has_a_code_in_capitals_and_a_status_that_is_no_success() -> None:
    assert set(CODES) == set(Failure)
    assert all(code.isupper() and code.replace("_", "").isalpha() for code in CODES.values())
    assert all(HTTP_STATUS[failure] >= 400 for failure in Failure)


@pytest.mark.acceptance("F75", "X7")
def test_the_value_that_is_wrong_is_told_without_credentials() -> None:
    value = {"a": ["rtsp://u:pa55@h/1?token=abc"], "b": 1.5}
    body = orjson.loads(render(invalid("labels", "no", value)).body)
    assert (body["param"], body["value"]) == ("labels", {"a": ["rtsp://h/1?token=***"], "b": 1.5})


@pytest.mark.acceptance("F75")
@pytest.mark.parametrize(
    ("field", "param"),
    [
        ("spec.source", "stream_url"),
        ("spec.source.url", "stream_url"),
        ("spec.outputs.router.eventsUrl", "router_events_url"),
        ("spec.outputs.router", "router_url"),
        ("spec.labels.a", "labels"),
        ("enabled", "enabled"),
        (None, ""),
    ],
)
def test_fields_that_the_api_server_refuses_have_fs_names(field: str | None, param: str) -> None:
    error = GatewayError(Failure.INVALID, "no", param=field)
    assert orjson.loads(render(error).body)["param"] == param


@pytest.mark.acceptance("F92")
@pytest.mark.parametrize(
    ("path", "identifier"),
    [
        (b"/job/cam-1", "cam-1"),
        (b"/job/cam-1/", "cam-1"),
        (b"/job/Cam%201.A?x=y", "Cam 1.A"),
        (b"/job/a%2Fb%252Fc", "a/b%2Fc"),
        (b"/job/%D0%BA%D0%B0%D0%BC", "\u043a\u0430\u043c"),
        (b"/job/a+b", "a+b"),
        (b"/job/..", ".."),
    ],
)
def test_an_id_is_what_the_path_says_decoded_once(path: bytes, identifier: str) -> None:
    first, second = segments(path)
    assert (first, id_of(second)) == (b"job", identifier)
    assert id_of(in_path(identifier).encode()) == identifier


@pytest.mark.acceptance("F92")
@pytest.mark.parametrize("segment", [b"", b"%FF%FE", b"a" * 1025])
def test_what_is_no_id_is_refused(segment: bytes) -> None:
    with pytest.raises(GatewayError) as refused:
        id_of(segment)
    assert (refused.value.failure, refused.value.param) == (Failure.INVALID, "id")


@pytest.mark.acceptance("F12", "F75")
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "stream_url"),
        ({"stream_url": ""}, "stream_url"),
        ({"stream_url": None}, "stream_url"),
        ({"stream_url": 5}, "stream_url"),
        ({"stream_url": "x", "enabled": "yes"}, "enabled"),
        ({"stream_url": "x", "single_pass": 1}, "single_pass"),
        ({"stream_url": "x", "labels": {"a": 1}}, "labels"),
        ({"stream_url": "x", "labels": ["a"]}, "labels"),
        ({"stream_url": "x", "labels": {"a": "b" * 257}}, "labels"),
        ({"stream_url": "x", "router_url": 5}, "router_url"),
        ({"stream_url": "x", "router_events_url": 5}, "router_events_url"),
        ({"stream_url": "x", "stream_settings": []}, "stream_settings"),
        ({"stream_url": "x", "stream_settings": {"roi": "x" * 9000}}, "stream_settings"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(GatewayError) as refused:
        created(edit(body), {})
    assert (refused.value.failure, refused.value.param) == (Failure.INVALID, param)


def test_a_client_may_send_back_what_it_got() -> None:
    sent = document(VideoJobStatus(phase=P.INPROGRESS, worker=WORKER), router_url="http://r.example/")
    again = edit(sent)
    assert again.warnings == ()
    assert created(again, {}) == created(edit({"stream_url": sent["stream_url"], "router_url": sent["router_url"]}), {})


@pytest.mark.acceptance("X7")
def test_what_is_wanted_shows_no_address_in_a_log() -> None:
    assert "pa55" not in repr(Wanted("rtsp://u:pa55@h/"))
    assert "pa55" not in repr(edit({"stream_url": "rtsp://u:pa55@h/"}))
