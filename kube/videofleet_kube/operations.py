"""The writes the operator makes, as values, and how each is sent and its answer read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from .apply import OwnedByAnother, create_or_adopt
from .errors import ApiError, Conflict, Invalid, NotFound, TooManyRequests
from .merge import append_operations, json_patch, merge_diff
from .resources import Json, ObjectRef, Resource, uid_of, version_of
from .session import ApiSession


class Priority(IntEnum):
    """Order of writes; the lower goes first."""

    URGENT = 0
    """What frees something others wait for: deletions, releases."""
    PHASE = 1
    """What has happened to jobs."""
    START = 2
    """Jobs that are given to workers: what was begun comes first."""
    NORMAL = 3
    STATISTICS = 4


class Result(StrEnum):
    """How a write ended."""

    APPLIED = "Applied"
    UNCHANGED = "Unchanged"
    """Nothing to change, nothing sent."""
    CONFLICT = "Conflict"
    """Planned on what is no longer so: plan again."""
    GONE = "Gone"
    """The object does not exist (for a deletion: no longer)."""
    FAILED = "Failed"
    """`Outcome.error` says why and `Outcome.retryable` whether it may pass later."""
    FENCED = "Fenced"
    """Not sent: we may no longer be the leader by the time it would be done."""
    SUPERSEDED = "Superseded"
    """Not sent: a newer write to the same object took its place."""
    DROPPED = "Dropped"
    """The queue was stopped first. It may have been sent."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`object` is what the server holds now, when it said so; feed it to the cache at once."""

    result: Result
    write: Write
    object: Json | None = None
    error: ApiError | None = None

    @property
    def retryable(self) -> bool:
        """Whether the same write may pass later."""
        return self.error is not None and self.error.retryable


@dataclass(frozen=True, slots=True)
class Append:
    """Put `value` at the end of the list at `path`, which has `length` elements already and keeps its last `keep`.

    The planner need not know the elements, so they take no room in a cache.
    """

    path: tuple[str, ...]
    value: Json
    length: int
    keep: int


@dataclass(frozen=True, slots=True)
class Patch:
    """Bring what `desired` names of the object to what it says there; `current` is how the planner knows it.

    Both are partial objects, such as `{"status": {...}}`; a key within that `desired` lacks is removed.
    `check_version`: only if the object is still at `target.version`. Without it the incarnation alone is checked,
    which is right for statistics, where the last writer is right anyway. `append` goes along where there is a
    difference; what it says of the list is true of one version alone, so it needs `check_version`.
    """

    target: ObjectRef
    current: Json
    desired: Json
    subresource: str | None = None
    check_version: bool = True
    append: Append | None = None

    def __post_init__(self) -> None:
        if self.append is not None and not self.check_version:
            raise ValueError(f"an append to {'.'.join(self.append.path)} must check the version that it was planned on")

    def difference(self) -> Json | None:
        """The merge patch to send, None for nothing. Only top-level keys that `desired` has are looked at."""
        current = {key: value for key, value in self.current.items() if key in self.desired}
        return merge_diff(current, self.desired)

    def body(self, difference: Json) -> Json | list[Json]:
        """The request's body with its preconditions."""
        if self.append is not None:
            added = append_operations(self.append.path, self.append.value, self.append.length, self.append.keep)
            return json_patch(self.current, difference, self.target.uid, self.target.version) + added
        if self.check_version or not self._has_parents(difference):
            metadata = {"uid": self.target.uid, "resourceVersion": self.target.version}
            return {**difference, "metadata": {**difference.get("metadata", {}), **metadata}}
        return json_patch(self.current, difference, self.target.uid)

    def rebased(self, latest: Json) -> Patch:
        """The same intent on top of a newer known state; for those that check no version."""
        return replace(self, current=latest, target=replace(self.target, version=version_of(latest)))

    def _has_parents(self, difference: Json) -> bool:
        """A JSON patch would have to add, say, the whole status, and so overwrite one we do not know of yet."""
        return all(isinstance(self.current.get(key), dict) for key in difference)


@dataclass(frozen=True, slots=True)
class Create:
    """Create the object of `body`. With `owner_uid` an existing object of that controller is adopted."""

    resource: Resource
    namespace: str | None
    body: Json
    owner_uid: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete this incarnation, whatever its version; without a uid in `target` whatever has the name.

    `check_version`: only if the object is still at `target.version`.
    """

    target: ObjectRef
    grace_seconds: int | None = None
    propagation: str | None = "Background"
    check_version: bool = False


Write = Patch | Create | Delete
Key = tuple[str, str, str, str, str]


def key_of(write: Write) -> Key:
    """Writes of equal keys replace one another: same object, same kind of write."""
    if isinstance(write, Create):
        return (write.resource.group, write.resource.plural, write.namespace or "", _name(write.body), "create")
    target = write.target
    lane = "delete" if isinstance(write, Delete) else f"patch/{write.subresource or ''}"
    return (target.resource.group, target.resource.plural, target.namespace or "", target.name, lane)


def _name(body: Json) -> str:
    name = body.get("metadata", {}).get("name")
    if not name:
        raise ValueError("an object to create needs metadata.name; generateName cannot be adopted after a lost answer")
    return str(name)


async def send(session: ApiSession, write: Write, difference: Json | None, timeout: float) -> Outcome:
    """Send one write and read the answer. Raises only TooManyRequests, for the queue to try again."""
    try:
        return await _dispatch(session, write, difference, timeout)
    except TooManyRequests:
        raise
    except ApiError as error:
        return Outcome(_result_of(error, write, difference), write, error=error)


async def _dispatch(session: ApiSession, write: Write, difference: Json | None, timeout: float) -> Outcome:
    match write:
        case Patch(target=target):
            obj = await session.patch(
                target.resource,
                target.namespace,
                target.name,
                write.body(difference or {}),
                subresource=write.subresource,
                timeout=timeout,
            )
            return Outcome(Result.APPLIED, write, obj)
        case Create():
            obj, _ = await create_or_adopt(
                session, write.resource, write.namespace, write.body, owner_uid=write.owner_uid, timeout=timeout
            )
            return Outcome(Result.APPLIED, write, obj)
        case Delete(target=target):
            left = await session.delete(
                target.resource,
                target.namespace,
                target.name,
                uid=target.uid or None,
                version=target.version if write.check_version else None,
                grace_seconds=write.grace_seconds,
                propagation=write.propagation,
                timeout=timeout,
            )
            return _deleted(write, left)


def _deleted(write: Delete, left: Json | None) -> Outcome:
    if left is None:
        return Outcome(Result.GONE, write)
    # A graceful deletion answers with the object, an immediate one with a Status or the last state.
    terminating = "deletionTimestamp" in (left.get("metadata") or {})
    return Outcome(Result.APPLIED, write, left if terminating else None)


def _result_of(error: ApiError, write: Write, difference: Json | None) -> Result:
    match error:
        case NotFound():
            return Result.GONE
        case OwnedByAnother():
            return Result.FAILED
        case Conflict():
            return Result.CONFLICT
        case Invalid() if isinstance(write, Patch) and _precondition_failed(error, write, difference or {}):
            return Result.CONFLICT
        case _:
            return Result.FAILED


def _precondition_failed(error: Invalid, write: Patch, difference: Json) -> bool:
    """Another incarnation: an immutable uid (merge patch) or a failed test (JSON patch), which names no field."""
    if isinstance(write.body(difference), list):
        return not error.cause_fields
    return "metadata.uid" in error.cause_fields


def replaces(latest: Json, write: Patch) -> bool:
    """Whether `latest` is the same incarnation as the patch's target at another version."""
    return uid_of(latest) == write.target.uid and version_of(latest) != write.target.version
