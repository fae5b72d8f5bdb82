"""What the caches keep of API objects, from bodies as an API server sends them."""

from typing import Any

import pytest

from videofleet_operator.services import objects

METADATA = {
    "name": "camera",
    "namespace": "video",
    "uid": "4e5b2c0a-0000-4000-8000-000000000001",
    "resourceVersion": "4711",
    "generation": 3,
    "creationTimestamp": "2026-01-02T03:04:05Z",
    "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
}
JOB = {
    "apiVersion": "videofleet.io/v1alpha1",
    "kind": "VideoJob",
    "metadata": METADATA,
    "spec": {
        "enabled": True,
        "source": {"url": "rtsp://camera.example/1", "transport": "auto", "kind": "auto"},
        "analytics": [{"name": "main", "steps": [{"model": "detect"}]}],
    },
    "status": {"phase": "INPROGRESS", "conditions": [{"type": "Ready", "status": "True"}]},
}


def worker_pod(**status: Any) -> dict[str, Any]:
    labels = {"videofleet.io/pool": "gpu", "videofleet.io/ordinal": "2", "videofleet.io/incarnation": "5"}
    owner = {"kind": "WorkerPool", "name": "gpu", "uid": "pool-uid", "controller": True}
    annotations = {"videofleet.io/template-digest": "abc"}
    metadata = {**METADATA, "labels": labels, "annotations": annotations, "ownerReferences": [{"uid": "x"}, owner]}
    return {"metadata": metadata, "spec": {"nodeName": "node-1"}, "status": status}


def test_a_job() -> None:
    job = objects.project_job(JOB)
    assert job.spec is not None
    assert job.spec.source.url == "rtsp://camera.example/1"
    assert job.status == JOB["status"]
    meta = job.meta
    assert (meta.namespace, meta.name, meta.resource_version, meta.generation) == ("video", "camera", "4711", 3)
    assert (meta.created, meta.deleting) == (1767323045.0, False)


def test_a_job_that_is_being_deleted_or_has_no_status() -> None:
    body = {**JOB, "metadata": {**METADATA, "deletionTimestamp": "2026-01-02T03:05:05Z"}}
    body.pop("status")
    job = objects.project_job(body)
    assert (job.meta.deleting, job.status) == (True, {})


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"source": {"url": "rtsp://camera.example/1"}}, "spec.analytics"),
        ({"source": {}, "analytics": [{"steps": [{"model": "detect"}]}], "slots": "many"}, "spec.slots"),
        (None, "spec"),
    ],
)
def test_a_spec_that_cannot_be_read_names_its_field(spec: object, field: str) -> None:
    """As after a downgrade: what is stored was valid once."""
    job = objects.project_job({**JOB, "spec": spec})
    assert job.spec is None
    assert job.shape.error.startswith(f"{field}: ")


def test_a_running_pod() -> None:
    running = {"name": "worker", "ready": True, "restartCount": 2, "state": {"running": {"startedAt": "x"}}}
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}]
    body = worker_pod(phase="Running", podIP="10.0.0.7", containerStatuses=[running], conditions=conditions)
    pod = objects.project_pod(body)
    assert pod is not None
    assert (pod.pool_uid, pod.ordinal, pod.incarnation, pod.template_digest) == ("pool-uid", 2, 5, "abc")
    assert (pod.node, pod.ip, pod.phase, pod.ready, pod.started, pod.restarts) == (
        *("node-1", "10.0.0.7", "Running"),
        *(True, True, 2),
    )
    assert pod.problem == ""


def test_a_fresh_pod_has_no_status() -> None:
    pod = objects.project_pod(worker_pod())
    assert pod is not None
    assert (pod.ip, pod.phase, pod.ready, pod.started, pod.restarts, pod.problem) == (
        None,
        "Pending",
        False,
        False,
        0,
        "",
    )


LAST_WORDS = "cannot start: no model"
LAST = {"terminated": {"exitCode": 2, "message": LAST_WORDS}}
KILLED = {"terminated": {"exitCode": 139}}
DONE = {"terminated": {"exitCode": 0, "message": "all models are there"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}}


def container(**status: Any) -> dict[str, Any]:
    return {"containerStatuses": [status]}


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]},
            "ImagePullBackOff: no such image",
        ),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}
                ]
            },
            "Unschedulable: no GPU",
        ),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, ""),
        ({"containerStatuses": [{"state": BACK_OFF}]}, "CrashLoopBackOff: back-off 10s restarting failed container"),
        ({"containerStatuses": [{"state": BACK_OFF, "lastState": LAST}]}, "CrashLoopBackOff: cannot start: no model"),
        ({"containerStatuses": [{"state": LAST}]}, "cannot start: no model"),
        (container(state={"running": {}}, lastState=LAST, started=False, ready=False), LAST_WORDS),
        # Long ago: it has started since, and is not ready for another reason.
        (container(state={"running": {}}, lastState=LAST, started=True, ready=False), ""),
        (container(state={"running": {}}, lastState=LAST, started=True, ready=True), ""),
        ({"initContainerStatuses": [{"state": DONE, "lastState": LAST, "started": False, "ready": True}]}, ""),
        ({"initContainerStatuses": [{"state": {"running": {}}, "lastState": LAST, "started": False}]}, LAST_WORDS),
        (container(state=KILLED), ""),
        (container(state=KILLED, lastState=LAST), ""),
    ],
)
def test_why_a_pod_does_not_run(status: dict[str, Any], problem: str) -> None:
    pod = objects.project_pod(worker_pod(phase="Pending", **status))
    assert pod is not None
    assert pod.problem == problem


TERMINATED = {"containerStatuses": [{"state": {"terminated": {"exitCode": 139}}}]}


@pytest.mark.parametrize(
    ("status", "died"),
    [
        ({"phase": "Running", **TERMINATED}, True),
        ({"phase": "Running", "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}, True),
        ({"phase": "Failed"}, True),
        ({"phase": "Failed", "reason": "Evicted", **TERMINATED}, False),
        ({"phase": "Failed", "conditions": [{"type": "DisruptionTarget", "status": "True"}], **TERMINATED}, False),
        ({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, False),
        ({"phase": "Running", "containerStatuses": [{"state": {"running": {}}, "restartCount": 3}]}, False),
    ],
)
def test_whether_its_process_has_died_by_itself(status: dict[str, Any], died: bool) -> None:
    pod = objects.project_pod(worker_pod(**status))
    assert pod is not None
    assert pod.died is died


def test_a_pod_that_is_being_deleted_was_told_to_end() -> None:
    body = worker_pod(phase="Failed", **TERMINATED)
    body = {**body, "metadata": {**body["metadata"], "deletionTimestamp": "2026-01-02T03:04:05Z"}}
    pod = objects.project_pod(body)
    assert pod is not None
    assert not pod.died


@pytest.mark.parametrize(
    "labels",
    [{}, {"videofleet.io/pool": "gpu"}, {"videofleet.io/pool": "gpu", "videofleet.io/ordinal": "x"}],
)
def test_other_pods_are_not_kept(labels: dict[str, str]) -> None:
    assert objects.project_pod({"metadata": {**METADATA, "labels": labels}}) is None


def test_a_node_and_its_readiness() -> None:
    conditions = [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}]
    body = {"metadata": METADATA, "spec": {"unschedulable": True}, "status": {"conditions": conditions}}
    node = objects.project_node(body)
    assert (node.ready, node.schedulable) == (True, False)
    assert objects.project_node({"metadata": METADATA}).ready is False


def test_only_the_license_named_default_counts() -> None:
    spec = {"secretRef": {"namespace": "video", "name": "licence"}}
    assert objects.project_license({"metadata": METADATA, "spec": spec}) is None
    found = objects.project_license({"metadata": {**METADATA, "name": "default"}, "spec": spec})
    assert found is not None
    assert found.spec is not None
    assert found.spec.secret_ref.key == "license"


def test_conditions_that_cannot_be_read_are_as_if_they_were_not_there() -> None:
    whole = {"type": "Ready", "status": "True", "lastTransitionTime": "x", "reason": "R", "message": ""}
    assert [each.type for each in objects.known_conditions({"conditions": [whole]})] == ["Ready"]
    assert objects.known_conditions({"conditions": [{"type": "Ready"}]}) == []
    assert objects.known_conditions({}) == []
