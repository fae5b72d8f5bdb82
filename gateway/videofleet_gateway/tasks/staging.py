"""Videos that came in requests: kept in the archive's store until their task is over, fetched from there by its worker.

A worker fetches from the gateway, by an address that nobody can guess and that leads to this one video. So it is the
same for a folder and for a bucket, and a worker needs no credentials for either.
"""

import asyncio
import hashlib
import hmac
import logging
import re
from collections.abc import AsyncGenerator, Container, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from videofleet_archive.errors import ArchiveError
from videofleet_archive.store import Store, StoredObject
from videofleet_gateway.context import Context
from videofleet_gateway.errors import Failure, GatewayError, invalid, not_found
from videofleet_gateway.jobs.job import Job
from videofleet_gateway.results.archive import Archive, asked
from videofleet_gateway.serving.door import HEAD
from videofleet_gateway.tasks.tasks import task_of
from videofleet_gateway.tasks.ulids import TASK_ID, time_of

PATH: Final = "/v1/video/staged"
_FOLDER: Final = ".inputs"
_SECRET: Final = "staged inputs"
_RANGE: Final = re.compile(r"bytes=(\d{1,18})-(\d{0,18})")
_PIECE: Final = 4 * 1024 * 1024
_UNCLAIMED_SECONDS: Final = 3600.0
"""After which a video is removed whose request came to no task."""
_log: Final = logging.getLogger(__name__)


class StagedVideo:
    """A video on its way into the store, where it lies in parts."""

    def __init__(self, task_id: str, archive: Archive, most: int, *, takes: bool) -> None:
        self.task_id = task_id
        self._threads = archive.threads
        self._most = most
        self._takes = takes
        self._size = 0
        self._stored = 0
        self._waiting = bytearray()

    async def take(self, data: bytes) -> None:
        """A further piece. Raises GatewayError."""
        if not self._takes:
            raise GatewayError(Failure.NOT_IMPLEMENTED, "this gateway takes no video in a request; give a video_url")
        self._size += len(data)
        if self._size > self._most:
            raise GatewayError(Failure.TOO_LARGE, f"the video is larger than {self._most} bytes")
        self._waiting += data
        if len(self._waiting) >= _PIECE:
            await self._store()

    async def finish(self) -> None:
        """That was all. Raises GatewayError."""
        if not self._size:
            raise invalid("input.0.data", "input.0.data is empty")
        if self._waiting:
            await self._store()

    async def discard(self) -> None:
        """It came to no task."""
        if not self._stored:
            return
        try:
            await self._threads.call(_delete, self._threads.store, self.task_id)
        except ArchiveError as error:
            _log.warning("the video of a request stays for now: %s", error, extra={"task": self.task_id})

    async def _store(self) -> None:
        key = f"{_FOLDER}/{self.task_id}/{self._stored:016d}"
        data, self._waiting = bytes(self._waiting), bytearray()
        self._stored += len(data)
        if not await asked(self._threads.call(self._threads.store.create, key, data)):
            raise GatewayError(Failure.CONFLICT, "there is a video of this task already")


class Staging:
    """Keeps videos, gives them to workers, and removes them."""

    def __init__(self, context: Context) -> None:
        self._archive = context.archive
        self._keys = context.keys
        self._base = context.config.staging_url.rstrip("/")
        self._max_bytes = context.config.max_upload_bytes
        self._clock = context.clock
        self._removing: set[asyncio.Task[None]] = set()

    def begin(self, task_id: str) -> "StagedVideo":
        """A video that is about to come."""
        return StagedVideo(task_id, self._archive, self._max_bytes, takes=bool(self._base))

    async def keep(self, video: "StagedVideo") -> str:
        """All of it has come; the address at which a worker finds it. Raises GatewayError."""
        await video.finish()
        return f"{self._base}{PATH}/{video.task_id}?signature={await self._signature(video.task_id)}"

    async def answer(self, task_id: str, request: Request) -> Response:
        """The video, or the range of it that is asked for. Raises GatewayError."""
        given = request.query_params.get("signature", "").encode()
        if not TASK_ID.fullmatch(task_id) or not hmac.compare_digest(given, (await self._signature(task_id)).encode()):
            raise not_found("there is no such video")
        threads = self._archive.threads
        found = await asked(threads.call(threads.store.listing, f"{_FOLDER}/{task_id}"))
        if not found:
            raise not_found("there is no such video any more")
        size = sum(part.size for part in found)
        start, end = _range(request.headers.get("range"), size)
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
            "Content-Length": str(end - start),
        }
        is_part = (start, end) != (0, size)
        if is_part:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        if request.scope.get(HEAD):
            return Response(headers=headers)
        return StreamingResponse(self._pieces(found, start, end), status_code=206 if is_part else 200, headers=headers)

    async def _pieces(self, parts: Sequence[StoredObject], start: int, end: int) -> AsyncGenerator[bytes, None]:
        threads, begin = self._archive.threads, 0
        for part in parts:
            first, last = max(0, start - begin), min(part.size, end - begin)
            begin += part.size
            if first < last:
                data = await asked(threads.call(threads.store.read_range, part.key, first, last))
                if not data:
                    raise not_found("the video was removed while it was read")
                yield data

    def job_changed(self, job: Job) -> None:
        """A task that is over needs its video no more."""
        task = task_of(job)
        if task is not None and task.is_own and task.standing.over:
            self._remove(task.id)

    def job_deleted(self, job: Job) -> None:
        """Neither does one that is gone."""
        task = task_of(job)
        if task is not None and task.is_own:
            self._remove(task.id)

    async def tidy(self, wanted: Container[str]) -> None:
        """Remove the videos of tasks that are not among those wanted, but for new ones, which may become one."""
        threads = self._archive.threads
        stored = await asked(threads.call(threads.store.listing, _FOLDER))
        for task_id in {found.key.split("/")[1] for found in stored}:
            is_old = TASK_ID.fullmatch(task_id) and time_of(task_id).timestamp() < self._clock() - _UNCLAIMED_SECONDS
            if is_old and task_id not in wanted:
                await self._delete(task_id)

    def _remove(self, task_id: str) -> None:
        removing = asyncio.create_task(self._delete(task_id))
        self._removing.add(removing)
        removing.add_done_callback(self._removing.discard)

    async def _delete(self, task_id: str) -> None:
        threads = self._archive.threads
        try:
            await threads.call(_delete, threads.store, task_id)
        except ArchiveError as error:
            _log.warning("the video of a request stays: %s", error, extra={"task": task_id})

    async def _signature(self, task_id: str) -> str:
        secret = await self._keys.shared_secret(_SECRET)
        return hmac.new(secret, task_id.encode(), hashlib.sha256).hexdigest()


def _delete(store: Store, task_id: str) -> None:
    # Most tasks have none, and a look costs less than a write.
    found = store.listing(f"{_FOLDER}/{task_id}")
    if found:
        store.delete([part.key for part in found])


def _range(header: str | None, size: int) -> tuple[int, int]:
    """Begin and end of what is asked for; all of it where that cannot be told. Raises GatewayError."""
    found = _RANGE.fullmatch(header or "")
    if found is None:
        return 0, size
    start = int(found[1])
    end = min(size, int(found[2]) + 1) if found[2] else size
    if start >= end:
        raise GatewayError(
            Failure.OUT_OF_RANGE, "the range is behind the end", headers={"Content-Range": f"bytes */{size}"}
        )
    return start, end
