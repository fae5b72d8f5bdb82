"""Single pictures: what `POST /v1/vision` takes and answers."""

import asyncio
import os
from collections.abc import Callable

import orjson
from aiohttp import BodyPartReader, MultipartReader, web
from pydantic import ValidationError

from videofleet_api.vision import LARGEST_PICTURE, PICTURE_PART, REQUEST_PART, VISION_PATH, VisionReport, VisionRequest
from videofleet_worker.models.batching import EngineClosedError, InferenceError
from videofleet_worker.probing import BusyError
from videofleet_worker.server.access import ApiError
from videofleet_worker.server.problems import problems
from videofleet_worker.vision import Looker

_LARGEST_REQUEST = 64 * 1024
_PIECE = 256 * 1024


class VisionRoutes:
    """The one route. A picture lies in memory that has no name, from where its decoder reads it."""

    def __init__(self, looker: Looker, draining: Callable[[], bool]) -> None:
        self._looker = looker
        self._draining = draining

    def routes(self) -> list[web.RouteDef]:
        """For the application."""
        return [web.post(VISION_PATH, self.look)]

    async def look(self, request: web.Request) -> web.Response:
        """Look at a picture now or not at all."""
        if self._draining():
            raise ApiError(503, "DRAINING", "this worker drains and takes nothing new")
        try:
            with self._looker.seat():
                report = await self._report(request)
        except BusyError as error:
            raise ApiError(429, "BUSY", str(error)) from error
        except (InferenceError, EngineClosedError) as error:
            raise ApiError(503, "INFERENCE", str(error)) from error
        return web.Response(body=orjson.dumps(report.wire()), content_type="application/json")

    async def _report(self, request: web.Request) -> VisionReport:
        if request.content_type != "multipart/form-data":
            raise ApiError(415, "UNSUPPORTED_MEDIA_TYPE", "the body must be multipart/form-data")
        parts = await request.multipart()
        asked = await _asked(parts)
        if asked.source is not None:
            return await self._looker.look(asked)
        part = await _part(parts, PICTURE_PART)
        with os.fdopen(os.memfd_create("picture", os.MFD_CLOEXEC), "w+b", buffering=0) as file:
            await _take(part, file.fileno())
            return await self._looker.look(asked, lambda: _again(file.fileno()))


async def _asked(parts: MultipartReader) -> VisionRequest:
    part = await _part(parts, REQUEST_PART)
    text = await part.read_chunk(_LARGEST_REQUEST)
    if not part.at_eof() and await part.read_chunk(1):
        raise ApiError(413, "TOO_LARGE", f"{REQUEST_PART} is larger than {_LARGEST_REQUEST} bytes")
    try:
        return VisionRequest.model_validate_json(text)
    except ValidationError as error:
        raise ApiError(400, "BAD_REQUEST", problems(error)) from None


async def _part(parts: MultipartReader, name: str) -> BodyPartReader:
    try:
        part = await parts.next()
    except ValueError:
        part = None
    if not isinstance(part, BodyPartReader) or part.name != name:
        raise ApiError(400, "BAD_REQUEST", f"a part named {name} is missing")
    return part


async def _take(part: BodyPartReader, descriptor: int) -> None:
    size = 0
    while piece := await part.read_chunk(_PIECE):
        size += len(piece)
        if size > LARGEST_PICTURE:
            raise ApiError(413, "TOO_LARGE", f"the picture is larger than {LARGEST_PICTURE} bytes")
        await asyncio.to_thread(_write_all, descriptor, piece)


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _again(descriptor: int) -> int:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.dup(descriptor)
