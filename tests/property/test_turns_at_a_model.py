"""Laws of what waits for a model: nothing is lost, everybody gets a turn, and a batch is what a model can take."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from videofleet_worker.models.pending import PendingQueue


@dataclass(frozen=True)
class Item:
    """One of a stream's, by the order in which they came."""

    number: int
    stream: str
    lane: int
    shape: str


Step = tuple[str, int, str] | int
"""Something comes, of a stream, a lane and a shape; or a batch of so many is taken."""
ARRIVALS = st.tuples(st.sampled_from("abcd"), st.integers(0, 2), st.sampled_from(("small", "large")))
STEPS: st.SearchStrategy[list[Step]] = st.lists(st.one_of(ARRIVALS, st.integers(1, 5)), max_size=60)


def walk(steps: Sequence[Step]) -> tuple[list[Item], list[tuple[list[Item], list[Item]]]]:
    """What came, and for each batch what waited before it, and what it was; at the end all is taken."""
    queue: PendingQueue[Item] = PendingQueue()
    came: list[Item] = []
    waiting: list[Item] = []
    batches: list[tuple[list[Item], list[Item]]] = []

    def take(size: int) -> None:
        before = list(waiting)
        batch = queue.take(size)
        for item in batch:
            waiting.remove(item)
        batches.append((before, batch))
        assert len(queue) == len(waiting)

    for step in steps:
        if isinstance(step, int):
            take(step)
        else:
            item = Item(len(came), *step)
            came.append(item)
            waiting.append(item)
            queue.add(item)
    while waiting:
        take(5)
    return came, batches


@given(STEPS)
def test_each_is_taken_once_and_those_of_a_lane_in_order(steps: list[Step]) -> None:
    came, batches = walk(steps)
    taken = [item for _, batch in batches for item in batch]
    assert sorted(taken, key=lambda item: item.number) == came
    for key in {(item.stream, item.lane, item.shape) for item in came}:
        mine = [item.number for item in taken if (item.stream, item.lane, item.shape) == key]
        assert mine == sorted(mine)


@given(STEPS)
def test_a_batch_has_one_shape_and_one_of_a_lane_and_is_not_empty_where_something_waits(steps: list[Step]) -> None:
    for before, batch in walk(steps)[1]:
        assert bool(batch) == bool(before)
        assert len({item.shape for item in batch}) <= 1
        assert len({(item.stream, item.lane) for item in batch}) == len(batch)


@given(STEPS)
def test_nobody_waits_for_more_than_one_batch_of_each_other_stream(steps: list[Step]) -> None:
    """A batch begins with the stream whose turn it is, so that each has begun one before any begins its second."""
    passed: dict[str, list[str]] = {}
    for before, batch in walk(steps)[1]:
        waiting = {item.stream for item in before}
        for stream in [one for one in passed if one not in waiting]:
            del passed[stream]
        for item in batch:
            passed.pop(item.stream, None)
        for stream in waiting - {item.stream for item in batch}:
            passed.setdefault(stream, []).append(batch[0].stream)
        for firsts in passed.values():
            assert len(firsts) == len(set(firsts))
