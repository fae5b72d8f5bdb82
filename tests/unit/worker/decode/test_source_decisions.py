"""When to reconnect, when a child is hung, and how numbers go on."""

import pytest

from videofleet_api.codes import ErrorCode
from videofleet_worker.pipeline.tools import AttendedPolicy
from videofleet_worker.sources.errors import DecoderLostError, Lost, SourceError
from videofleet_worker.sources.position import RunPosition
from videofleet_worker.sources.reconnect import MOST_DECODERS, REMEMBERED, Loss, Losses, ReconnectPolicy
from videofleet_worker.sources.request import SourceRequest
from videofleet_worker.sources.watchdog import Watchdog

LOST = SourceError(ErrorCode.NETWORK, "gone")
CRASHED = DecoderLostError(Lost.CRASH, "decoder crashed (SIGSEGV)")


def delays(policy: ReconnectPolicy, error: SourceError, most: int = 12) -> list[float]:
    """The delays until the policy gives up, when every attempt fails at once."""
    waited: list[float] = []
    while len(waited) < most:
        lost = len(waited) + 1 if isinstance(error, DecoderLostError) else 0
        delay = policy.delay(Loss(len(waited) + 1, error, sum(waited), lost))
        if delay is None:
            break
        waited.append(delay)
    return waited


@pytest.mark.parametrize(
    ("window", "code", "expected"),
    [
        (30.0, ErrorCode.NETWORK, [0.5, 1, 2, 4, 5, 5, 5, 5]),
        (3.0, ErrorCode.NETWORK, [0.5, 1]),
        (0.0, ErrorCode.NETWORK, []),
        (None, ErrorCode.STALLED, [0.5, 1, 2, 4, 5, 5, 5, 5, 5, 5, 5, 5]),
        (30.0, ErrorCode.AUTH, []),
        (None, ErrorCode.AUTH, [60] * 12),
        (None, ErrorCode.CODEC, []),
        (None, ErrorCode.INTERNAL, []),
    ],
)
def test_reconnecting(window: float | None, code: ErrorCode, expected: list[float]) -> None:
    assert delays(ReconnectPolicy(window=window), SourceError(code, "gone")) == expected


@pytest.mark.parametrize(
    ("window", "expected"), [(30.0, [0, 0.5, 1, 2, 4]), (1.0, [0, 0.5]), (0.0, []), (None, [0, 0.5, 1, 2, 4, 60, 60])]
)
def test_another_decoder_comes_at_once_and_then_as_a_camera_is_tried(
    window: float | None, expected: list[float]
) -> None:
    assert delays(ReconnectPolicy(window=window), CRASHED, 7) == expected


@pytest.mark.parametrize("apart", [1.0, 11.0, 119.0])
def test_a_source_that_kills_its_decoders_is_given_up_however_long_each_of_them_lives(apart: float) -> None:
    losses, policy, now = Losses(), ReconnectPolicy(), 100.0
    for _ in range(MOST_DECODERS):
        losses.delivered(now)
        losses.delivered(now + apart - 0.5)
        now += apart
        assert policy.delay(losses.lost(now, policy.stable_after, CRASHED)) is not None
    losses.delivered(now)
    assert policy.delay(losses.lost(now + 1, policy.stable_after, CRASHED)) is None


def test_decoders_that_were_lost_long_ago_are_forgotten() -> None:
    losses, policy = Losses(), ReconnectPolicy()
    for number in range(3 * MOST_DECODERS):
        now = number * REMEMBERED / (MOST_DECODERS - 1)
        losses.delivered(now + 1)
        losses.delivered(now + 60)
        assert policy.delay(losses.lost(now + 60, policy.stable_after, CRASHED)) == 0


@pytest.mark.parametrize("code", [ErrorCode.NETWORK, ErrorCode.AUTH])
def test_without_limit_while_no_operator_listens(code: ErrorCode) -> None:
    listening = False
    policy = AttendedPolicy(window=30.0, attended=lambda: listening)
    error = SourceError(code, "gone")
    unattended = delays(policy, error, 100)
    assert len(unattended) == 100
    assert min(unattended) == (60 if code is ErrorCode.AUTH else 0.5)
    listening = True
    assert policy.delay(Loss(9, error, 31.0)) is None, "an operator that comes back takes over"
    assert delays(policy, error) == delays(ReconnectPolicy(window=30.0), error)


def said(dog: Watchdog, now: float) -> tuple[ErrorCode, str] | None:
    """What is wrong with a source whose consumer waits."""
    failure = dog.failure(now, consumer_waits=True)
    return None if failure is None else (failure.code, failure.message)


def test_the_watchdog_waits_for_the_opening_then_for_packets_then_for_pictures() -> None:
    dog = Watchdog(10, 4, 10)
    dog.started(100)
    assert dog.failure(110, consumer_waits=True) is None
    assert said(dog, 110.1) == (ErrorCode.TIMEOUT, "the source could not be opened within 10 s")

    dog.opened(111, live=True)
    dog.heard(115)
    assert dog.failure(115, consumer_waits=True) is None
    assert said(dog, 115.1) == (ErrorCode.TIMEOUT, "no data came for 4 s")

    dog.picture(116)
    dog.heard(120)
    assert said(dog, 120.1) == (ErrorCode.STALLED, "no data came for 4 s")
    assert dog.failure(999, consumer_waits=False) is None

    dog.unblocked(999)
    assert dog.failure(1003, consumer_waits=True) is None


@pytest.mark.parametrize(
    ("live", "patience"),
    [
        pytest.param(True, 4, id="a live one says that it waits"),
        pytest.param(False, 15, id="a recorded one reads, and its server has 10 seconds"),
    ],
)
def test_a_child_that_says_nothing_at_all_hangs(live: bool, patience: float) -> None:
    dog = Watchdog(10, 4, 10)
    dog.started(0)
    dog.opened(0, live=live)
    dog.picture(1)
    dog.heard(1)
    assert dog.failure(1 + patience, consumer_waits=True) is None
    failure = dog.failure(1.1 + patience, consumer_waits=True)
    assert isinstance(failure, DecoderLostError)
    assert (failure.how, failure.code) == (Lost.HANG, ErrorCode.STALLED)
    assert failure.message == f"the decoder said nothing for {patience:g} s; it was stopped"


@pytest.mark.parametrize("keyframes_only", [False, True])
def test_packets_without_pictures(keyframes_only: bool) -> None:
    dog = Watchdog(10, 4, 10, keyframes_only=keyframes_only)
    dog.started(0)
    dog.opened(0, live=True)
    for second in range(1, 14):
        dog.heard(second)
        dog.packets(second)

    expected = (ErrorCode.TIMEOUT, "data came for 12 s, but no picture could be decoded from it")
    assert said(dog, 13) == (None if keyframes_only else expected)


def test_numbers_and_times_go_on_over_a_reconnect() -> None:
    position = RunPosition()
    position.begin_connection()
    assert position.place(0, 0.0, 100.0) == (0, 0.0)
    assert position.place(5, 0.5, 100.5) == (5, 0.5)

    position.begin_connection()
    (first, first_pts), (second, second_pts) = position.place(2, 0.2, 103.5), position.place(3, 0.3, 103.6)
    assert (first, second) == (8, 9)
    assert [first_pts, second_pts] == pytest.approx([3.5, 3.6])


@pytest.mark.parametrize(("index", "pts"), [(5, 0.6), (6, 0.4)])
def test_a_connection_that_counts_backwards_is_refused(index: int, pts: float) -> None:
    position = RunPosition()
    position.place(5, 0.5, 100.0)

    with pytest.raises(ValueError, match="comes after"):
        position.place(index, pts, 100.1)


def test_a_request_shows_no_credentials() -> None:
    shown = repr(SourceRequest("rtsp://camera/1", username="admin", password="hunter2"))

    assert "admin" not in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "rtsp://admin:hunter2@camera/1"}, "url must not hold credentials: .*credentialsSecretRef"),
        ({"url": "rtsp://camera/1", "max_frames": 0}, "max_frames must be at least 1, got 0"),
        ({"url": "rtsp://camera/1", "stall_timeout": 0}, "stall_timeout must be above 0 seconds, got 0"),
    ],
)
def test_requests_that_make_no_sense(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        SourceRequest(**options)  # type: ignore[arg-type]  # parametrised
    assert "hunter2" not in str(raised.value)
