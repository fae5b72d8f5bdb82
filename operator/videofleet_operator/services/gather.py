"""From caches to the snapshot that a plan is made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from videofleet_api.codes import Reason
from videofleet_api.phases import ASSIGNED
from videofleet_api.protocol import JobSpec
from videofleet_api.source import Source
from videofleet_api.steps import Analytics, Step
from videofleet_api.videojob import VideoJobSpec
from videofleet_api.workerpool import WorkerPoolSpec
from videofleet_operator.domain.hosts import host_of
from videofleet_operator.domain.licence import recorded
from videofleet_operator.domain.model import ALWAYS, Job, Licence, Opening, Pool, Record, Snapshot, Why, Worker
from videofleet_operator.domain.schedule import UnknownTimeZoneError
from videofleet_operator.domain.schedule import opening as opening_of
from videofleet_operator.services import payload
from videofleet_operator.services.caches import Caches
from videofleet_operator.services.fleet import Fleet
from videofleet_operator.services.objects import JobObject, PodObject, PoolObject
from videofleet_operator.services.secrets import SecretKey, SecretStore

_UNREADABLE = VideoJobSpec(source=Source(), analytics=[Analytics(steps=[Step(model="detect")])])
"""Stands in for a spec that cannot be read; the job's problem keeps it from being placed."""


@dataclass(frozen=True, slots=True)
class KnownJob:
    """A job as it was gathered. `secrets`: versions of those that it was gathered with."""

    source: JobObject
    secrets: tuple[int, ...]
    job: Job
    build: "Callable[[KnownJob], JobSpec | None]"

    def payload(self) -> JobSpec | None:
        """What a worker is given for it; None while something for it is missing, or is not what was gathered any more.

        Made when it is sent: kept, it would be a large part of a job.
        """
        return self.build(self)


class Gatherer:
    """Makes snapshots. Keeps what it made of each object, so that only what changed is looked at again."""

    def __init__(
        self,
        caches: Caches,
        fleet: Fleet,
        secrets: SecretStore,
        further_secrets: Callable[[], dict[SecretKey, bool]],
        digest_key: bytes,
        mark: Callable[[Worker, PodObject, Pool], Worker],
    ) -> None:
        """`further_secrets`: those that others than jobs need, with whether they wait for better ones.

        `digest_key`: see payload.digest; the same in every replica. `mark`: see Updates.
        """
        self._caches = caches
        self._fleet = fleet
        self._secrets = secrets
        self._further_secrets = further_secrets
        self._digest_key = digest_key
        self._mark = mark
        self._known: dict[str, KnownJob] = {}
        self._jobs: dict[str, Job] = {}
        self._with_secrets: set[str] = set()
        self._scheduled: set[str] = set()
        self._secrets_seen = -1
        self._build = self._built
        """One bound method for all jobs."""
        self.led_since = 0.0
        """When this replica began to lead, by its own clock; see Snapshot."""

    def snapshot(self, now: float, licence: Licence, assumed: Mapping[str, Record]) -> Snapshot:
        """Everything as it is now. `assumed`: records that are being written.

        What they take counts already, what they give back only once it is written: that write may still fail.
        """
        # Pods before jobs: a job may name a worker that came up meanwhile, but never one that we then do not see.
        pods = self._caches.pods.cache.values()
        pools = self._pools()
        self._fleet.follow(pods)
        workers = self._workers(pods)
        self.jobs(now)
        found = Snapshot(
            now=now,
            jobs=self._jobs.copy(),
            pools=pools,
            workers=workers,
            licence=licence,
            led_since=self.led_since,
        )
        return with_taken(found, assumed)

    def jobs(self, now: float) -> Mapping[str, KnownJob]:
        """All jobs that are not being deleted, by uid, as the API server has acknowledged them.

        Of ten thousand few have changed: only those, and those that something else has changed for, are looked at.
        """
        changed = dict(self._caches.touched)
        self._caches.touched.clear()
        changed |= {uid: None for uid in self._scheduled if not self._jobs[uid].opening.holds(now)}
        if self._secrets.changes != self._secrets_seen:
            self._secrets_seen = self._secrets.changes
            changed |= dict.fromkeys(self._with_secrets)
        for uid in changed:
            self._look(uid, now)
        self._secrets.need(self._needed_secrets())
        return self._known

    @property
    def known(self) -> Mapping[str, KnownJob]:
        """The jobs as they were gathered last, by uid."""
        return self._known

    def doubt_secrets(self, known: KnownJob) -> None:
        """The job's credentials were refused: they may have been changed."""
        for key in _secret_keys(known.source):
            self._secrets.read_again(*key)

    def _look(self, uid: str, now: float) -> None:
        """Make the job anew, or forget it."""
        for kept in (self._with_secrets, self._scheduled):
            kept.discard(uid)
        source = self._caches.jobs.cache.get(uid)
        if source is None or source.meta.deleting:
            self._known.pop(uid, None)
            self._jobs.pop(uid, None)
            return
        known = self._job(source, now)
        self._known[uid], self._jobs[uid] = known, known.job
        if source.shape.secrets:
            self._with_secrets.add(uid)
        if known.job.opening is not ALWAYS:
            self._scheduled.add(uid)

    def _needed_secrets(self) -> dict[SecretKey, bool]:
        needed = dict(self._further_secrets())
        for uid in self._with_secrets:
            known = self._known[uid]
            wanting = known.job.problem is not None
            for key in _secret_keys(known.source):
                needed[key] = needed.get(key, False) or wanting
        return needed

    def _job(self, source: JobObject, now: float) -> KnownJob:
        secrets = self._secret_versions(source)
        known = self._known.get(source.meta.uid)
        if known is not None and known.source is source and known.secrets == secrets and known.job.opening.holds(now):
            return known
        meta = source.meta
        record, spec = source.record, source.spec
        built, problem = self._payload(source, spec)
        digests = payload.digests(built, self._digest_key) if built is not None else None
        opening, unscheduled = _opening(source, now)
        job = Job(
            uid=meta.uid,
            namespace=meta.namespace,
            name=meta.name,
            generation=meta.generation,
            created=meta.created,
            spec=source.shape.spec or _UNREADABLE,
            record=record,
            digest=_one_of(digests.spec, record.spec_digest) if digests else None,
            run_digest=_one_of(digests.run, record.run_digest) if digests else None,
            settings=digests.settings if digests else None,
            problem=problem or unscheduled,
            host=host_of(built.source.url) if built is not None else None,
            opening=opening,
            recorded=spec is not None and recorded(spec.source),
        )
        return KnownJob(source, secrets, job, self._build)

    def _built(self, known: KnownJob) -> JobSpec | None:
        if self._secret_versions(known.source) != known.secrets:
            return None
        return self._payload(known.source, known.source.spec)[0]

    def _payload(self, source: JobObject, spec: VideoJobSpec | None) -> tuple[JobSpec | None, Why | None]:
        if spec is None:
            return None, Why(Reason.INVALID_SPEC, source.shape.error)
        unread = [name for namespace, name in _secret_keys(source) if not self._secrets.is_known(namespace, name)]
        if unread:
            return None, Why(Reason.PENDING, f"reading Secret {unread[0]}")
        namespace = source.meta.namespace
        try:
            return payload.build(spec, lambda name: self._secrets.read(namespace, name)), None
        except payload.MissingError as error:
            return None, error.why

    def _secret_versions(self, source: JobObject) -> tuple[int, ...]:
        return tuple(self._secrets.version(*key) for key in _secret_keys(source))

    def _pools(self) -> dict[str, Pool]:
        pools = [pool_of(source) for source in self._caches.pools.cache.values()]
        return {pool.key: pool for pool in pools if pool is not None}

    def _workers(self, pods: list[PodObject]) -> dict[str, Worker]:
        """The workers of every pool that is there. Those of a pool that cannot be read keep what they run."""
        nodes = {node.meta.name: node for node in self._caches.nodes.cache.values()}
        sources = [source for source in self._caches.pools.cache.values() if not source.meta.deleting]
        readable = {source.meta.uid: pool_of(source) for source in sources}
        unreadable = {source.meta.uid: _unreadable(source) for source in sources if readable[source.meta.uid] is None}
        workers = {}
        for pod in pods:
            uid = pod.pool_uid or ""
            pool = readable.get(uid)
            if pool is not None:
                workers[pod.meta.uid] = self._mark(self._fleet.worker(pod, pool, nodes), pod, pool)
            elif uid in unreadable:
                # What such a pool wants of its workers is not known: they are left as they are.
                workers[pod.meta.uid] = self._fleet.worker(pod, unreadable[uid], nodes)
        return workers


def _one_of(new: str, old: str | None) -> str:
    """Of two that are equal the old one, so that only one is kept."""
    return old if old is not None and old == new else new


def _opening(source: JobObject, now: float) -> tuple[Opening, Why | None]:
    """What the job's schedule says, and what is wrong with it."""
    try:
        return opening_of(source.shape.spec.schedule if source.shape.spec else (), now), None
    except UnknownTimeZoneError as error:
        return ALWAYS, Why(Reason.UNKNOWN_TIME_ZONE, str(error))


def with_taken(snapshot: Snapshot, records: Mapping[str, Record]) -> Snapshot:
    """The snapshot where jobs hold what records that are not written yet give them.

    What such a record gives back counts only once it is written: that may still fail.
    """
    jobs = dict(snapshot.jobs)
    for uid, record in records.items():
        if uid in jobs and record.phase in ASSIGNED and not _only_gives_back(jobs[uid].record, record):
            jobs[uid] = replace(jobs[uid], record=record)
    return replace(snapshot, jobs=jobs)


def _only_gives_back(before: Record, after: Record) -> bool:
    """Whether a record holds some of the workers that it held, and no other: the end of a move."""
    return set(after.held) < set(before.held)


def pool_of(source: PoolObject) -> Pool | None:
    """The pool of a cached object; None where it is being deleted or cannot be read."""
    if source.spec is None or source.meta.deleting:
        return None
    meta = source.meta
    return Pool(meta.uid, meta.namespace, meta.name, meta.generation, source.spec, draining=meta.drain)


def _unreadable(source: PoolObject) -> Pool:
    """Stands in for a pool that cannot be read, where its workers are looked at. It is in no snapshot: no job comes."""
    meta = source.meta
    return Pool(meta.uid, meta.namespace, meta.name, meta.generation, WorkerPoolSpec())


def _secret_keys(job: JobObject) -> list[SecretKey]:
    return [(job.meta.namespace, name) for name in job.shape.secrets]
