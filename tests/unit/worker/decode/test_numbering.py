"""Numbers of frames when packets get lost in the decoder."""

from videofleet_worker.decode.numbering import FrameNumbers


def test_reordered_packets_are_numbered_as_they_are_shown() -> None:
    numbers = FrameNumbers()
    for stamp in (0.0, 0.3, 0.1, 0.2):
        numbers.received(stamp)

    assert [numbers.shown(stamp) for stamp in (0.0, 0.1, 0.2, 0.3)] == [(0, 0), (1, 0), (2, 0), (3, 0)]


def test_a_packet_that_never_came_out_keeps_its_number() -> None:
    numbers = FrameNumbers()
    for n in range(5):
        numbers.received(n / 10)

    assert numbers.shown(0.0) == (0, 0)
    assert numbers.shown(0.3) == (3, 2)
    assert numbers.ended() == 1
    assert numbers.next_index == 5


def test_without_timestamps_every_picture_takes_a_packet() -> None:
    numbers = FrameNumbers()
    for _ in range(3):
        numbers.received(None)

    assert [numbers.shown(None) for _ in range(3)] == [(0, 0), (1, 0), (2, 0)]


def test_skipped_packets_count() -> None:
    numbers = FrameNumbers()
    numbers.skipped(7)
    numbers.received(0.0)

    assert numbers.shown(0.0) == (7, 0)


def test_two_pictures_of_one_packet_have_two_numbers() -> None:
    numbers = FrameNumbers()
    numbers.received(0.0)

    assert [numbers.shown(0.0), numbers.shown(0.1)] == [(0, 0), (1, 0)]


def test_a_decoder_that_swallows_everything_is_noticed() -> None:
    numbers = FrameNumbers()

    assert sum(numbers.received(n / 10) for n in range(100)) == 36
