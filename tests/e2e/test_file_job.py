"""The main job: a clip, detected and tracked, from apply to results."""

import json

from examples.demo import tools
from tests.e2e.conftest import Deployment
from tests.support.kubectl import Moves, applied, await_phase, conditions, job_manifest

CLIP_FRAMES = 795


def test_a_clip_is_analysed_once_and_its_people_are_tracked(deployment: Deployment, moves: Moves) -> None:
    manifest = job_manifest("clip", deployment.namespace, deployment.http("vtest.mp4"), singlePass=True)
    with applied(manifest):
        status = await_phase("clip", deployment.namespace, "COMPLETED")
        assert moves.phases("clip") in (
            ["STARTING", "INPROGRESS", "COMPLETED"],
            ["AWAITING", "STARTING", "INPROGRESS", "COMPLETED"],
        )
        found = conditions(status)
        assert (found["Ready"], found["Stalled"], found["Reconciling"]) == ("True", "False", "False")
        assert status["finished"] is True
        assert (status["run"], status["epoch"]) == (1, 1)
        assert status["progress"]["processedFrames"] == CLIP_FRAMES

    folder = deployment.results(status)
    result = json.loads((folder / "results.json").read_text())
    people = [track for track in result["tracks"] if track["class"] == "person" and track["frames_seen"] >= 50]
    assert len(people) >= 8, "the clip shows a dozen people who stay for five seconds and more"
    assert result["finish_reason"] == "stop"
    assert result["usage"]["processed_frames"] == CLIP_FRAMES
    assert all(0 <= track["first_frame"] <= track["last_frame"] < CLIP_FRAMES for track in result["tracks"])
    assert (folder / "snapshot.jpg").read_bytes().startswith(b"\xff\xd8\xff")


def test_the_pool_says_that_and_why_models_run_on_the_processor(deployment: Deployment) -> None:
    pool = tools.get("workerpools.videofleet.io", "default", deployment.namespace)
    assert pool is not None
    status = pool["status"]
    assert status["provider"] == "cpu"
    assert "GPU" in status["fallback"]
    assert {"nanodet-m-416", "faceboxes", "pp-ocrv4-rec"} <= set(status["models"])
    name = deployment.workers()[0]["metadata"]["name"]
    log = tools.must("kubectl", "logs", name, "-n", deployment.namespace)
    assert status["fallback"] in log


def test_helm_test_runs_a_file_job(deployment: Deployment) -> None:
    ran = tools.run("helm", "test", deployment.release, "-n", deployment.namespace, "--timeout", f"{tools.WAIT}s")
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert "Phase:          Succeeded" in said


def test_the_log_of_a_run_holds_every_frame_once_and_ends(deployment: Deployment) -> None:
    spec = {"singlePass": True, "maxFrames": 60}
    with applied(job_manifest("sixty", deployment.namespace, deployment.http("vtest.mp4"), **spec)):
        status = await_phase("sixty", deployment.namespace, "COMPLETED")
    segments = sorted((deployment.results(status) / "chunks").iterdir())
    log = b"".join(segment.read_bytes() for segment in segments)
    assert log.splitlines()[-3] == b"data: [DONE]"
    chunks = [json.loads(line[6:]) for line in log.splitlines() if line.startswith(b"data: {")]
    frames = [chunk["stream_info"]["frame_index"] for chunk in chunks if chunk["finish_reason"] is None]
    assert frames == list(range(60))
    assert chunks[-1]["finish_reason"] == "max_frames"


def test_sampling_leaves_frames_out(deployment: Deployment) -> None:
    spec = {"singlePass": True, "sampling": {"mode": "interval", "value": 10}}
    with applied(job_manifest("sampled", deployment.namespace, deployment.http("vtest.mp4"), **spec)):
        status = await_phase("sampled", deployment.namespace, "COMPLETED")
    assert status["progress"]["processedFrames"] == 80


def test_a_playlist_is_analysed_like_a_file(deployment: Deployment) -> None:
    spec = {"singlePass": True, "maxFrames": 30}
    with applied(job_manifest("playlist", deployment.namespace, deployment.http("hls/vtest.m3u8"), **spec)):
        status = await_phase("playlist", deployment.namespace, "COMPLETED")
    assert status["progress"]["processedFrames"] == 30
