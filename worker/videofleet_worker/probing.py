"""Answers what sources are like, a few at a time, beside the jobs of this worker."""

import itertools
from typing import Final

from videofleet_api.codes import ErrorCode
from videofleet_api.probe import ProbeReport, ProbeRequest
from videofleet_worker.logs import Secrets, secrets_of_source
from videofleet_worker.pipeline.request import whole
from videofleet_worker.pipeline.tools import Tools
from videofleet_worker.sources.probe import MODEL_SIZE, ONCE, probe
from videofleet_worker.sources.request import SourceRequest
from videofleet_worker.sources.stream import StreamSource

AT_ONCE: Final = 2
"""Each is a decoder more, for which nobody has left room."""
_SLOTS: Final = 4


class BusyError(Exception):
    """As many are looked at as may be at once."""


class Prober:
    """Opens sources with the same decoders, addresses and limits as jobs have."""

    def __init__(self, tools: Tools, secrets: Secrets) -> None:
        self._tools = tools
        self._secrets = secrets
        self._numbers = itertools.count(1)
        self._running = 0

    async def probe(self, asked: ProbeRequest) -> ProbeReport:
        """What the source is like. Raises BusyError."""
        if self._running >= AT_ONCE:
            raise BusyError(f"this worker already looks at {AT_ONCE} sources: ask again in a moment")
        source, key = asked.source, f"probe {next(self._numbers)}"
        self._running += 1
        self._secrets.remember(key, secrets_of_source(source))
        try:
            report = await self._report(asked)
            told = report.message and self._secrets.redact_for(key, report.message)
            return report.model_copy(update={"message": told})
        finally:
            self._secrets.forget(key)
            self._running -= 1

    async def _report(self, asked: ProbeRequest) -> ProbeReport:
        try:
            request = whole(asked.source, MODEL_SIZE)
        except ValueError as error:
            return ProbeReport(works=False, code=ErrorCode.BAD_PARAMETER, message=str(error))
        return await probe(request, self._make_source, self._tools.clock, asked.timeout)

    def _make_source(self, request: SourceRequest) -> StreamSource:
        tools = self._tools
        return StreamSource(
            request,
            reconnect=ONCE,
            clock=tools.clock,
            slots=_SLOTS,
            dialer=tools.dialer,
            file_roots=tools.media,
            memory=tools.decoder_memory,
        )
