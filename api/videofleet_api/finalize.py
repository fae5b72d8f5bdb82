"""The end of what nothing runs any more: what operator and worker say to each other about it.

Workers note in the archive which runs they have begun, which of them may have receivers that do not have everything,
and the results of which jobs go with the job. The operator has them told (`GET /v1/notes`), compares them with the jobs
that there are, and has workers do the rest (`AssignmentSet.finalize`).
"""

from typing import Annotated

from pydantic import Field

from videofleet_api.model import Document
from videofleet_api.outputs import DeletionPolicy
from videofleet_api.results import FinishReason
from videofleet_api.targets import JobOutputs

Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[0-9A-Za-z-]+$")]
"""Part of an address in the archive: never more of it than was meant."""


class RunEnd(Document):
    """How a run ends that no later epoch will go on with."""

    run: int = Field(ge=1)
    epoch: int | None = Field(None, ge=1)
    """The job's last one; None where nobody knows it any more. Results that a later one has begun are left alone."""
    reason: FinishReason
    code: str | None = None
    """With `message` why, where the reason is error."""
    message: str | None = None
    analytics: list[str] = Field(default_factory=list)
    """Those of a run that no worker has noted."""


class Untold(Document):
    """An epoch of a run whose receivers may not have everything that they are to be told of it."""

    namespace: Name
    uid: Name
    run: int = Field(ge=1)
    epoch: int = Field(ge=1)
    worker: Name
    """The process (`instance`) that tells them, while it lives."""


class Finalize(Document):
    """What is to be done in the archive for one job. It stays assigned until the worker says that it is done.

    Never logged: holds the credentials of receivers.
    """

    key: str
    """Names it; what asks for something else has another one."""
    uid: Name
    namespace: Name
    ends: list[RunEnd] = Field(default_factory=list)
    deletion: DeletionPolicy | None = None
    """outputs.archive.deletionPolicy, to be noted; None: what is noted holds."""
    gone: bool = False
    """The job has been deleted: where that is its policy, its results go."""
    name: str = ""
    """The job's, where receivers are told something."""
    untold: list[Untold] = Field(default_factory=list)
    """Notes of runs that no worker has. Their letters are to be delivered to `outputs`, for a while; the notes go when
    every receiver has everything."""
    outputs: JobOutputs = Field(default_factory=JobOutputs)
    """Without receivers nobody is told anything, and the notes go."""


class NotedRun(Document):
    """A run that a worker has begun and nobody has ended."""

    namespace: Name
    uid: Name
    run: int = Field(ge=1)


class NotedJob(Document):
    """A job whose results go with it."""

    namespace: Name
    uid: Name


class Notes(Document):
    """`GET /v1/notes?fleet=FLEET`: what is noted in the archive by the workers of one operator."""

    runs: list[NotedRun] = Field(default_factory=list)
    deleted: list[NotedJob] = Field(default_factory=list)
    untold: list[Untold] = Field(default_factory=list)
