"""A tally that follows snapshots knows the same as one that counts the last of them alone."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.support.domain import assigned, job, pool, record, snapshot, worker
from videofleet_api.codes import Reason
from videofleet_api.phases import ASSIGNED, Phase
from videofleet_operator.domain.model import Job, Licence, Move, Snapshot
from videofleet_operator.domain.tally import Tally

WORKERS = [worker(f"w{number}", of=f"default/{'pq'[number % 2]}") for number in range(4)]
REASONS = (None, Reason.WORKERS_FULL, Reason.MODEL_MISSING, Reason.PENDING)


@st.composite
def jobs(draw: st.DrawFn, uid: str) -> Job:
    phase = draw(st.sampled_from(Phase))
    source = draw(st.sampled_from(("rtsp://camera/1", "http://host/clip.mp4")))
    made = record(phase, reason=draw(st.sampled_from(REASONS)), suspicion=draw(st.integers(0, 2)))
    if phase in ASSIGNED:
        here, there = draw(st.permutations(WORKERS))[:2]
        move = Move(assigned(there), 4, made.since) if draw(st.booleans()) else None
        made = replace(made, worker=assigned(here), move=move)
    return job(uid, made, slots=draw(st.integers(1, 3)), source={"url": source})


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    made = [draw(jobs(uid)) for uid in draw(st.sets(st.sampled_from("abcde")))]
    pools = [pool(name, isolation=draw(st.sampled_from(("process", "pod")))) for name in "pq"]
    return snapshot(made, WORKERS, pools)


@given(st.lists(snapshots(), max_size=5))
def test_it_counts_only_what_differs_and_all_of_it(seen: list[Snapshot]) -> None:
    following = Tally()
    for each in seen:
        # The same jobs in other pools, too: what they take of a worker may then be another.
        following.follow(replace(each, pools=snapshot(pools=[pool("p", isolation="pod"), pool("q")]).pools))
        following.follow(each)
        following.follow(each)
        counted = Tally.of(each)
        assert +following.phases == +counted.phases
        assert following.used == counted.used
        assert following.crowded_out == counted.crowded_out
        assert following.lacking == counted.lacking
        for licence in (Licence(count_recorded=True), Licence(count_recorded=False)):
            assert following.licensed(licence) == counted.licensed(licence)
        assert sum(counted.phases.values()) == len(each.jobs)
