"""Whoever sees each analysed frame while its picture is at hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from videofleet_api.results import StreamInfo
from videofleet_worker.outputs.outlines import Outline
from videofleet_worker.pipeline.objects import FoundObject
from videofleet_worker.pipeline.pictures import SharedFrame


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn into the picture of a frame."""

    objects: Sequence[FoundObject]
    outlines: Sequence[Outline]
    """The zones and lines, with their counts."""


class Onlooker(Protocol):
    """Sees the frames of every analytics, each in order, once they are in the log."""

    async def see(self, analytics: str, shared: SharedFrame, info: StreamInfo, shown: Shown) -> None:
        """The next frame; the one after it waits until this returns. Who needs the picture for longer keeps it."""
