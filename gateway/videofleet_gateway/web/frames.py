"""The bytes of a log as lines for people. Pure."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

SHOWN: Final = 20
"""Frames that a page shows, the last ones."""
_DATA: Final = b"data: {"
_END: Final = b"\n\n"


@dataclass(frozen=True, slots=True)
class Frame:
    """One analysed frame. `second`: of the run."""

    index: int
    second: float
    objects: str


@dataclass
class Screen:
    """What is seen of a log: its last frames and how much went before. Fed with its bytes in order."""

    frames: deque[Frame] = field(default_factory=lambda: deque(maxlen=SHOWN))
    analysed: int = 0
    finish_reason: str | None = None
    _rest: bytes = b""

    def feed(self, data: bytes) -> int:
        """More bytes, and how many; an event that is not complete yet waits for its end."""
        whole, end, self._rest = (self._rest + data).rpartition(_END)
        for document in _documents(whole + end):
            self._take(document)
        return len(data)

    def _take(self, chunk: dict[str, Any]) -> None:
        if chunk["finish_reason"] is not None:
            self.finish_reason = chunk["finish_reason"]
            return
        self.analysed += 1
        info = chunk["stream_info"]
        targets = [target for result in chunk["delta"]["results"] for target in result["targets"]]
        self.frames.append(Frame(info["frame_index"], info["pts"], told(targets)))


def told(targets: list[dict[str, Any]]) -> str:
    """The objects of a frame in a few words: how many of a class, which tracks, what is written on them."""
    counts = Counter(target["class"] for target in targets)
    words = [f"{count} {name}" if count > 1 else name for name, count in sorted(counts.items())]
    texts = [repr(target["text"]) for target in targets if target.get("text")]
    tracks = sorted({target["track_id"] for target in targets if target.get("track_id") is not None})
    found = ", ".join(words + texts) or "nothing"
    return f"{found} (track {', '.join(map(str, tracks))})" if tracks else found


def _documents(events: bytes) -> Iterator[dict[str, Any]]:
    for line in events.split(b"\n"):
        if line.startswith(_DATA):
            yield orjson.loads(line.removeprefix(b"data: "))
