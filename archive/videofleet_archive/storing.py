"""One segment of a log becomes durable, whatever its store answers. Blocking."""

from videofleet_archive.acquire import scan
from videofleet_archive.errors import FencedError
from videofleet_archive.extent import segment_key, sidecar_key
from videofleet_archive.store import Store


def store_segment(
    store: Store, prefix: str, offset: int, data: bytes, sidecar: bytes | None, *, again: bool = False
) -> bool:
    """Create the sidecar, then the segment at `offset`. False: neither stored nor taken, try again.

    `again`: an attempt before may have come through, or still be on its way. Raises FencedError when another writer's
    bytes lie there. Blocking.
    """
    # The sidecar comes first: a segment without one could not be resumed after. A sidecar without its segment is
    # harmless, because whoever owns the end next begins with a comment at this offset.
    if sidecar is not None:
        _is_created(store, sidecar_key(prefix, offset), sidecar, again=again)
    key = segment_key(prefix, offset)
    if _is_created(store, key, data, again=again):
        return True
    found = store.read(key)
    if found is None:
        return False
    if found == data:
        return True
    raise FencedError(f"another writer owns {prefix} from offset {offset} on")


def _is_created(store: Store, key: str, data: bytes, *, again: bool) -> bool:
    # Where a store takes longer than anybody waits for its answer, only reading tells that it has the object.
    if again and store.read(key) is not None:
        return False
    return store.create(key, data)


def must_be_end(store: Store, prefix: str, end: int) -> None:
    """Raise FencedError unless the log ends there. Blocking.

    A key that is free tells nothing to a writer that was away for long: what another one had put there may have become
    part of something larger by then.
    """
    found = scan(store, prefix).end
    if found != end:
        raise FencedError(f"another writer has taken {prefix} on to {found}")
