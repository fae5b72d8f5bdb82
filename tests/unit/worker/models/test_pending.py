"""Images that wait: streams take turns."""

from dataclasses import dataclass

from videofleet_worker.models.pending import PendingQueue


@dataclass(frozen=True)
class Image:
    stream: str
    number: int
    shape: str = "small"
    lane: int | None = None


def queue_of(*names: str) -> PendingQueue[Image]:
    queue: PendingQueue[Image] = PendingQueue()
    for name in names:
        queue.add(Image(name[0], int(name[1])))
    return queue


def names(images: list[Image]) -> list[str]:
    return [f"{image.stream}{image.number}" for image in images]


def test_streams_take_turns_with_their_oldest() -> None:
    queue = queue_of("a1", "a2", "b1", "a3", "c1")
    assert queue.lanes() == 3
    assert names(queue.take(2)) == ["a1", "b1"]
    assert names(queue.take(8)) == ["c1", "a2"]
    assert names(queue.take(8)) == ["a3"]
    assert len(queue) == 0


def test_a_stream_that_comes_late_waits_for_one_item_of_each_other() -> None:
    queue = queue_of("a1", "a2", "a3", "b1", "b2", "b3")
    assert names(queue.take(1)) == ["a1"]
    queue.add(Image("c", 1))
    assert [names(queue.take(1)) for _ in range(6)] == [["b1"], ["a2"], ["c1"], ["b2"], ["a3"], ["b3"]]


def test_items_of_several_lanes_of_a_stream_go_together_after_those_of_others() -> None:
    queue: PendingQueue[Image] = PendingQueue()
    for number in (1, 2, 3):
        queue.add(Image("a", number, lane=number))
    queue.add(Image("a", 4, lane=1))
    queue.add(Image("b", 1))
    assert queue.lanes() == 4
    assert names(queue.take(8)) == ["a1", "b1", "a2", "a3"]
    assert names(queue.take(8)) == ["a4"]


def test_one_can_be_taken_out_and_only_once() -> None:
    queue = queue_of("a1", "b1", "a2")
    assert queue.remove(Image("a", 1)) is True
    assert queue.remove(Image("a", 1)) is False
    assert len(queue) == 2
    assert sorted(names(queue.take_all())) == ["a2", "b1"]
    assert len(queue) == 0
    assert queue.take(1) == []


def test_only_images_of_the_shape_of_the_first_go_together() -> None:
    queue: PendingQueue[Image] = PendingQueue()
    for image in (Image("a", 1), Image("b", 1, "large"), Image("c", 1), Image("d", 1, "large")):
        queue.add(image)
    assert queue.lanes() == 2
    assert names(queue.take(8)) == ["a1", "c1"]
    assert queue.lanes() == 2
    assert names(queue.take(8)) == ["b1", "d1"]


def test_who_does_not_fit_into_a_batch_keeps_the_turn() -> None:
    queue: PendingQueue[Image] = PendingQueue()
    for image in (Image("a", 1), Image("a", 2), Image("b", 1, "large")):
        queue.add(image)
    assert names(queue.take(8)) == ["a1"]
    assert names(queue.take(8)) == ["b1"]
    assert names(queue.take(8)) == ["a2"]
