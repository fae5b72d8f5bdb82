"""What workers show of the streams that they run and find in pictures: the gateway's way to them, by mutual TLS."""

import asyncio
import io
import logging
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp
import orjson

from videofleet_api.names import WORKER_API_PORT, worker_server_name
from videofleet_api.videojob import WorkerRef
from videofleet_api.vision import PICTURE_PART, REQUEST_PART, VISION_PATH, VisionReport, VisionRequest
from videofleet_gateway.errors import Failure, GatewayError, of_api
from videofleet_gateway.jobs.job import Job
from videofleet_kube import tls_buffers
from videofleet_kube.errors import ApiError
from videofleet_kube.resources import PODS
from videofleet_kube.session import ApiSession

_CONNECT: Final = 3.0
_PICTURE_SECONDS: Final = 10.0
_HEARTBEAT: Final = 20.0
_LONGEST_MESSAGE: Final = 64 * 2**20
_LONGEST_REPORT: Final = 8 * 2**20
_LONGEST_PICTURE: Final = 32 * 2**20
_ADDRESS_SECONDS: Final = 60.0
_MOST_ADDRESSES: Final = 4096
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a worker is: its pod."""

    namespace: str
    name: str
    ip: str

    @property
    def base(self) -> str:
        """What addresses of its interface begin with."""
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"https://{host}:{WORKER_API_PORT}"

    @property
    def server_name(self) -> str:
        """The name in its certificate."""
        return worker_server_name(self.namespace, self.name)


class View(StrEnum):
    """How a stream can be watched."""

    LIVE = "live"
    """As it is analysed, with what was found."""
    DIRECT = "direct"
    """As the camera sends it."""


class Workers:
    """Connections to workers. Without a folder of TLS files there are none."""

    def __init__(self, session: ApiSession, folder: Path | None) -> None:
        self._session = session
        self._tls = None if folder is None else _ClientTls(folder)
        self._client: aiohttp.ClientSession | None = None
        self._addresses: dict[str, tuple[Address, float]] = {}
        """Of each pod by its uid, and until when it is taken for granted."""
        self._watched: set[aiohttp.ClientWebSocketResponse] = set()

    async def __aenter__(self) -> Self:
        # Each log that is followed is a connection.
        tls_buffers.shrink()
        self._client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()

    @property
    def reachable(self) -> bool:
        """Whether the gateway has what workers ask it for."""
        return self._tls is not None

    async def snapshot(self, job: Job) -> bytes:
        """The current picture (JPEG). Raises GatewayError, NOT_READY where there is none yet."""
        worker = _worker(job)
        client, tls = self._ready()
        timeout = aiohttp.ClientTimeout(total=_PICTURE_SECONDS, connect=_CONNECT)
        address = await self._address(worker)
        url = f"{address.base}/v1/jobs/{job.uid}/snapshot.jpg"
        try:
            async with client.get(url, ssl=tls, server_hostname=address.server_name, timeout=timeout) as answer:
                if answer.status != 200:
                    raise _refused(answer.status)
                return await _at_most(answer.content, _LONGEST_PICTURE)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._lost(worker, error) from error

    @asynccontextmanager
    async def watch(self, job: Job, view: View) -> AsyncGenerator[aiohttp.ClientWebSocketResponse, None]:
        """A stream of messages for as long as it is held. Raises GatewayError where it does not begin."""
        socket = await self._open(job, view)
        self._watched.add(socket)
        try:
            yield socket
        finally:
            self._watched.discard(socket)
            await socket.close()

    async def end_views(self) -> None:
        """End every stream that is watched: by themselves they do not."""
        await asyncio.gather(*(socket.close() for socket in self._watched))

    @asynccontextmanager
    async def results(self, job: Job, analytics: str, offset: int) -> AsyncGenerator[aiohttp.StreamReader, None]:
        """The log of an analytics from an offset on as its worker stores it, for as long as it is held.

        Raises GatewayError where it does not begin or breaks off.
        """
        worker = _worker(job)
        client, tls = self._ready()
        address = await self._address(worker)
        url = f"{address.base}/v1/jobs/{job.uid}/chunks"
        about = {"analytics": analytics, "offset": str(offset)}
        # There may be nothing to tell for long.
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT)
        try:
            async with client.get(
                url, params=about, ssl=tls, server_hostname=address.server_name, timeout=timeout
            ) as answer:
                if answer.status != 200:
                    raise _refused(answer.status)
                yield answer.content
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._lost(worker, error) from error

    async def _open(self, job: Job, view: View) -> aiohttp.ClientWebSocketResponse:
        worker = _worker(job)
        client, tls = self._ready()
        address = await self._address(worker)
        url = f"{address.base}/v1/jobs/{job.uid}/{view}"
        try:
            async with asyncio.timeout(_PICTURE_SECONDS):
                return await client.ws_connect(
                    url,
                    ssl=tls,
                    server_hostname=address.server_name,
                    heartbeat=_HEARTBEAT,
                    max_msg_size=_LONGEST_MESSAGE,
                )
        except aiohttp.WSServerHandshakeError as error:
            raise _refused(error.status) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._lost(worker, error) from error

    async def look(self, worker: Address, asked: VisionRequest, picture: bytes | None) -> VisionReport:
        """What a worker finds in a picture, which goes along unless it is at an address.

        Raises GatewayError: RATE_LIMITED where the worker has no room, UNAVAILABLE where it does not answer well.
        """
        client, tls = self._ready()
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT)
        url = f"{worker.base}{VISION_PATH}"
        try:
            async with client.post(
                url, data=_form(asked, picture), ssl=tls, server_hostname=worker.server_name, timeout=timeout
            ) as answer:
                if answer.status == 200:
                    return VisionReport.model_validate_json(await _at_most(answer.content, _LONGEST_REPORT))
                if answer.status == 429:
                    raise GatewayError(Failure.RATE_LIMITED, "all workers are busy now", retry_after=1)
                told = {"worker": worker.name, "status": answer.status}
                _log.warning("a worker did not look at a picture", extra=told)
                raise GatewayError(Failure.UNAVAILABLE, f"a worker answered {answer.status}", retry_after=1)
        # Of what pydantic finds wrong, too.
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            _log.info("a worker is out of reach: %s", type(error).__name__, extra={"worker": worker.name})
            raise GatewayError(Failure.UNAVAILABLE, "a worker cannot be reached", retry_after=1) from error

    def _ready(self) -> tuple[aiohttp.ClientSession, ssl.SSLContext]:
        if self._tls is None or self._client is None:
            raise GatewayError(Failure.UNAVAILABLE, "this gateway has no certificate to ask workers with")
        try:
            return self._client, self._tls.context()
        except OSError as error:
            _log.warning("the certificate for workers cannot be used: %s", error)
            raise GatewayError(Failure.UNAVAILABLE, "the gateway's certificate for workers cannot be used") from error

    async def _address(self, worker: WorkerRef) -> Address:
        known = self._addresses.get(worker.id)
        if known is None or known[1] < time.monotonic():
            known = (await self._look_up(worker), time.monotonic() + _ADDRESS_SECONDS)
            if len(self._addresses) >= _MOST_ADDRESSES:
                self._addresses.clear()
            self._addresses[worker.id] = known
        return known[0]

    async def _look_up(self, worker: WorkerRef) -> Address:
        namespace, _, _ = worker.pool.partition("/")
        try:
            pod = await self._session.get(PODS, namespace, worker.name)
        except ApiError as error:
            raise of_api(error) from error
        ip = None if pod is None or pod["metadata"]["uid"] != worker.id else (pod.get("status") or {}).get("podIP")
        if not ip:
            raise GatewayError(Failure.NOT_READY, "the worker of the job has gone")
        return Address(namespace, worker.name, str(ip))

    def _lost(self, worker: WorkerRef, error: Exception) -> GatewayError:
        self._addresses.pop(worker.id, None)
        _log.info("a worker is out of reach: %s", type(error).__name__, extra={"worker": worker.name})
        return GatewayError(Failure.UNAVAILABLE, "the worker of the job cannot be reached", retry_after=1)


class _ClientTls:
    """The gateway's side of mutual TLS, with files that may change."""

    def __init__(self, folder: Path) -> None:
        self._files = tuple(folder / name for name in ("tls.crt", "tls.key", "ca.crt"))
        self._seen: tuple[int, ...] = ()
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """With the files as they are now. Raises OSError, of which those of ssl are kinds."""
        found = tuple(path.stat().st_mtime_ns for path in self._files)
        if self._context is None or found != self._seen:
            certificate, key, bundle = self._files
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=bundle)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.load_cert_chain(certificate, key)
            self._context, self._seen = context, found
        return self._context


async def _at_most(content: aiohttp.StreamReader, most: int) -> bytes:
    """All of it. Raises ValueError where it is longer: workers read what strangers send."""
    data = bytearray()
    async for piece in content.iter_any():
        data += piece
        if len(data) > most:
            raise ValueError(f"it is longer than {most} bytes")
    return bytes(data)


def _form(asked: VisionRequest, picture: bytes | None) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field(REQUEST_PART, orjson.dumps(asked.wire()).decode())
    if picture is not None:
        form.add_field(PICTURE_PART, io.BytesIO(picture), filename="picture")
    return form


def _worker(job: Job) -> WorkerRef:
    worker = job.status.worker
    if worker is None:
        raise GatewayError(Failure.NOT_READY, "no worker has the job now")
    return worker


def _refused(status: int) -> GatewayError:
    """What a worker's own answer means to the one who wants to watch."""
    match status:
        case 404 | 503:
            return GatewayError(Failure.NOT_READY, "there is no picture of the stream yet")
        case 409:
            return GatewayError(Failure.CONFLICT, "the job has privacy masks: there is no view past them")
        case 415:
            return GatewayError(Failure.UNSUPPORTED_MEDIA, "the stream's codec cannot be watched directly")
        case _:
            return GatewayError(Failure.UNAVAILABLE, f"the worker of the job answers {status}")
