"""Has a worker look at a source for somebody who asks: `POST /v1/probe`, see videofleet_api.probe.

As with other questions the asker shows with uids what he may read (see Answers). Credentials are read here, so that
they pass through nobody's hands; whoever knows the uid of a Secret may read it himself.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import aiohttp
from aiohttp import web
from pydantic import ValidationError

from videofleet_api.explain import Refused
from videofleet_api.probe import ProbeAnswer, ProbeQuestion, ProbeRequest
from videofleet_api.protocol import JobSource
from videofleet_api.redaction import redact_text
from videofleet_kube.errors import ApiError
from videofleet_operator.domain.matching import refusal, visible
from videofleet_operator.domain.model import Job, Pool, Snapshot, Worker
from videofleet_operator.domain.placement import ready
from videofleet_operator.services.gather import KnownJob
from videofleet_operator.services.payload import MissingError, SecretData, source_of
from videofleet_operator.services.worker_session import BusyError, WorkerSession

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
_LARGEST: Final = 64 * 1024

GetSecret = Callable[[str, str], Awaitable[Mapping[str, object] | None]]
"""A Secret as the API server has it, by namespace and name."""


class Probes:
    """Answers for the leader alone: only it knows the workers."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot | None],
        jobs: Callable[[], Mapping[str, KnownJob]],
        session: Callable[[str], WorkerSession | None],
        get_secret: GetSecret,
        leader: Callable[[], str],
    ) -> None:
        """`snapshot`: None while this replica does not lead; `session`: by the uid of a pod."""
        self._snapshot = snapshot
        self._jobs = jobs
        self._session = session
        self._get_secret = get_secret
        self._leader = leader
        self._running = 0

    def routes(self) -> list[web.RouteDef]:
        """Routes of the operator's endpoint."""
        return [web.post("/v1/probe", self._probe)]

    async def _probe(self, request: web.Request) -> web.StreamResponse:
        snapshot = self._snapshot()
        if snapshot is None:
            leader = self._leader() or None
            return _refused(503, f"only the leading operator knows the workers: {leader or 'nobody'} leads", leader)
        if self._running >= AT_ONCE:
            return _refused(429, f"the operator already has {AT_ONCE} sources looked at: ask again in a moment")
        self._running += 1
        try:
            return await self._answer(snapshot, _read(await request.content.read(_LARGEST)))
        except _RefusedError as error:
            return _refused(error.status, str(error))
        except MissingError as error:
            return _refused(409, error.why.message)
        finally:
            self._running -= 1

    async def _answer(self, snapshot: Snapshot, question: ProbeQuestion) -> web.StreamResponse:
        job = self._job(snapshot, question)
        worker = _choice(snapshot, job, _pools(snapshot, question, job))
        source = await self._source(question, job)
        session = self._session(worker.id)
        if session is None:
            raise _RefusedError(409, f"worker {worker.name} is gone: ask again")
        try:
            report = await session.probe(ProbeRequest(source=source, timeout=question.timeout))
        except BusyError as error:
            raise _RefusedError(429, f"worker {worker.name}: {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning("probe failed", extra={"worker": worker.name, "error": type(error).__name__})
            raise _RefusedError(502, f"worker {worker.name} gave no answer ({type(error).__name__})") from error
        if report.message is not None:
            hidden = (source.username, source.password, source.session_token)
            message = redact_text(report.message, *(each for each in hidden if each))
            report = report.model_copy(update={"message": message})
        answer = ProbeAnswer(worker=worker.name, pool=worker.pool, report=report)
        return web.json_response(text=answer.model_dump_json(by_alias=True, exclude_none=True))

    def _job(self, snapshot: Snapshot, question: ProbeQuestion) -> Job | None:
        if question.job is None:
            return None
        job = snapshot.jobs.get(question.job)
        if job is None:
            raise _RefusedError(404, "this operator knows no VideoJob with the uid that was given")
        return job

    async def _source(self, question: ProbeQuestion, job: Job | None) -> JobSource:
        if job is not None:
            known = self._jobs().get(job.uid)
            payload = None if known is None else known.payload()
            if payload is None:
                why = job.problem.message if job.problem else "what it needs is being read: ask again"
                raise _RefusedError(409, f"the job's source is not known: {why}")
            return payload.source
        if question.source is None:
            raise _RefusedError(400, "give job or source")
        name = question.source.credentials_secret_ref
        data = None if name is None else await self._secret(question, name.name)
        return source_of(question.source, lambda _: data)

    async def _secret(self, question: ProbeQuestion, name: str) -> SecretData:
        """Raises _RefusedError where the asker does not show that he may read it."""
        namespace = question.namespace or ""
        try:
            found = await self._get_secret(namespace, name)
        except ApiError as error:
            raise _RefusedError(409, f"the operator cannot read Secret {namespace}/{name}: {error}") from error
        metadata = {} if found is None else found.get("metadata")
        if found is None or not isinstance(metadata, dict) or metadata.get("uid") != question.secret:
            raise _RefusedError(404, f"there is no Secret {namespace}/{name} with the uid that was given")
        data = found.get("data")
        return {str(key): str(value) for key, value in data.items()} if isinstance(data, dict) else {}


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _read(body: bytes) -> ProbeQuestion:
    try:
        return ProbeQuestion.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "body"
        raise _RefusedError(400, f"{field}: {first['msg']}") from None


def _pools(snapshot: Snapshot, question: ProbeQuestion, job: Job | None) -> list[Pool]:
    """Pools that may look."""
    if question.pool is not None:
        chosen = [pool for pool in snapshot.pools.values() if pool.uid == question.pool]
        if not chosen:
            raise _RefusedError(404, "this operator knows no WorkerPool with the uid that was given")
        return chosen
    if job is None:
        raise _RefusedError(400, "give pool, or job")
    pools = [pool for pool in snapshot.pools.values() if visible(pool, job.namespace) and refusal(pool, job) is None]
    if not pools:
        raise _RefusedError(409, "no pool takes this job: `kubectl videojob explain` says why")
    return pools


def _choice(snapshot: Snapshot, job: Job | None, pools: list[Pool]) -> Worker:
    """The job's own worker where it has one, else the one with the fewest jobs. Raises _RefusedError."""
    keys = {pool.key for pool in pools}
    able = [each for each in snapshot.workers.values() if each.pool in keys and ready(each)]
    if not able:
        raise _RefusedError(409, f"no worker of {', '.join(sorted(keys))} answers now")
    own = job.record.worker.id if job is not None and job.record.worker is not None else None
    return min(able, key=lambda each: (each.id != own, len(each.reports), each.name))


def _refused(status: int, error: str, leader: str | None = None) -> web.Response:
    return web.json_response(Refused(error=error, leader=leader).wire(), status=status)
