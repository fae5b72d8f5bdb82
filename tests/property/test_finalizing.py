"""Nothing terminal is written while another attempt may follow; what is due stays assigned until it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.property.test_lifecycle import current, stories
from tests.support.domain import NOW, assigned, job, pool, record, snapshot, worker
from videofleet_api.finalize import Finalize, Notes
from videofleet_api.phases import ASSIGNED, Phase
from videofleet_operator.domain.facts import Fact
from videofleet_operator.domain.finalizing import last_over
from videofleet_operator.domain.lifecycle import advance
from videofleet_operator.domain.model import Record
from videofleet_operator.domain.records import Context
from videofleet_operator.services.finalizer import Finalizer
from videofleet_operator.services.gather import KnownJob
from videofleet_operator.services.objects import JobObject, Meta
from videofleet_operator.services.specs import Shape


@given(stories)
def test_no_worker_gets_a_run_that_was_ended(story: list[tuple[Fact, Context, float]]) -> None:
    now, it, over = NOW, Record(), 0
    for fact, context, pause in story:
        now += pause
        it = advance(it, current(fact, it), context, now)
        assert last_over(it) >= over, "what is over stays so"
        over = last_over(it)
        assert it.phase not in ASSIGNED or it.run > over


def _known(uid: str, phase: Phase) -> KnownJob:
    made = job(uid, record(phase, worker=assigned(worker("a")) if phase in ASSIGNED else None))
    meta = Meta(uid, made.namespace, uid, "1", 1, made.created, False)
    return KnownJob(JobObject(meta, Shape(made.spec), None, made.record, b""), (), made, lambda _: None)


class Played:
    """A leader's finalizer over workers that do what they are told when the story says so."""

    def __init__(self, uids: list[str]) -> None:
        self.answering = {"id-a", "id-b"}
        self.told: dict[str, set[str]] = {"id-a": set(), "id-b": set()}
        self.jobs = {uid: _known(uid, Phase.INPROGRESS) for uid in uids}
        self.given: Mapping[str, tuple[Finalize, ...]] = {}
        self.finalizer = Finalizer(
            self._no_notes, lambda uid: dict.fromkeys(self.told[uid]), lambda: None, (), lambda: NOW
        )

    async def _no_notes(self, _: str) -> Notes | None:
        return Notes()

    def turn(self) -> None:
        workers = [replace(worker(name), connected=f"id-{name}" in self.answering) for name in "ab"]
        pools = [pool(archive={"claimName": "results"})]
        self.given = self.finalizer.follow(self.jobs, snapshot((), workers, pools))

    def finish(self, uid: str) -> set[str]:
        """A worker does all that it has; the jobs of that."""
        mine = self.given.get(uid, ())
        self.told[uid] |= {each.key for each in mine}
        return {each.uid for each in mine}


steps = st.one_of(
    st.tuples(st.just("delete"), st.integers(0, 7)),
    st.tuples(st.sampled_from(["finish", "lose", "back"]), st.sampled_from(["id-a", "id-b"])),
)


@given(st.lists(steps, max_size=20))
def test_what_is_due_is_with_one_worker_until_it_is_done(story: list[tuple[str, int | str]]) -> None:
    asyncio.run(_play(story))


async def _play(story: list[tuple[str, int | str]]) -> None:
    played, due = Played([str(number) for number in range(8)]), set[str]()
    played.turn()
    for what, which in story:
        match what:
            case "delete" if str(which) in played.jobs:
                del played.jobs[str(which)]
                due.add(str(which))
            case "finish" if which in played.answering:
                due -= played.finish(str(which))
            case "lose":
                played.answering.discard(str(which))
            case "back":
                played.answering.add(str(which))
        played.turn()
        held = [each.uid for uid, mine in played.given.items() for each in mine if uid in played.answering]
        assert sorted(held) == (sorted(due) if played.answering else [])
    await played.finalizer.close()
