"""Images that wait: oldest first, one a stream."""

from dataclasses import dataclass

from videofleet_worker.models.pending import PendingQueue


@dataclass(frozen=True)
class Image:
    stream: str
    number: int
    shape: str = "small"


def queue_of(*names: str) -> PendingQueue[Image]:
    queue: PendingQueue[Image] = PendingQueue()
    for name in names:
        queue.add(Image(name[0], int(name[1])))
    return queue


def names(images: list[Image]) -> list[str]:
    return [f"{image.stream}{image.number}" for image in images]


def test_the_oldest_of_each_stream_come_first() -> None:
    queue = queue_of("a1", "a2", "b1", "a3", "c1")
    assert queue.streams() == 3
    assert names(queue.take(2)) == ["a1", "b1"]
    assert names(queue.take(8)) == ["a2", "c1"]
    assert names(queue.take(8)) == ["a3"]
    assert len(queue) == 0


def test_one_can_be_taken_out_and_only_once() -> None:
    queue = queue_of("a1", "b1", "a2")
    assert queue.remove(Image("a", 1)) is True
    assert queue.remove(Image("a", 1)) is False
    assert names(queue.take_all()) == ["b1", "a2"]
    assert queue.take(1) == []


def test_only_images_of_the_shape_of_the_oldest_go_together() -> None:
    queue: PendingQueue[Image] = PendingQueue()
    for image in (Image("a", 1), Image("b", 1, "large"), Image("c", 1), Image("d", 1, "large")):
        queue.add(image)
    assert queue.streams() == 2
    assert names(queue.take(8)) == ["a1", "c1"]
    assert queue.streams() == 2
    assert names(queue.take(8)) == ["b1", "d1"]
