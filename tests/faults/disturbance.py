"""Faults between the operator and simulated workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import orjson
from aiohttp import web

from tests.faults.plans import (
    CutEvents,
    DelayEvents,
    LoseSetAnswer,
    NeedAgain,
    OtherInstance,
    RefuseInfo,
    RefuseSet,
    RepeatEvents,
    WorkerFault,
)
from tests.support.simulated_worker import Handler, SimulatedWorker
from videofleet_api.protocol import AssignmentConflict, AssignmentSet

_F = TypeVar("_F", bound=WorkerFault)


@dataclass(slots=True)
class _Budget:
    fault: WorkerFault
    met: int = 0
    struck: int = 0

    def strikes(self) -> bool:
        self.met += 1
        skip = getattr(self.fault, "skip", 0)
        hit = skip < self.met <= skip + self.fault.times
        self.struck += hit
        return hit


class WorkerFaults:
    """The disturbance of all workers of a plan; faults are counted over all of them."""

    def __init__(self, faults: Sequence[WorkerFault]) -> None:
        self.budgets = [_Budget(fault) for fault in faults]
        self.sets: list[tuple[str, AssignmentSet]] = []
        """Every set that was sent to a worker, with its pod's name; also to workers that are gone."""

    async def answer(self, worker: SimulatedWorker, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Requests of the operator."""
        if request.path == "/v1/info" and self._due(RefuseInfo):
            return web.Response(status=503)
        if request.method != "PUT":
            return await handler(request)
        return await self._answer_set(worker, request, handler)

    async def _answer_set(self, worker: SimulatedWorker, request: web.Request, handler: Handler) -> web.StreamResponse:
        wanted = AssignmentSet.model_validate_json(await request.read())
        self.sets.append((worker.name, wanted))
        if refuse := self._due(RefuseSet):
            return _refused(refuse, wanted)
        if wanted.entries and self._due(OtherInstance):
            worker.crash()
        response = await handler(request)
        if self._due(LoseSetAnswer):
            if request.transport is not None:
                request.transport.abort()
        elif response.status == 200 and wanted.entries and self._due(NeedAgain):
            return web.Response(body=orjson.dumps({"need": [entry.uid for entry in wanted.entries]}))
        return response

    async def lines(self, worker: SimulatedWorker, lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Event streams."""
        cut = self._due(CutEvents)
        count = 0
        async for line in lines:
            if delay := self._due(DelayEvents):
                await asyncio.sleep(delay.seconds)
            if cut is not None and count == cut.lines:
                if cut.half:
                    yield line[: len(line) // 2]
                raise ConnectionResetError("cut (injected)")
            count += 1
            yield line
            # An inventory may come twice too: it says how things are, not what has changed.
            if self._due(RepeatEvents):
                yield line

    def _due(self, kind: type[_F]) -> _F | None:
        """The fault of this kind that strikes now."""
        for budget in self.budgets:
            if isinstance(budget.fault, kind) and budget.strikes():
                return budget.fault
        return None


def _refused(fault: RefuseSet, wanted: AssignmentSet) -> web.Response:
    if fault.status != 409:
        return web.Response(status=fault.status)
    conflict = AssignmentConflict(
        term=wanted.term + fault.above, number=wanted.number, instance=wanted.instance, message="refused (injected)"
    )
    return web.Response(body=orjson.dumps(conflict.wire()), status=409, content_type="application/json")
