"""Tasks of the hosted video API: made, listed, shown, refused."""

import asyncio
import json
import re
from typing import Any

import httpx
import pytest

from tests.support.gateway import KEY, NAMESPACE, OTHER_KEY, WORKERPOOLS, JobApi, Served
from tests.unit.gateway.v_world import PROCESS, TASKS, URL, job_of, request, submitted, until
from videofleet_api.videojob import VideoJobSpec


@pytest.mark.acceptance("V2", "V11", "V28", "V40", "V42", "X1", "X3")
async def test_a_request_becomes_a_job(gateway: Served, api: JobApi) -> None:
    body = request(
        {
            "sampling": {"mode": "fps", "value": 5},
            "range": {"start": 0, "end": 30, "unit": "seconds"},
            "max_frames": 300,
        },
        [{"model": "detect", "parameters": {"classes": ["pedestrian"]}}, {"model": "feature"}],
        model="qwen-vl-max",
    )
    answer = await gateway.client().post(PROCESS, json=body)
    assert answer.status_code == 202
    task = answer.json()["id"]
    assert re.fullmatch(r"vt_[0-9A-HJKMNP-TV-Z]{26}", task)
    assert answer.json() == {"id": task, "status": "pending", "stream_url": f"{TASKS}/{task}/stream"}
    (job,) = api.jobs()
    assert job["metadata"]["annotations"]["videofleet.io/v-id"] == task
    spec = VideoJobSpec.model_validate(job["spec"])
    assert (spec.source.url, spec.single_pass, spec.max_frames) == (URL, True, 300)
    assert (spec.sampling.mode, spec.sampling.value) == ("fps", 5)
    assert spec.range is not None
    assert (spec.range.start, spec.range.end, spec.range.unit) == (0, 30, "seconds")


@pytest.mark.acceptance("V29", "V30", "V31", "A15")
@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {"mode": "fps", "value": 1}),
        ({"sampling": {"mode": "keyframe"}}, {"mode": "keyframe"}),
        ({"sampling": {"mode": "interval", "value": 3}}, {"mode": "interval", "value": 3}),
        ({"sampling": {"mode": "interval", "value": 4, "unit": "seconds"}}, {"mode": "fps", "value": 0.25}),
        ({"sampling": {"mode": "fps", "value": 0.5}}, {"mode": "fps", "value": 0.5}),
    ],
)
async def test_sampling(gateway: Served, api: JobApi, given: Any, wanted: Any) -> None:
    task = await submitted(gateway.client(), video=given)
    assert job_of(api, task)["spec"]["sampling"] == wanted


@pytest.mark.acceptance("V32", "V33", "V34", "V35", "V80", "A15")
async def test_what_a_request_does_not_say(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    plain = job_of(api, await submitted(client))["spec"]
    assert plain["maxFrames"] == 3000
    assert "range" not in plain
    assert plain["restart"]["maxAttempts"] == 3
    assert plain["outputs"]["archive"]["detail"] == "frames", "of a camera, too"
    half = job_of(api, await submitted(client, video={"range": {"start": 10}}))["spec"]
    assert half["range"] == {"start": 10, "unit": "seconds"}
    frames = job_of(api, await submitted(client, video={"range": {"end": 9, "unit": "frames"}}))["spec"]
    assert frames["range"] == {"start": 0, "end": 9, "unit": "frames"}


@pytest.mark.acceptance("V5", "V6", "V36", "V37", "V41", "V43", "V44", "V45", "V47", "V93")
async def test_steps_run_in_order_with_tracking_among_them(gateway: Served, api: JobApi) -> None:
    steps = [
        {"model": "detect"},
        {"model": "ocr", "when": {"class_is": ["automobile", "truck"], "min_confidence": 0.7}},
        {"model": "feature"},
    ]
    (analytics,) = job_of(api, await submitted(gateway.client(), steps=steps))["spec"]["analytics"]
    assert [step["model"] for step in analytics["steps"]] == ["detect", "track", "ocr", "feature"]
    assert analytics["steps"][2]["when"] == {"classIs": ["automobile", "truck"], "minConfidence": 0.7}
    assert analytics["results"]["trackedOnly"] is True


@pytest.mark.acceptance("V93")
async def test_tracking_that_is_asked_for_stays_where_it_is(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    own = [{"model": "detect"}, {"model": "feature"}, {"model": "track", "parameters": {"tracker": "ocsort"}}]
    steps = job_of(api, await submitted(client, steps=own))["spec"]["analytics"][0]["steps"]
    assert [step["model"] for step in steps] == ["detect", "feature", "track"]
    found_twice = [{"model": "detect"}, {"model": "face"}, {"model": "feature"}]
    steps = job_of(api, await submitted(client, steps=found_twice))["spec"]["analytics"][0]["steps"]
    assert [step["model"] for step in steps] == ["detect", "face", "track", "feature"]


@pytest.mark.acceptance("V94")
@pytest.mark.parametrize(
    ("step", "names"),
    [
        ({}, {"person": "pedestrian", "car": "automobile"}),
        ({"parameters": {"classes": ["pedestrian"]}}, {"person": "pedestrian", "car": "automobile"}),
        ({"parameters": {"classes": ["Person"]}}, {"car": "automobile"}),
    ],
)
async def test_results_call_classes_as_the_request_does(gateway: Served, api: JobApi, step: Any, names: Any) -> None:
    task = await submitted(gateway.client(), steps=[{"model": "detect", **step}])
    assert job_of(api, task)["spec"]["analytics"][0]["results"]["classNames"] == names


@pytest.mark.acceptance("V38", "V39", "V95")
async def test_any_model_may_be_hinted_at(gateway: Served, api: JobApi) -> None:
    task = await submitted(gateway.client(), model="qwen-vl-max")
    assert job_of(api, task)["spec"]["analytics"][0]["results"]["model"] == "qwen-vl-max"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no input": (request() | {"input": []}, "input"),
    "two inputs": (request() | {"input": request()["input"] * 2}, "input"),
    "another kind of input": (request({"type": "image_url"}), "input.0.type"),
    "no url": ({"input": [{"type": "video_url"}], "steps": [{"model": "detect"}]}, "input.0"),
    "no steps": (request(steps=[]), "steps"),
    "a step without a model": (request(steps=[{}]), "steps.0.model"),
    "an unknown model": (request(steps=[{"model": "gpt"}]), "steps.0.model"),
    "when on the first step": (request(steps=[{"model": "detect", "when": {"min_confidence": 1}}]), "steps.0.when"),
    "vectors of nothing": (request(steps=[{"model": "feature"}]), "steps.0.model"),
    "an unknown parameter": (request(steps=[{"model": "detect", "parameters": {"x": 1}}]), "steps.0.parameters.x"),
    "classes that are none": (
        request(steps=[{"model": "detect", "parameters": {"classes": "person"}}]),
        "steps.0.parameters.classes",
    ),
    "an unknown sampling": (request({"sampling": {"mode": "all"}}), "input.0.sampling.mode"),
    "fps without a value": (request({"sampling": {"mode": "fps"}}), "input.0.sampling"),
    "a keyframe with a value": (request({"sampling": {"mode": "keyframe", "value": 2}}), "input.0.sampling"),
    "half an interval": (request({"sampling": {"mode": "interval", "value": 2.5}}), "input.0.sampling"),
    "a range backwards": (request({"range": {"start": 5, "end": 5}}), "input.0.range"),
    "half frames": (request({"range": {"start": 0.5, "unit": "frames"}}), "input.0.range"),
    "a unit of another kind": (request({"range": {"unit": "minutes"}}), "input.0.range.unit"),
    "a range of a camera": (request({"url": "rtsp://camera.example/1", "range": {"end": 5}}), "input.0.range"),
    "no frames": (request({"max_frames": 0}), "input.0.max_frames"),
    "a text of frames": (request({"max_frames": "300"}), "input.0.max_frames"),
    "another scheme": (request({"url": "ftp://example.com/a.mp4"}), "input.0.url"),
    "a file of the machine": (request({"url": "file:///etc/passwd"}), "input.0.url"),
    "the metadata of a cloud": (request({"url": "http://169.254.169.254/latest"}), "input.0.url"),
    "this machine by its name": (request({"url": "http://localhost:8080/a.mp4"}), "input.0.url"),
    "the metadata of a cloud by its name": (request({"url": "http://metadata.google.internal/a"}), "input.0.url"),
    "a store that is none": (request({"url": "s3://b/k?endpoint=http://169.254.169.254"}), "input.0.url"),
    "this machine": (request({"url": "http://127.0.0.1:8080/a.mp4"}), "input.0.url"),
}


@pytest.mark.acceptance("V24", "V25", "V27", "V36", "V37", "V48", "V100", "V101", "A19", "A46", "X11")
@pytest.mark.parametrize(("body", "param"), BAD.values(), ids=BAD)
async def test_what_is_wrong_is_refused_by_its_name(
    gateway: Served, api: JobApi, body: dict[str, Any], param: str
) -> None:
    answer = await gateway.client().post(PROCESS, json=body)
    assert (answer.status_code, answer.json()["error"].get("param")) == (400, param), answer.text
    assert answer.json()["error"]["code"] == "invalid_request"
    assert not api.jobs()


@pytest.mark.acceptance("V100", "X11")
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"a"', b'{"input": [NaN]}', b'{"input": Infinity}', b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}"],
)
async def test_what_cannot_be_read_is_refused(gateway: Served, body: bytes) -> None:
    answer = await gateway.client().post(PROCESS, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed_request")


@pytest.mark.acceptance("V48")
async def test_models_that_workers_have_brought_are_known(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    steps = [{"model": "plates"}]
    assert (await client.post(PROCESS, json=request(steps=steps))).status_code == 400
    api.put(WORKERPOOLS, NAMESPACE, "pool", status={"models": ["nanodet-m-416", "plates"]})

    async def known() -> bool:
        return "plates" in gateway.gateway.context.pools.models()

    await until(known, "the pool is seen")
    assert (await client.post(PROCESS, json=request(steps=steps))).status_code == 202


@pytest.mark.acceptance("V18", "V19", "V99")
async def test_a_task_is_shown_with_its_request_where_that_is_wanted(gateway: Served) -> None:
    client = gateway.client()
    sampled = {"sampling": {"mode": "fps", "value": 5}, "range": {"start": 0, "end": 30.5, "unit": "seconds"}}
    body = request({"max_frames": 5, **sampled}, model="qwen-vl-max")
    task = (await client.post(PROCESS, json=body)).json()["id"]
    shown = (await client.get(f"{TASKS}/{task}")).json()
    assert set(shown) == {"id", "status", "stream_url", "created_at", "updated_at"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown["created_at"])
    assert shown["updated_at"] >= shown["created_at"]
    shown = (await client.get(f"{TASKS}/{task}", params={"include": "request"})).json()
    assert shown["request"] == body
    # As the text has it: to some clients 5 and 5.0 are two things.
    assert json.dumps(shown["request"], sort_keys=True) == json.dumps(body, sort_keys=True)
    assert (await client.get(f"{TASKS}/{task}", params={"include": "all"})).status_code == 400


@pytest.mark.acceptance("V9")
async def test_other_projects_see_nothing_of_a_task(gateway: Served) -> None:
    task = await submitted(gateway.client())
    other = gateway.client(OTHER_KEY)
    assert (await other.get(TASKS)).json()["data"] == []
    for method, path in (("GET", ""), ("GET", "/stream"), ("GET", "/results"), ("POST", "/cancel")):
        answer = await other.request(method, f"{TASKS}/{task}{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.acceptance("V12", "V16", "V17", "V98")
async def test_lists_come_in_pages_with_the_newest_first(gateway: Served) -> None:
    client = gateway.client()
    made = [await submitted(client) for _ in range(25)]
    first = (await client.get(TASKS)).json()
    assert len(first["data"]) == 20
    found, cursor = [], None
    while True:
        page = (await client.get(TASKS, params={"limit": 10} | ({"cursor": cursor} if cursor else {}))).json()
        found += [one["id"] for one in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == sorted(made, reverse=True)
    assert (await client.get(TASKS, params={"limit": 100})).json()["next_cursor"] is None
    for bad in ("101", "0", "x"):
        assert (await client.get(TASKS, params={"limit": bad})).status_code == 400


@pytest.mark.acceptance("V13", "V14", "V15", "V98")
async def test_lists_are_filtered_by_status_and_time(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    tasks = []
    for _ in range(3):
        tasks.append(await submitted(client))
        await asyncio.sleep(0.005)
    api.tell(job_of(api, tasks[1]), phase="INPROGRESS", run=1, epoch=1)
    times = {task: (await client.get(f"{TASKS}/{task}")).json()["created_at"] for task in tasks}

    async def listed(**params: str) -> list[str]:
        answer = await client.get(TASKS, params=params)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["data"]]

    async def runs() -> bool:
        return await listed(status="running") == [tasks[1]]

    await until(runs, "one task runs")
    assert await listed(status="pending") == [tasks[2], tasks[0]]
    assert await listed(**{"from": times[tasks[1]]}) == [tasks[2], tasks[1]]
    assert await listed(to=times[tasks[1]]) == [tasks[0]]
    assert await listed(**{"from": times[tasks[0]], "to": times[tasks[2]]}) == [tasks[1], tasks[0]]


@pytest.mark.acceptance("V98")
@pytest.mark.parametrize(
    "params",
    [{"status": "done"}, {"from": "yesterday"}, {"to": "2026-01-01"}, {"from": "2026-01-01T00:00:00"}, {"cursor": "x"}],
    ids=str,
)
async def test_a_bad_filter_is_refused(gateway: Served, params: dict[str, str]) -> None:
    answer = await gateway.client().get(TASKS, params=params)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(params)))


async def listed(client: httpx.AsyncClient) -> Any:
    return (await client.get(TASKS)).json()["data"]


@pytest.mark.acceptance("X1", "X4")
async def test_jobs_that_were_applied_by_hand_are_tasks_where_they_run_once(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    spec = {"source": {"url": "https://user-name.example/a.mp4"}, "analytics": [{"steps": [{"model": "detect"}]}]}
    api.job("endless", spec=spec)
    once = api.job("once", spec=spec | {"singlePass": True, "maxFrames": 7})
    (task,) = await until(lambda: listed(client), "the job is listed")
    assert re.fullmatch(r"vt_[0-9A-HJKMNP-TV-Z]{26}", task["id"])
    assert task["created_at"].startswith(once["metadata"]["creationTimestamp"].removesuffix("Z"))
    shown = (await client.get(f"{TASKS}/{task['id']}", params={"include": "request"})).json()
    assert shown["request"]["input"][0]["url"] == "https://user-name.example/a.mp4"
    assert shown["request"]["input"][0]["max_frames"] == 7


@pytest.mark.acceptance("X4")
async def test_an_id_that_was_copied_to_another_object_is_not_its_own(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    job = job_of(api, task)
    api.job("copy", spec=job["spec"], metadata={"annotations": job["metadata"]["annotations"]})

    async def both() -> bool:
        return len({one["id"] for one in await listed(client)}) == 2

    await until(both, "both are listed, each with an id of its own")


async def test_what_one_replica_has_made_another_knows_at_once(gateway: Served, api: JobApi) -> None:
    task = await submitted(gateway.client())
    api.muted = True
    cache = gateway.gateway.context.jobs.cache
    job = job_of(api, task)
    cache._jobs[NAMESPACE].pop(job["metadata"]["name"])
    assert (await gateway.client(KEY).get(f"{TASKS}/{task}")).json()["status"] == "pending"
