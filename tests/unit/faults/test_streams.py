"""What the proxy of the fault suite does to the events of a watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest

from tests.faults.proxy.calls import Call, read_call
from tests.faults.proxy.faults import (
    Budget,
    CutLine,
    DropSuperseded,
    DropThenGone,
    Hold,
    Kill,
    Repeat,
    Silence,
    WatchFault,
    Where,
)
from tests.faults.proxy.streams import INITIAL_END, CutError, disturbed, read_events


def line(kind: str, uid: str, version: int, **annotations: str) -> bytes:
    """One line of a watch."""
    metadata = {"uid": uid, "resourceVersion": str(version), "annotations": annotations}
    return orjson.dumps({"type": kind, "object": {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}})


async def lines(*given: bytes, pause: float = 0.0) -> AsyncIterator[bytes]:
    """A watch that says this."""
    for each in given:
        yield each
        await asyncio.sleep(pause)


async def told(fault: WatchFault, *given: bytes, initial: bool = False, pause: float = 0.0) -> list[str]:
    """Type, uid and version of what gets through."""
    found = []
    async for event in disturbed(read_events(lines(*given, pause=pause), initial), [Budget(fault)]):
        found.append(f"{event.kind} {event.uid or '-'}{event.version}")
    return found


CHANGES = (line("ADDED", "a", 1), line("ADDED", "b", 2), line("MODIFIED", "a", 3), line("MODIFIED", "b", 4))


async def test_repeated() -> None:
    assert await told(Repeat(2, times=1), *CHANGES[:2]) == ["ADDED a1", "ADDED a1", "ADDED b2"]


async def test_late_events_keep_their_order_and_none_is_lost() -> None:
    expected = ["ADDED a1", "ADDED b2", "MODIFIED a3", "MODIFIED b4"]
    assert await told(Hold(0.02, skip=1, times=1), *CHANGES, pause=0.005) == expected


async def test_only_superseded_events_are_dropped() -> None:
    assert await told(DropSuperseded(0.5), *CHANGES) == ["MODIFIED a3", "MODIFIED b4"]
    assert await told(DropSuperseded(0.0), *CHANGES, pause=0.01) == [
        "ADDED a1",
        "ADDED b2",
        "MODIFIED a3",
        "MODIFIED b4",
    ]


async def test_dropped_events_are_followed_by_gone_and_the_end() -> None:
    assert await told(DropThenGone(2, skip=1), *CHANGES) == ["ADDED a1", "ERROR -"]


async def test_a_line_is_cut_in_its_middle() -> None:
    with pytest.raises(CutError) as cut:
        await told(CutLine(skip=1), *CHANGES)
    assert CHANGES[1].startswith(cut.value.partial)
    assert 0 < len(cut.value.partial) < len(CHANGES[1])


async def test_what_exists_is_never_dropped() -> None:
    first = (line("ADDED", "a", 1), line("BOOKMARK", "", 2, **{INITIAL_END: "true"}), line("ADDED", "b", 3))
    assert await told(DropThenGone(1), *first, initial=True) == ["ADDED a1", "BOOKMARK -2", "ERROR -"]


async def test_silence_ends_and_bookmarks_repeat_what_was_said_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.faults.proxy.streams._BOOKMARK_INTERVAL", 0.02)
    found = await told(Silence(0.05, bookmarks=True, skip=1), *CHANGES[:2])
    assert found[0] == "ADDED a1"
    assert found[-1] == "ADDED b2"
    assert set(found[1:-1]) == {"BOOKMARK -1"}


def test_a_fault_lets_some_pass_and_ends() -> None:
    budget = Budget(Repeat(skip=2, times=2))
    assert [budget.strikes() for _ in range(6)] == [False, False, True, True, False, False]
    assert [Budget(Kill(1, True)).strikes(), Budget(Kill(2, True)).strikes()] == [True, False]


CALLS = {
    ("PATCH", "/apis/videofleet.io/v1alpha1/namespaces/ns/videojobs/a/status", ""): Call(
        "one", "PATCH", "videojobs", "ns", "a", "status"
    ),
    ("GET", "/api/v1/namespaces/ns/pods", "watch"): Call("one", "WATCH", "pods", "ns"),
    ("GET", "/apis/videofleet.io/v1alpha1/videolicenses", ""): Call("one", "LIST", "videolicenses"),
    ("GET", "/api/v1/namespaces/ns/secrets/x", ""): Call("one", "GET", "secrets", "ns", "x"),
    ("GET", "/version", ""): Call("one", "LIST", ""),
}


@pytest.mark.parametrize(("request_", "call"), CALLS.items(), ids=[" ".join(each) for each in CALLS])
def test_what_a_request_is_about(request_: tuple[str, str, str], call: Call) -> None:
    method, path, watch = request_
    assert read_call("one", method, path, {"watch": "true"} if watch else {}) == call


def test_the_lease_is_counted_by_nobody_and_met_only_when_named() -> None:
    renewal = Call("one", "PATCH", "leases", "ns", "operator")
    assert not renewal.counted
    assert not Where().matches(renewal)
    assert Where(("leases",)).matches(renewal)
