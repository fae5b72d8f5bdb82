"""Has a worker look at a picture while the client waits."""

import asyncio
import random
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import JobSource
from videofleet_api.redaction import redact_url
from videofleet_api.steps import Step
from videofleet_api.vision import VisionReport, VisionRequest
from videofleet_gateway.context import Context
from videofleet_gateway.errors import Failure, GatewayError, invalid
from videofleet_gateway.jobs.urls import UrlError
from videofleet_gateway.tasks.translation import parameters
from videofleet_gateway.vision.request import PictureRequest

PATIENCE: Final = 20.0
"""Seconds in which a client has its answer."""
_UNTIL_DECODED: Final = 10.0
_TRIES: Final = 4
"""Workers that are asked before all are said to be busy."""
_SCHEMES: Final = ("http", "https")
_ELSEWHERE: Final = frozenset({Failure.UNAVAILABLE, Failure.RATE_LIMITED})
"""With these answers another worker is asked."""
_OF_REQUEST: Final = frozenset({ErrorCode.BAD_PARAMETER, ErrorCode.UNKNOWN_MODEL})


class Looking:
    """Pictures on their way, of which each is held in memory: so many at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._fleet = context.fleet
        self._seats = context.config.max_pictures

    @contextmanager
    def seat(self) -> Generator[None, None, None]:
        """Before anything of a picture is read. Raises GatewayError."""
        if self._seats == 0:
            raise GatewayError(Failure.RATE_LIMITED, "too many pictures are being looked at here now", retry_after=1)
        self._seats -= 1
        try:
            yield
        finally:
            self._seats += 1

    async def look(
        self, namespace: str, model: str, request: PictureRequest, picture: bytes | None = None
    ) -> VisionReport:
        """What a worker that serves this namespace finds in the picture that came along, or at the address.

        In a seat. Raises GatewayError.
        """
        asked = self._question(model, request)
        try:
            async with asyncio.timeout(PATIENCE):
                report = await self._ask(namespace, asked, picture)
        except TimeoutError:
            raise GatewayError(Failure.TIMED_OUT, f"there was no answer within {PATIENCE:g} s", retry_after=1) from None
        if report.code is not None:
            raise _refused(report, request.image)
        return report

    def _question(self, model: str, request: PictureRequest) -> VisionRequest:
        step = Step(model=model, parameters=parameters(request.parameters, "parameters"))
        source = None
        if request.image is not None:
            if request.image.partition("://")[0] not in _SCHEMES:
                raise invalid("image", "image: the address must begin with http:// or https://")
            try:
                address = self._context.urls.source(request.image)
            except UrlError as error:
                raise invalid("image", f"image: {error}") from error
            login = address.credentials
            source = JobSource(url=address.url, username=login and login.username, password=login and login.password)
        return VisionRequest(step=step, source=source, timeout=_UNTIL_DECODED)

    async def _ask(self, namespace: str, asked: VisionRequest, picture: bytes | None) -> VisionReport:
        workers = await self._fleet.ready_for(namespace)
        if not workers:
            raise GatewayError(Failure.UNAVAILABLE, "there is no worker to look at pictures now", retry_after=10)
        error: GatewayError | None = None
        for worker in random.sample(workers, min(_TRIES, len(workers))):
            try:
                return await self._context.workers.look(worker, asked, picture)
            except GatewayError as refusal:
                if refusal.failure not in _ELSEWHERE:
                    raise
                # That somebody is there, although busy, says more than that somebody is not.
                error = refusal if error is None or refusal.failure is Failure.RATE_LIMITED else error
        assert error is not None, "there was somebody to ask"
        raise error


def _refused(report: VisionReport, address: str | None) -> GatewayError:
    """`address`: where the picture is, if it did not come along."""
    if report.code is ErrorCode.INTERNAL:
        return GatewayError(Failure.UNAVAILABLE, f"the worker could not look: {report.message}", retry_after=1)
    if report.code in _OF_REQUEST:
        return invalid("parameters", f"parameters: {report.message}")
    if address is None:
        return invalid("image_base64", f"image_base64: {report.message}")
    return invalid("image", f"image: {redact_url(address)}: {report.message}")
