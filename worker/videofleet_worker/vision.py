"""Looks at single pictures for somebody who waits, in slots of this worker that no stream has."""

import itertools
import time
from asyncio import timeout
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import numpy as np

from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import JobSource, JobSpec
from videofleet_api.steps import Analytics
from videofleet_api.vision import LARGEST_PICTURE, SeenObject, VisionReport, VisionRequest
from videofleet_worker.decode.frame import Frame
from videofleet_worker.decode.images import HANDED
from videofleet_worker.decode.kinds import WEB_KINDS
from videofleet_worker.logs import Secrets, secrets_of_source
from videofleet_worker.models.batching import InferenceError
from videofleet_worker.models.engines import ModelDoesNotRunError
from videofleet_worker.models.manifest import ModelFolderError
from videofleet_worker.pipeline.answers import look_at
from videofleet_worker.pipeline.objects import FoundObject, ObjectFinder
from videofleet_worker.pipeline.plan import AnalyticsPlan, Plan, make_plan
from videofleet_worker.pipeline.request import whole
from videofleet_worker.pipeline.stepplan import RefusedError
from videofleet_worker.pipeline.steps import Workshop, in_reading_order
from videofleet_worker.pipeline.tools import Tools
from videofleet_worker.probing import BusyError
from videofleet_worker.sources.errors import DecoderLostError, SourceError
from videofleet_worker.sources.probe import ONCE
from videofleet_worker.sources.stream import StreamSource

AT_ONCE: Final = 4
"""However many slots are free: each holds a picture and a decoder."""
_SILENCE: Final = 5.0
"""Seconds in which a server with a picture has to answer."""
_ANALYTICS: Final = "main"
_HANDED: Final = f"{HANDED}:picture"

OpenPicture = Callable[[], int]
"""A new descriptor of a picture that came along, at its beginning."""


class Looker:
    """Has each picture decoded as a source of a job is, and asks the same models. `free`: slots that no stream has."""

    def __init__(self, tools: Tools, secrets: Secrets, free: Callable[[], int]) -> None:
        self._tools = tools
        self._secrets = secrets
        self._free = free
        self._numbers = itertools.count(1)
        self._looking = 0

    @contextmanager
    def seat(self) -> Generator[None, None, None]:
        """A slot, for as long as a picture takes. Raises BusyError."""
        if self._looking >= min(AT_ONCE, self._free()):
            raise BusyError("every slot of this worker is taken: ask another worker, or again in a moment")
        self._looking += 1
        try:
            yield
        finally:
            self._looking -= 1

    async def look(self, asked: VisionRequest, picture: OpenPicture | None = None) -> VisionReport:
        """What the step finds, in the picture that came along or at the address. In a seat.

        Raises InferenceError and EngineClosedError.
        """
        source, key = asked.source or JobSource(url=_HANDED), f"picture {next(self._numbers)}"
        self._secrets.remember(key, secrets_of_source(source))
        began = time.monotonic()
        try:
            report = await self._look(asked, source.model_copy(update={"images": [source.url]}), picture, key)
            return report.model_copy(update={"milliseconds": round(1000 * (time.monotonic() - began))})
        except DecoderLostError as error:
            # Others are decoded here all the time: it is this picture.
            return VisionReport(code=ErrorCode.UNSUPPORTED, message=self._secrets.redact_for(key, error.message))
        except (RefusedError, SourceError) as error:
            return VisionReport(code=error.code, message=self._secrets.redact_for(key, error.message))
        except ValueError as error:
            return VisionReport(code=ErrorCode.BAD_PARAMETER, message=self._secrets.redact_for(key, str(error)))
        except (ModelDoesNotRunError, ModelFolderError) as error:
            raise InferenceError(str(error)) from error
        finally:
            self._secrets.forget(key)

    async def _look(
        self, asked: VisionRequest, source: JobSource, picture: OpenPicture | None, key: str
    ) -> VisionReport:
        tools = self._tools
        analytics = Analytics(name=_ANALYTICS, steps=[asked.step])
        plan = make_plan(JobSpec(source=source, analytics=[analytics]), tools.registry)
        await tools.engines.open(sorted(plan.models))
        stream = self._stream(source, plan, picture)
        try:
            frame = await _first(stream, asked.timeout)
            with frame:
                shop = Workshop(tools.engines, tools.picture_threads, key)
                async with tools.engines.turns:
                    findings = (await look_at(shop, frame, plan))[_ANALYTICS]
                (one,) = plan.analytics
                found = ObjectFinder(one, next_id=1).find(findings, frame.width, frame.height, frame.pts)
                return _report(one, found, frame)
        finally:
            await stream.close()

    def _stream(self, source: JobSource, plan: Plan, picture: OpenPicture | None) -> StreamSource:
        tools = self._tools
        request = whole(source, plan.model_size)
        return StreamSource(
            replace(
                request,
                connect_timeout=_SILENCE,
                stall_timeout=_SILENCE,
                picture_kinds=WEB_KINDS,
                picture_bytes=LARGEST_PICTURE,
            ),
            reconnect=ONCE,
            clock=tools.clock,
            slots=1,
            dialer=tools.dialer,
            memory=tools.decoder_memory,
            picture=picture,
        )


async def _first(stream: StreamSource, seconds: float) -> Frame:
    """The picture. Raises SourceError."""
    try:
        async with timeout(seconds):
            async for frame in stream.frames():
                return frame
    except TimeoutError:
        raise SourceError(ErrorCode.TIMEOUT, f"no picture came within {seconds:g} s") from None
    raise SourceError(ErrorCode.EMPTY, "there is no picture in it")


def _report(plan: AnalyticsPlan, found: list[FoundObject], frame: Frame) -> VisionReport:
    # Behind a first step that finds lines of text comes the one that reads them.
    readers = [step.model.name for step in plan.later]
    told = _as_read([one for one in found if "text" in one.details]) if readers else found
    return VisionReport(
        model=readers[0] if readers else plan.model.name,
        width=frame.width,
        height=frame.height,
        objects=[_seen(one, frame) for one in told],
    )


def _as_read(lines: list[FoundObject]) -> list[FoundObject]:
    boxes = np.array([line.box for line in lines]).reshape(-1, 4)
    order = {box: place for place, box in enumerate(in_reading_order(boxes))}
    return sorted(lines, key=lambda line: order[line.box])


def _seen(one: FoundObject, frame: Frame) -> SeenObject:
    details: dict[str, object] = {"confidence": round(one.confidence, 4)}
    if "text" in one.details:
        details = {"text": one.details["text"], "confidence": one.details["text_confidence"]}
    return SeenObject.model_validate({"label": one.label, "box": one.pixels(frame.width, frame.height), **details})
