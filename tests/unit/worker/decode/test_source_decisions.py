"""When to reconnect, when a child is hung, and how numbers go on."""

import pytest

from videofleet_api.codes import ErrorCode
from videofleet_worker.pipeline.tools import AttendedPolicy
from videofleet_worker.sources.errors import SourceError
from videofleet_worker.sources.position import RunPosition
from videofleet_worker.sources.reconnect import ReconnectPolicy
from videofleet_worker.sources.request import SourceRequest
from videofleet_worker.sources.watchdog import Watchdog

LOST = SourceError(ErrorCode.NETWORK, "gone")


def delays(policy: ReconnectPolicy, error: SourceError, most: int = 12) -> list[float]:
    """The delays until the policy gives up, when every attempt fails at once."""
    waited: list[float] = []
    while len(waited) < most:
        delay = policy.delay(len(waited) + 1, error, sum(waited))
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


@pytest.mark.parametrize("code", [ErrorCode.NETWORK, ErrorCode.AUTH])
def test_without_limit_while_no_operator_listens(code: ErrorCode) -> None:
    listening = False
    policy = AttendedPolicy(window=30.0, attended=lambda: listening)
    error = SourceError(code, "gone")
    unattended = delays(policy, error, 100)
    assert len(unattended) == 100
    assert min(unattended) == (60 if code is ErrorCode.AUTH else 0.5)
    listening = True
    assert policy.delay(9, error, 31.0) is None, "an operator that comes back takes over"
    assert delays(policy, error) == delays(ReconnectPolicy(window=30.0), error)


def test_the_watchdog_waits_for_the_opening_then_for_packets_then_for_pictures() -> None:
    dog = Watchdog(10, 4)
    dog.started(100)
    assert dog.failure(110, consumer_waits=True) is None
    assert dog.failure(110.1, consumer_waits=True) == (ErrorCode.TIMEOUT, "the source could not be opened within 10 s")

    dog.opened(111)
    assert dog.failure(115, consumer_waits=True) is None
    assert dog.failure(115.1, consumer_waits=True) == (ErrorCode.TIMEOUT, "no data came for 4 s")

    dog.picture(116)
    assert dog.failure(120.1, consumer_waits=True) == (ErrorCode.STALLED, "no data came for 4 s")
    assert dog.failure(999, consumer_waits=False) is None

    dog.unblocked(999)
    assert dog.failure(1003, consumer_waits=True) is None


@pytest.mark.parametrize("keyframes_only", [False, True])
def test_packets_without_pictures(keyframes_only: bool) -> None:
    dog = Watchdog(10, 4, keyframes_only=keyframes_only)
    dog.started(0)
    dog.opened(0)
    for second in range(1, 14):
        dog.packets(second)

    expected = (ErrorCode.TIMEOUT, "data came for 12 s, but no picture could be decoded from it")
    assert dog.failure(13, consumer_waits=True) == (None if keyframes_only else expected)


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
