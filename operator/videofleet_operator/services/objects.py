"""What the caches keep of each API object: only what decisions and writes need."""

import datetime
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from videofleet_api import names
from videofleet_api.conditions import Condition
from videofleet_api.videojob import VideoJobSpec
from videofleet_api.videolicense import VideoLicenseSpec
from videofleet_api.workerpool import WorkerPoolSpec
from videofleet_kube.resources import name_of, namespace_of, uid_of, version_of
from videofleet_operator.domain.model import Record
from videofleet_operator.domain.restore import from_status
from videofleet_operator.services import packed, specs

Json = dict[str, Any]
ModelT = TypeVar("ModelT", bound=BaseModel)
_CONDITIONS = TypeAdapter(list[Condition])
_TOLD_LENGTH = 600
"""Characters of why a pod does not run: a sentence with two digests and a path fits."""


@dataclass(frozen=True, slots=True)
class Meta:
    """The metadata that everything needs."""

    uid: str
    namespace: str
    name: str
    resource_version: str
    generation: int
    created: float
    """Unix seconds."""
    deleting: bool
    drain: bool = False
    """Someone wants it emptied."""


@dataclass(frozen=True, slots=True)
class JobObject:
    """A VideoJob. There may be ten thousand: what they have in common is held once, and no part twice."""

    meta: Meta
    shape: specs.Shape
    url: str | None
    """Of its source, which its shape has without."""
    record: Record
    packed_status: bytes
    history: int = 0
    """How many changes of phase its history has."""

    @property
    def spec(self) -> VideoJobSpec | None:
        """Its spec, made anew each time. None: it cannot be read, `shape.error` says why."""
        return None if self.shape.spec is None else specs.joined(self.shape.spec, self.url)

    @property
    def status(self) -> Json:
        """Its status, made anew each time; without its history, which no decision looks at."""
        return packed.unpack(self.packed_status)


@dataclass(frozen=True, slots=True)
class PoolObject:
    """A WorkerPool. `spec` None: it cannot be read, `spec_error` says why."""

    meta: Meta
    spec: WorkerPoolSpec | None
    spec_error: str
    status: Json


@dataclass(frozen=True, slots=True)
class LicenseObject:
    """A VideoLicense."""

    meta: Meta
    spec: VideoLicenseSpec | None
    status: Json


@dataclass(frozen=True, slots=True)
class PodObject:
    """A worker pod."""

    meta: Meta
    pool_uid: str | None
    ordinal: int
    incarnation: int
    template_digest: str
    node: str | None
    ip: str | None
    phase: str
    ready: bool
    started: bool
    """Its container runs."""
    restarts: int
    problem: str
    """Why it does not run, where the cluster says so."""
    failures: int = 0
    """How often in a row its place had failed before it was made."""
    died: bool = False
    """Its process has ended by itself and does not run again yet."""
    unscheduled: bool = False
    """No node has room for it."""


@dataclass(frozen=True, slots=True)
class BudgetObject:
    """A PodDisruptionBudget of a pool."""

    meta: Meta
    pool_uid: str | None
    spec: Json


@dataclass(frozen=True, slots=True)
class NodeObject:
    """A node. A worker whose node is not among these is lost; a change of the two facts is worth a new plan."""

    meta: Meta
    ready: bool
    schedulable: bool


def project_job(body: Json) -> JobObject:
    """The cached form of a VideoJob."""
    shape, url = specs.split(body.get("spec"))
    status = dict(body.get("status") or {})
    history = status.pop("history", None)
    count = len(history) if isinstance(history, list) else 0
    return JobObject(_meta(body), shape, url, from_status(status), packed.pack(status), count)


def project_pool(body: Json) -> PoolObject:
    """The cached form of a WorkerPool."""
    spec, error = _parse(WorkerPoolSpec, body.get("spec"))
    return PoolObject(_meta(body), spec, error, body.get("status") or {})


def project_license(body: Json) -> LicenseObject | None:
    """The cached form of the VideoLicense; any other name than the one that counts is not kept."""
    if body["metadata"]["name"] != names.LICENSE_NAME:
        return None
    spec, _ = _parse(VideoLicenseSpec, body.get("spec"))
    return LicenseObject(_meta(body), spec, body.get("status") or {})


def project_pod(body: Json) -> PodObject | None:
    """The cached form of a worker pod; other pods are not kept."""
    labels = body["metadata"].get("labels") or {}
    annotations = body["metadata"].get("annotations") or {}
    failures = annotations.get(names.ANNOTATION_FAILURES, "")
    ordinal, incarnation = labels.get(names.LABEL_ORDINAL, ""), labels.get(names.LABEL_INCARNATION, "")
    if names.LABEL_POOL not in labels or not ordinal.isdigit() or not incarnation.isdigit():
        return None
    status = body.get("status") or {}
    containers = status.get("containerStatuses") or []
    return PodObject(
        meta=_meta(body),
        pool_uid=_controller(body),
        ordinal=int(ordinal),
        incarnation=int(incarnation),
        template_digest=annotations.get(names.ANNOTATION_TEMPLATE_DIGEST, ""),
        failures=int(failures) if failures.isdecimal() else 0,
        node=body.get("spec", {}).get("nodeName"),
        ip=status.get("podIP"),
        phase=status.get("phase", "Pending"),
        ready=_condition(status, "Ready"),
        started=any("running" in (container.get("state") or {}) for container in containers),
        restarts=sum(int(container.get("restartCount", 0)) for container in containers),
        problem=_pod_problem(status, [*(status.get("initContainerStatuses") or []), *containers]),
        died=_died(body, status, containers),
        unscheduled=_unscheduled(status),
    )


def project_budget(body: Json) -> BudgetObject | None:
    """The cached form of a pool's PodDisruptionBudget; others are not kept."""
    owner = _controller(body)
    return None if owner is None else BudgetObject(_meta(body), owner, body.get("spec") or {})


def project_node(body: Json) -> NodeObject:
    """The cached form of a node."""
    spec = body.get("spec") or {}
    ready = _condition(body.get("status") or {}, "Ready")
    return NodeObject(_meta(body), ready=ready, schedulable=not spec.get("unschedulable", False))


def known_conditions(status: Json) -> list[Condition]:
    """The conditions in a status; none where they cannot be read."""
    try:
        return _CONDITIONS.validate_python(status.get("conditions") or [])
    except ValidationError:
        return []


def _parse(model: type[ModelT], value: object) -> tuple[ModelT | None, str]:
    try:
        return model.model_validate(value), ""
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(("spec", *map(str, first["loc"])))
        return None, f"{field}: {first['msg']}"


def _meta(body: Json) -> Meta:
    metadata = body["metadata"]
    return Meta(
        uid=uid_of(body),
        namespace=namespace_of(body),
        name=name_of(body),
        resource_version=version_of(body),
        generation=int(metadata.get("generation", 0)),
        created=_unix(metadata.get("creationTimestamp")),
        deleting="deletionTimestamp" in metadata,
        drain=(metadata.get("annotations") or {}).get(names.ANNOTATION_DRAIN) == names.DRAIN_WANTED,
    )


def _unix(text: str | None) -> float:
    if not text:
        return 0.0
    return datetime.datetime.fromisoformat(text).timestamp()


def _controller(body: Json) -> str | None:
    owners = body["metadata"].get("ownerReferences") or []
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)


def _condition(status: Json, kind: str) -> bool:
    return any(
        condition.get("type") == kind and condition.get("status") == "True"
        for condition in status.get("conditions") or []
    )


def _died(body: Json, status: Json, containers: list[Json]) -> bool:
    """A pod that is deleted, evicted or pre-empted was ended by the cluster, and says so."""
    ended_by_others = (
        "deletionTimestamp" in body["metadata"] or status.get("reason") or _condition(status, "DisruptionTarget")
    )
    if ended_by_others:
        return False
    return status.get("phase") == "Failed" or any(_has_crashed(container) for container in containers)


def _has_crashed(container: Json) -> bool:
    state = container.get("state") or {}
    return "terminated" in state or (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff"


def _unscheduled(status: Json) -> bool:
    return any(
        condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable"
        for condition in status.get("conditions") or []
    )


def _pod_problem(status: Json, containers: list[Json]) -> str:
    """Why a pod does not run: not scheduled, image not there, container crashing.

    A container that ended with a word of its own is given that, also while it is tried again: the cluster says only
    how long it waits before the next time. One that has started since (of those that prepare the pod: that is done) has
    got over it, whether or not it is ready just now.
    """
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting") or {}
        last_words = _last_words(container)
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return f"{waiting['reason']}: {last_words or waiting.get('message', '')}"[:_TOLD_LENGTH]
        if last_words and not (container.get("started") or container.get("ready")):
            return last_words[:_TOLD_LENGTH]
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"[:_TOLD_LENGTH]
    return ""


def _last_words(container: Json) -> str:
    """What the container wrote of why it ended the last time."""
    states = (container.get("state") or {}, container.get("lastState") or {})
    ends: list[Json] = [state["terminated"] for state in states if state.get("terminated")]
    said: str = ends[0].get("message", "") if ends else ""
    return said
