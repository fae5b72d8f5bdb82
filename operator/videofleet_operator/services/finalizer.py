"""Hands out what is left to do in archives for jobs that nothing runs any more, until a worker says that it is done.

Two things tell what that is: what this leader sees happen to a job, at once; and what is noted in the archives, looked
at when a leader begins, when a worker is gone, and now and then. The second alone would do. It finds what happened
while nobody led, and what a leader did not live to see done; so nothing of this has to be in any status.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from videofleet_api.finalize import Finalize, Notes
from videofleet_api.phases import ASSIGNED
from videofleet_api.protocol import Delivered
from videofleet_operator.domain.differences import gone, replaced
from videofleet_operator.domain.finalizing import (
    Able,
    ArchiveId,
    Due,
    after_change,
    after_look,
    archive_of,
    by_archive,
    choose,
    is_due,
    is_told_by_another,
    teller,
)
from videofleet_operator.domain.health import condition_in
from videofleet_operator.domain.model import Job, Snapshot
from videofleet_operator.domain.outputs import CONDITION, in_all
from videofleet_operator.services.fleet import Given
from videofleet_operator.services.gather import KnownJob

_LOOK_SECONDS: Final = 600.0
_SOON_SECONDS: Final = 5.0
"""Between two looks, where something happened to a job of which it is not known in which archive it wrote."""


class Finalizer:
    """Of one leader. `look` asks a worker, by pod uid, what is noted in its archive; it returns None where there is no
    answer. `done`: what a worker, by pod uid, says that it has done, by key, with how the receivers are."""

    def __init__(
        self,
        look: Callable[[str], Awaitable[Notes | None]],
        done: Callable[[str], Mapping[str, Delivered | None]],
        changed: Callable[[], None],
        namespaces: Collection[str],
        clock: Callable[[], float],
    ) -> None:
        """`namespaces`: those whose jobs are known; none: all."""
        self._look = look
        self._done = done
        self._changed = changed
        self._namespaces = frozenset(namespaces)
        self._clock = clock
        self._seen: dict[str, KnownJob] = {}
        self._due: dict[tuple[ArchiveId, str], Due] = {}
        self._holders: dict[tuple[ArchiveId, str], str] = {}
        self._looked: dict[ArchiveId, float] = {}
        self._early: set[ArchiveId] = set()
        self._looking: dict[ArchiveId, asyncio.Task[None]] = {}
        self._found: list[tuple[ArchiveId, Notes]] = []
        self._given: dict[str, tuple[Finalize, ...]] = {}
        self._wanted: dict[tuple[ArchiveId, str], tuple[KnownJob, Finalize]] = {}
        self._there: dict[ArchiveId, frozenset[str | None]] = {}
        self._answers: dict[str, Delivered] = {}
        self._delivered: dict[str, Delivered] = {}

    def follow(self, known: Mapping[str, KnownJob], snapshot: Snapshot) -> Given:
        """What the workers have to do now."""
        able = by_archive(snapshot.pools, snapshot.workers.values())
        self._take_changes(known, snapshot, able.keys())
        self._take_looks(known, able)
        self._drop_done(known)
        self._drop_told(known)
        self._hand_out(able)
        self._miss(able)
        self._look_again(able)
        return self._given

    def delivered(self, uid: str) -> Delivered | None:
        """How the receivers of a job are that no worker has any more, by what was said of them last, with all best
        shots that its router has taken."""
        return self._delivered.get(uid)

    async def close(self) -> None:
        """Stop looking."""
        for task in self._looking.values():
            task.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)

    # What is due

    def _take_changes(self, known: Mapping[str, KnownJob], snapshot: Snapshot, archives: Collection[ArchiveId]) -> None:
        before, self._seen = self._seen, dict(known)
        changed = (uid for uid in replaced(before, known) if uid in before)
        for uid in (*gone(before, known), *changed):
            if uid not in known or known[uid].job.record.phase in ASSIGNED:
                self._answers.pop(uid, None)
                self._delivered.pop(uid, None)
            elif _ended_or_has_other_receivers(before[uid].job, known[uid].job) and _lacks(known[uid]):
                # Somebody tells them already; once it has, its status is to say so.
                self._early |= set(archives)
            old, new = before[uid].job, known[uid].job if uid in known else None
            if not is_due(old, new):
                continue
            worker = old.record.worker or (new.record.worker if new is not None else None)
            pool = None if worker is None else snapshot.pools.get(worker.pool)
            if worker is None or pool is None:
                # Nobody knows any more where it wrote: it is noted there.
                self._early |= set(archives)
            elif (archive := archive_of(pool)) is not None:
                self._add(Due(after_change(old, new), archive, worker.id))

    def _take_looks(self, known: Mapping[str, KnownJob], able: Able) -> None:
        found, self._found = self._found, []
        jobs = {uid: each.job for uid, each in known.items()} if found else {}
        for archive, notes in found:
            for wanted in after_look(notes, jobs, self._is_ours):
                there = able.get(archive, {}).values()
                worker = teller(wanted, jobs.get(wanted.uid), there) if wanted.untold else None
                self._add(Due(wanted, archive, worker))

    def _add(self, due: Due) -> None:
        self._due.setdefault((due.archive, due.wanted.key), due)

    def _is_ours(self, namespace: str) -> bool:
        return not self._namespaces or namespace in self._namespaces

    # Who does it

    def _drop_done(self, known: Mapping[str, KnownJob]) -> None:
        for key, worker in list(self._holders.items()):
            wanted = self._as_given(key)
            done = self._done(worker)
            if wanted.key in done:
                if (delivered := done[wanted.key]) is not None and wanted.uid in known:
                    self._take_answer(known[wanted.uid], wanted, delivered)
                if wanted.ends and not wanted.gone:
                    # Who ended so had no time to tell its receivers all.
                    self._early.add(key[0])
                self._drop(key)

    def _take_answer(self, known: KnownJob, wanted: Finalize, delivered: Delivered) -> None:
        if delivered is self._answers.get(wanted.uid):
            # What is handed out again at once still has it.
            return
        self._answers[wanted.uid] = delivered
        if known.job.record.run not in {each.run for each in wanted.untold}:
            # The status counts those of the run that was last.
            delivered = delivered.model_copy(update={"objects_posted": None})
        self._delivered[wanted.uid] = in_all(delivered, known.source.status, self._delivered.get(wanted.uid))

    def _drop_told(self, known: Mapping[str, KnownJob]) -> None:
        """Have receivers told as they are now. Whose cannot be known, or have a worker that tells them, are dropped:
        the next look finds what is left."""
        for key, due in list(self._due.items()):
            if not due.wanted.untold or due.wanted.gone:
                continue
            job, before = known.get(due.wanted.uid), self._wanted.get(key)
            if job is not None and before is not None and before[0] is job:
                continue
            wanted = None if job is None else _with_outputs(due.wanted, job)
            if job is None or wanted is None:
                self._drop(key)
            else:
                self._wanted[key] = job, wanted

    def _drop(self, key: tuple[ArchiveId, str]) -> None:
        del self._due[key]
        self._holders.pop(key, None)
        self._wanted.pop(key, None)

    def _as_given(self, key: tuple[ArchiveId, str]) -> Finalize:
        return self._wanted[key][1] if key in self._wanted else self._due[key].wanted

    def _hand_out(self, able: Able) -> None:
        if not self._due:
            self._given = {}
            return
        # Who waits for receivers keeps nobody from ending logs.
        busy: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        for key, holder in self._holders.items():
            busy[bool(self._due[key].wanted.untold)][holder] += 1
        given: dict[str, list[Finalize]] = {}
        for key, due in self._due.items():
            before = self._holders.pop(key, None)
            waits = bool(due.wanted.untold)
            worker = choose(due, before, able, busy[waits])
            if worker is None:
                continue
            busy[waits][worker] += worker != before
            self._holders[key] = worker
            given.setdefault(worker, []).append(self._as_given(key))
        new = {worker: tuple(each) for worker, each in given.items()}
        self._given = {
            worker: old if (old := self._given.get(worker)) == each else each for worker, each in new.items()
        }

    # What is noted

    def _miss(self, able: Able) -> None:
        """A process that is gone may have left receivers without something."""
        there = {archive: frozenset(each.instance for each in workers.values()) for archive, workers in able.items()}
        self._early |= {archive for archive, before in self._there.items() if before - there.get(archive, frozenset())}
        self._there = there

    def _look_again(self, archives: Able) -> None:
        now = self._clock()
        for archive, workers in archives.items():
            pause = _SOON_SECONDS if archive in self._early else _LOOK_SECONDS
            if archive in self._looking or now < self._looked.get(archive, -pause) + pause:
                continue
            self._early.discard(archive)
            self._looked[archive] = now
            self._looking[archive] = asyncio.create_task(self._ask(archive, min(workers)))

    async def _ask(self, archive: ArchiveId, worker: str) -> None:
        try:
            notes = await self._look(worker)
        finally:
            del self._looking[archive]
        if notes is None:
            self._early.add(archive)
            return
        self._found.append((archive, notes))
        self._changed()


def _with_outputs(wanted: Finalize, known: KnownJob) -> Finalize | None:
    """With the receivers of the job; None where a worker tells them, or where they cannot be known just now."""
    payload = None if is_told_by_another(wanted, known.job) else known.payload()
    if payload is None:
        return None
    key = f"{wanted.key}/{known.job.settings}"
    return wanted.model_copy(update={"key": key, "outputs": payload.outputs})


def _ended_or_has_other_receivers(old: Job, new: Job) -> bool:
    return old.record.phase in ASSIGNED or old.settings != new.settings


def _lacks(known: KnownJob) -> bool:
    """Whether a receiver of the job was last known to lack something."""
    return condition_in(known.source.status, CONDITION).get("status") == "False"
