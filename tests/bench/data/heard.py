"""What readers of a worker hear of a job, and when: documents, pictures, posts."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.bench.data.plant import Plant
from videofleet_archive import log


@dataclass(frozen=True)
class Told:
    """A frame's document: which frame, when the camera had sent it, and when a reader had the document (Unix times)."""

    index: int
    captured: float
    heard: float

    @property
    def age(self) -> float:
        """Seconds from the one to the other."""
        return self.heard - self.captured


@dataclass
class Reader:
    """Follows one job: its documents, and where asked its annotated pictures."""

    plant: Plant
    uid: str
    told: list[Told] = field(default_factory=list)
    pictures: list[float] = field(default_factory=list)
    """When each came."""

    async def documents(self) -> None:
        """From now on until the job is over."""
        rest = b""
        async for data in self.plant.client.chunks(self.uid):
            heard = time.time()
            whole, end, rest = (rest + data).rpartition(b"\n\n")
            for document in log.documents(whole + end):
                self._note(document, heard)

    def _note(self, document: bytes, heard: float) -> None:
        chunk = json.loads(document)
        if chunk["finish_reason"] is None:
            info = chunk["stream_info"]
            self.told.append(Told(info["frame_index"], info["capture_time"], heard))

    async def watch(self) -> None:
        """The pictures, until the job is over."""
        client = self.plant.client
        async with client.session.ws_connect(client.url(f"/v1/jobs/{self.uid}/live"), **client.tls) as socket:
            async for _ in socket:
                self.pictures.append(time.time())


def frames_of(data: bytes) -> list[int]:
    """The numbers of the frames that a log tells of, in its order."""
    chunks = [json.loads(document) for document in log.documents(data)]
    return [chunk["stream_info"]["frame_index"] for chunk in chunks if chunk["finish_reason"] is None]


async def listen(readers: Sequence[Reader], seconds: float, *, pictures: bool = False) -> None:
    """Follow several jobs for so long."""
    following = [asyncio.create_task(one.documents()) for one in readers]
    following += [asyncio.create_task(one.watch()) for one in readers if pictures]
    done, _ = await asyncio.wait(following, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in following:
        task.cancel()
    await asyncio.wait(following)
    for task in done:
        with suppress(asyncio.CancelledError):
            task.result()


def picture_ages(told: Sequence[Told], pictures: Sequence[float], nearest: float) -> list[float]:
    """How old the frame of each picture was when the picture came.

    A picture has no number. It is of the frame whose document came nearest to it, within `nearest` seconds; documents
    of a job without an archive come when the frame is through, and frames are further apart.
    """
    ages = []
    for came in pictures:
        of = min(told, key=lambda one: abs(one.heard - came), default=None)
        if of is not None and abs(of.heard - came) <= nearest:
            ages.append(came - of.captured)
    return ages
