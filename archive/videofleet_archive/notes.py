"""Notes beside the logs: which runs have begun and are not over, the results of which jobs go with the job, and whose
receivers may not have everything.

What becomes of them is for the operator to say, which knows the jobs and not the archive; workers know the archive and
not the jobs. All notes of one operator lie in three folders: a listing of names each tells everything. Blocking.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pydantic import BaseModel, ValidationError

from videofleet_api.finalize import NotedJob, NotedRun, Notes, Untold
from videofleet_archive.errors import ArchiveCorruptError
from videofleet_archive.store import Store

_BEGUN: Final = ".begun"
_DELETED: Final = ".deleted"
_UNTOLD: Final = ".untold"
_SEPARATOR: Final = "."
"""In no namespace and no uid. A folder a job would stay behind empty on a disk."""


class _Begun(BaseModel):
    analytics: list[str]


def note_run(store: Store, fleet: str, run: NotedRun, analytics: Sequence[str]) -> None:
    """A worker begins this run; each of its epochs may say so."""
    store.create(_run_key(fleet, run), _Begun(analytics=list(analytics)).model_dump_json().encode())


def noted_analytics(store: Store, fleet: str, run: NotedRun) -> list[str] | None:
    """The analytics of a run that is noted; None of another one. Raises ArchiveCorruptError."""
    key = _run_key(fleet, run)
    found = store.read(key)
    try:
        return None if found is None else _Begun.model_validate_json(found).analytics
    except ValidationError as error:
        raise ArchiveCorruptError(f"{key} cannot be read: {error}") from error


def forget_run(store: Store, fleet: str, run: NotedRun) -> None:
    """The run is over."""
    store.delete([_run_key(fleet, run)])


def note_deletion(store: Store, fleet: str, job: NotedJob) -> None:
    """The results of this job go with it."""
    store.create(_job_key(fleet, job), b"")


def is_noted_for_deletion(store: Store, fleet: str, job: NotedJob) -> bool:
    """Whether the results of this job go with it."""
    return store.read(_job_key(fleet, job)) is not None


def forget_deletion(store: Store, fleet: str, job: NotedJob) -> None:
    """They stay, or have gone."""
    store.delete([_job_key(fleet, job)])


def note_untold(store: Store, fleet: str, epoch: Untold) -> None:
    """From here on somebody has to see that the receivers of this epoch have everything."""
    store.create(_untold_key(fleet, epoch), b"")


def forget_untold(store: Store, fleet: str, epochs: Iterable[Untold]) -> None:
    """They have, or there are none."""
    store.delete([_untold_key(fleet, each) for each in epochs])


def read_notes(store: Store, fleet: str) -> Notes:
    """All that is noted; names that mean nothing are passed over."""
    return Notes(runs=list(_runs(store, fleet)), deleted=list(_jobs(store, fleet)), untold=list(_untold(store, fleet)))


def _runs(store: Store, fleet: str) -> Iterator[NotedRun]:
    for one in store.listing(f"{_BEGUN}/{fleet}"):
        match one.key.rpartition("/")[2].split(_SEPARATOR):
            case [namespace, uid, run] if namespace and uid and _is_number(run):
                yield NotedRun(namespace=namespace, uid=uid, run=int(run))


def _jobs(store: Store, fleet: str) -> Iterator[NotedJob]:
    for one in store.listing(f"{_DELETED}/{fleet}"):
        match one.key.rpartition("/")[2].split(_SEPARATOR):
            case [namespace, uid] if namespace and uid:
                yield NotedJob(namespace=namespace, uid=uid)


def _untold(store: Store, fleet: str) -> Iterator[Untold]:
    for one in store.listing(f"{_UNTOLD}/{fleet}"):
        match one.key.rpartition("/")[2].split(_SEPARATOR):
            case [namespace, uid, run, epoch, worker] if (
                namespace and uid and worker and all(map(_is_number, (run, epoch)))
            ):
                yield Untold(namespace=namespace, uid=uid, run=int(run), epoch=int(epoch), worker=worker)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) > 0


def _run_key(fleet: str, run: NotedRun) -> str:
    return f"{_BEGUN}/{fleet}/{_SEPARATOR.join((run.namespace, run.uid, str(run.run)))}"


def _job_key(fleet: str, job: NotedJob) -> str:
    return f"{_DELETED}/{fleet}/{_SEPARATOR.join((job.namespace, job.uid))}"


def _untold_key(fleet: str, epoch: Untold) -> str:
    parts = epoch.namespace, epoch.uid, str(epoch.run), str(epoch.epoch), epoch.worker
    return f"{_UNTOLD}/{fleet}/{_SEPARATOR.join(parts)}"
