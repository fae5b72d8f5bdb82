"""What receivers are to be told, as it is kept until they are. Pure."""

from dataclasses import asdict, dataclass
from typing import Final

import orjson

from videofleet_worker.outputs.documents import Document

SHOT: Final = "shot"
"""The kind of a letter that is about a best shot, for the router."""
ONGOING: Final = "ongoing"
"""The kind of one that tells which tracks are there."""


@dataclass(frozen=True, slots=True)
class Letter:
    """Something to tell. `key` names it, the same in every attempt.

    kind: an event (OutputEvent), SHOT or ONGOING. told: Unix time. track_id: of the best shot that goes along. to: the
    only receiver that it is for, by its name in cursors. framed: the frame that the shot comes from goes along, too.
    """

    key: str
    kind: str
    told: float
    document: Document
    track_id: int | None = None
    to: str | None = None
    framed: bool = False

    def line(self) -> bytes:
        """As it is kept."""
        return orjson.dumps(asdict(self)) + b"\n"

    @classmethod
    def of(cls, line: bytes) -> "Letter":
        """From what was kept."""
        return cls(**orjson.loads(line))
