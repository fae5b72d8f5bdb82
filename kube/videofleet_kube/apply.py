"""Create an object whose name is decided beforehand, or adopt the one that an earlier, forgotten try has left."""

from __future__ import annotations

from .errors import AlreadyExists, Conflict, PermanentError
from .resources import Json, Resource
from .session import ApiSession


class OwnedByAnother(PermanentError):
    """The name is taken by an object that another controller owns, or nobody."""


async def create_or_adopt(
    session: ApiSession,
    resource: Resource,
    namespace: str | None,
    body: Json,
    *,
    owner_uid: str | None = None,
    timeout: float | None = None,
) -> tuple[Json, bool]:
    """The object as stored, and whether this call created it.

    A taken name is adopted when its controller has `owner_uid` and it is not being deleted; OwnedByAnother when the
    owner differs; Conflict while it is being deleted (try again when it is gone). Without `owner_uid` a taken name is
    AlreadyExists.
    """
    try:
        return await session.create(resource, namespace, body, timeout=timeout), True
    except AlreadyExists:
        if owner_uid is None:
            raise
    name = str(body["metadata"]["name"])
    existing = await session.get(resource, namespace, name, timeout=timeout)
    if existing is None or "deletionTimestamp" in existing["metadata"]:
        raise Conflict(f"{resource.plural} {name!r} is just being deleted", status=409, reason="AlreadyExists")
    owner = controller_of(existing)
    if owner != owner_uid:
        raise OwnedByAnother(
            f"{resource.plural} {name!r} exists and its controller is {owner or 'nobody'}, expected {owner_uid}",
            status=409,
            reason="AlreadyExists",
        )
    return existing, False


def controller_of(obj: Json) -> str | None:
    """The uid of the object's controlling owner."""
    for owner in obj["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            return str(owner["uid"])
    return None
