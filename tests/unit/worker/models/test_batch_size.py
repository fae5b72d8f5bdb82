"""The batch size rule on machines whose cost of a batch is known."""

from collections.abc import Callable

import pytest

from videofleet_worker.models.batch_size import BatchLimits, BatchSizes, allowed, observe, start

Cost = Callable[[int], float]


def cpu(images: int) -> float:
    """Measured with NanoDet on two cores: 41.7 ms for one image, 40.1 ms an image in a batch of four."""
    return 0.0401 * images + 0.0016


def gpu(images: int) -> float:
    """Two milliseconds to launch, then a tenth of one an image; from 16 images on the device is full."""
    return 0.002 + 0.0001 * images + 0.0005 * max(images - 16, 0)


def run(
    cost: Cost, waiting: int, batches: int, limits: BatchLimits, sizes: BatchSizes | None = None
) -> tuple[BatchSizes, list[int]]:
    """So many batches while `waiting` streams always have an image ready; the sizes that were run."""
    sizes = sizes or start(limits)
    ran = []
    for _ in range(batches):
        size = allowed(sizes, waiting)
        sizes = observe(sizes, limits, size, cost(size), waiting)
        ran.append(size)
    return sizes, ran


def test_a_cpu_stays_at_one_image() -> None:
    sizes, ran = run(cpu, waiting=16, batches=3000, limits=BatchLimits())
    assert sizes.settled == 1
    assert set(ran) == {1, 2}
    assert ran.count(2) / len(ran) < 0.03  # the price of looking


def test_a_gpu_climbs_to_where_it_is_full() -> None:
    sizes, ran = run(gpu, waiting=64, batches=500, limits=BatchLimits())
    assert sizes.settled == 16
    assert ran[-100:].count(16) > 80


def test_the_largest_size_allowed_is_not_passed() -> None:
    sizes, ran = run(lambda _: 0.002, waiting=64, batches=2000, limits=BatchLimits(largest=8))
    assert sizes.settled == 8
    assert max(ran) == 8


def test_nothing_is_tried_that_could_not_be_filled() -> None:
    sizes, ran = run(gpu, waiting=3, batches=500, limits=BatchLimits())
    assert sizes.settled == 2
    assert set(ran) == {1, 2}


def test_a_batch_may_not_become_too_slow_however_much_it_serves() -> None:
    limits = BatchLimits(slowest_batch=0.1)
    sizes, _ = run(lambda images: 0.03 * images**0.8, waiting=64, batches=3000, limits=limits)
    assert 0.03 * sizes.settled**0.8 <= 0.1
    assert sizes.settled == 4


def test_a_size_that_no_longer_pays_is_left() -> None:
    limits = BatchLimits()
    sizes, _ = run(gpu, waiting=64, batches=500, limits=limits)
    sizes, _ = run(lambda images: 0.004 * images, waiting=64, batches=8000, limits=limits, sizes=sizes)
    assert sizes.settled == 1


def test_a_settled_size_that_became_too_slow_is_left_at_once() -> None:
    limits = BatchLimits()
    sizes, _ = run(gpu, waiting=64, batches=500, limits=limits)
    sizes, _ = run(lambda images: 0.5 if images > 4 else 0.01, waiting=64, batches=60, limits=limits, sizes=sizes)
    assert sizes.settled <= 4


def test_the_first_batch_of_a_size_is_not_counted() -> None:
    ran: set[int] = set()

    def slow_at_first(images: int) -> float:
        first = images not in ran
        ran.add(images)
        return 5.0 if first else gpu(images)

    sizes, _ = run(slow_at_first, waiting=64, batches=500, limits=BatchLimits())
    assert sizes.settled == 16


def test_few_streams_get_partial_batches_from_the_ladder_at_once() -> None:
    sizes, _ = run(gpu, waiting=64, batches=500, limits=BatchLimits())
    assert [allowed(sizes, waiting) for waiting in (0, 1, 3, 6, 17)] == [0, 1, 2, 4, 16]


@pytest.mark.parametrize("batches", [10, 100, 5000])
def test_the_rule_forgets_nothing_it_needs_and_keeps_little(batches: int) -> None:
    sizes, _ = run(gpu, waiting=64, batches=batches, limits=BatchLimits())
    assert sum(len(times) for times in sizes.samples.values()) <= 5 * 7
