"""What users do while things go wrong, as data: acts of a few changes, each with what it must lead to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.simulated_worker import Script, end, fail, first_frame, refuse
from videofleet_api.codes import ErrorCode

POOL = "pool"
GONE = "gone"


@dataclass(frozen=True, slots=True)
class Workers:
    """The pool is made with this spec."""

    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Add:
    """A job is made; `scripts`: what workers do with it, epoch by epoch."""

    name: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    scripts: Sequence[Script] = ()


@dataclass(frozen=True, slots=True)
class Edit:
    """A job's spec is merged with this."""

    name: str
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Remove:
    """A job is deleted."""

    name: str


@dataclass(frozen=True, slots=True)
class Limit:
    """The licence is for so many streams from now on."""

    streams: int


@dataclass(frozen=True, slots=True)
class Leave:
    """The pod of the job's worker is deleted, and goes on until it has no job any more."""

    name: str


Change = Workers | Add | Edit | Remove | Limit | Leave


@dataclass(frozen=True, slots=True)
class Act:
    """Changes made one after the other, and the phase (with `/reason` where it matters) that each job reaches."""

    changes: tuple[Change, ...]
    expect: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Workload:
    """Acts in order. What an act expects of a job holds until a later act says otherwise."""

    name: str
    acts: tuple[Act, ...]
    runs: bool = True
    """Whether the number of each job's runs does not depend on what goes wrong."""

    @property
    def licensed(self) -> bool:
        """Whether it needs the cluster's one VideoLicense."""
        return any(isinstance(change, Limit) for act in self.acts for change in act.changes)

    def expected(self, acts: int) -> dict[str, str]:
        """Where all jobs are after so many acts."""
        return {name: phase for act in self.acts[:acts] for name, phase in act.expect.items()}


_CAMERA = {"source": {"url": "rtsp://camera.example/1"}}
_OTHER_CAMERA = {"source": {"url": "rtsp://camera.example/2"}}
_ONCE = {"singlePass": True, "restart": {"delay": 300, "maxDelay": 300}}
_TWICE = {"restart": {"delay": 0.2, "maxAttempts": 2}}

MIXED = Workload(
    "mixed",
    (
        Act(
            (
                Workers({"minWorkers": 2, "maxWorkers": 2, "capacityPerWorker": 4}),
                Add("live", _CAMERA),
                Add("edited", _CAMERA),
                Add("file", _ONCE, [[first_frame(), end(0.3)]]),
                Add("broken", _TWICE, [[fail(ErrorCode.NOT_FOUND, "no such stream")]]),
                Add("wrong", {"restart": {"maxAttempts": 1}}, [[refuse(ErrorCode.BAD_PARAMETER, "no such class")]]),
                Add("off", {"enabled": False}),
            ),
            {
                "live": "INPROGRESS",
                "edited": "INPROGRESS",
                "file": "COMPLETED/Ended",
                "broken": "NOT_STARTED/SourceNotFound",
                "wrong": "MISCONFIGURED/BadParameter",
                "off": "DISABLED",
            },
        ),
        Act(
            (
                Edit("edited", _OTHER_CAMERA),
                Edit("off", {"enabled": True}),
                Edit("live", {"enabled": False}),
                Remove("broken"),
                Add("late", _CAMERA),
            ),
            {"edited": "INPROGRESS", "off": "INPROGRESS", "live": "DISABLED", "broken": GONE, "late": "INPROGRESS"},
        ),
        Act(
            (Edit("live", {"enabled": True}), Remove("late"), Edit("off", {"priority": 7})),
            {"live": "INPROGRESS", "late": GONE, "off": "INPROGRESS"},
        ),
    ),
)
"""Streams, a file, errors, edits: a little of everything."""

ROOMY = Workload(
    "roomy",
    (
        replace(
            MIXED.acts[0],
            changes=(Workers({"minWorkers": 3, "maxWorkers": 3, "capacityPerWorker": 4}), *MIXED.acts[0].changes[1:]),
        ),
        *MIXED.acts[1:],
    ),
)
"""The same with a worker to spare, which jobs need that two crashes have made suspicious: they start alone."""

FULL = Workload(
    "full",
    (
        Act(
            (
                Workers({"minWorkers": 2, "maxWorkers": 2, "capacityPerWorker": 2}),
                Add("first", {"priority": 9}),
                Add("wide", {"priority": 8, "slots": 2}),
                Add("second", {"priority": 7}),
                Add("waits", {"priority": 1}),
            ),
            {
                "first": "INPROGRESS",
                "wide": "INPROGRESS",
                "second": "INPROGRESS",
                "waits": "AWAITING/WorkersFull",
            },
        ),
        Act(
            (Remove("first"), Add("never", {"slots": 5})),
            {"first": GONE, "waits": "INPROGRESS", "never": "AWAITING"},
        ),
    ),
)
"""More streams than room."""

LICENSED = Workload(
    "licensed",
    (
        Act(
            (
                Limit(2),
                Workers({"minWorkers": 1, "maxWorkers": 1}),
                Add("important", {"priority": 9}),
                Add("common", {"priority": 5}),
            ),
            {"important": "INPROGRESS", "common": "INPROGRESS"},
        ),
        Act((Add("surplus", {"priority": 1}),), {"surplus": "TOO_MANY_CAMERAS/LicenceExhausted"}),
        Act(
            (Edit("common", {"enabled": False}),),
            {"common": "DISABLED", "surplus": "INPROGRESS"},
        ),
        Act((Limit(1),), {"surplus": "TOO_MANY_CAMERAS/Shed", "important": "INPROGRESS"}),
        Act((Remove("important"),), {"important": GONE, "surplus": "INPROGRESS"}),
    ),
)
"""A licence that is used up, freed, lowered."""

ENDLESS = Workload(
    "endless",
    (
        Act(
            (
                Workers({"minWorkers": 1, "maxWorkers": 1}),
                Add("again", {"restart": {"delay": 0.2}}, [[first_frame(), end(0.2)]] * 3 + [[first_frame()]]),
                Add(
                    "flaky",
                    {"restart": {"delay": 0.2, "maxDelay": 0.4}},
                    [[fail(ErrorCode.NETWORK)], [first_frame(), fail(ErrorCode.NETWORK)], [first_frame()]],
                ),
                Add("steady"),
            ),
            {"again": "INPROGRESS", "flaky": "INPROGRESS", "steady": "INPROGRESS"},
        ),
    ),
    runs=False,
)
"""What runs again, after ends and errors."""

_ALL_RUN = {"first": "INPROGRESS", "second": "INPROGRESS", "third": "INPROGRESS"}
MOVING = Workload(
    "moving",
    (
        Act(
            (
                Workers({"minWorkers": 2, "maxWorkers": 2, "capacityPerWorker": 4}),
                Add("first", _CAMERA),
                Add("second", _CAMERA),
                Add("third", _OTHER_CAMERA),
            ),
            _ALL_RUN,
        ),
        Act((Leave("first"),), _ALL_RUN),
        Act((Leave("second"), Edit("third", _CAMERA)), _ALL_RUN),
    ),
)
"""Streams that leave their workers while they run."""

ALL = (MIXED, FULL, LICENSED, ENDLESS, MOVING)
