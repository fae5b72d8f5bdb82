"""Keeps each pool's worker pods as they should be, and tells of them in the WorkerPool's status."""

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

from videofleet_api.names import LABEL_POOL
from videofleet_api.protocol import WorkerInfo
from videofleet_api.workerpool import SlotCounts, WorkerCounts, WorkerPoolStatus
from videofleet_kube.errors import ApiError
from videofleet_kube.operations import Create, Delete, Outcome, Patch, Priority, Result
from videofleet_kube.resources import PODS, ObjectRef
from videofleet_kube.writes import WriteQueue
from videofleet_operator.domain import demand
from videofleet_operator.domain.conditions import PoolState, pool_conditions
from videofleet_operator.domain.hints import limited_told, wants_accelerator
from videofleet_operator.domain.model import Pool, Snapshot, Worker
from videofleet_operator.domain.placement import answers, room
from videofleet_operator.domain.podview import Pod, PodState
from videofleet_operator.domain.pools import Place, PoolPlan, plan_pool
from videofleet_operator.domain.tally import Tally
from videofleet_operator.metrics import PoolFigures
from videofleet_operator.services import podspec
from videofleet_operator.services.announcements import Announcer
from videofleet_operator.services.budgets import BudgetKeeper
from videofleet_operator.services.caches import WORKERPOOLS, Caches
from videofleet_operator.services.fleet import Fleet
from videofleet_operator.services.objects import PodObject, PoolObject, known_conditions
from videofleet_operator.services.updates import Updates
from videofleet_operator.services.worker_keys import WorkerKeys

log = logging.getLogger(__name__)

_PAUSE = 5.0
"""Seconds before a pod that could not be made is tried again."""


class PoolKeeper:
    """Makes and takes away worker pods; writes the status of pools."""

    def __init__(
        self,
        worker_image: str,
        caches: Caches,
        fleet: Fleet,
        queue: WriteQueue,
        announcer: Announcer,
        keys: WorkerKeys,
        budgets: BudgetKeeper,
        changed: Callable[[], None],
    ) -> None:
        self._worker_image = worker_image
        self._caches = caches
        self._fleet = fleet
        self._queue = queue
        self._announcer = announcer
        self._keys = keys
        self._budgets = budgets
        self.updates = Updates(worker_image, lambda: keys.trust)
        self._changed = changed
        self._idle_since: dict[str, float] = {}
        self._failed_at: dict[str, float] = {}
        self._making: dict[tuple[str, Place], asyncio.Task[None]] = {}
        self._writing: set[str] = set()
        self._not_made_why: dict[str, str] = {}
        self.figures: dict[tuple[str, str], PoolFigures] = {}
        """What the last pass found, by namespace and name; empty while this replica does not lead."""

    def reconcile(self, snapshot: Snapshot, tally: Tally) -> float | None:
        """Start what is needed for every pool. Returns when to look again even if nothing happens.

        `tally`: of the snapshot.
        """
        waiting = demand.waiting_slots(snapshot, tally)
        used = tally.used
        pods = self._pods_by_pool()
        self._remember(pods, used, snapshot)
        self._keys.follow(self._made_before(pods))
        uids = {pool.uid for pool in snapshot.pools.values()}
        self._not_made_why = {uid: why for uid, why in self._not_made_why.items() if uid in uids}
        self.updates.keep(uids)
        wakes: list[float] = []
        desired: list[tuple[Pool, int]] = []
        figures: dict[tuple[str, str], PoolFigures] = {}
        for source in self._caches.pools.cache.values():
            pool = snapshot.pools.get(f"{source.meta.namespace}/{source.meta.name}")
            if pool is None:
                self._tell_invalid(source, snapshot.now)
                continue
            own = pods.get(pool.uid, [])
            views = [self._view(pod, pool, used, snapshot) for pod in own] + self._coming(pool, own)
            decided = plan_pool(pool, views, waiting[pool.key], snapshot.now)
            if self.updates.empty(pool, decided.rollout.emptying):
                self._changed()
            self._carry_out(pool, decided, own)
            desired.append((pool, decided.desired))
            status = self._status(source, pool, decided, views, own, used, snapshot)
            self._submit_status(source, status.wire())
            figures[pool.namespace, pool.name] = PoolFigures(status.workers, status.slots, sum(waiting[pool.key]))
            if decided.wake is not None:
                wakes.append(decided.wake)
        self._budgets.reconcile(desired, snapshot.now)
        self.figures = figures
        return min(wakes, default=None)

    # What is

    def _pods_by_pool(self) -> dict[str, list[PodObject]]:
        result: dict[str, list[PodObject]] = {}
        for pod in self._caches.pods.cache.values():
            if pod.pool_uid is not None:
                result.setdefault(pod.pool_uid, []).append(pod)
        return result

    def _made_before(self, pods: dict[str, list[PodObject]]) -> list[PodObject]:
        """Pods that are not being made just now."""
        making = {(uid, place.ordinal, place.incarnation) for uid, place in self._making}
        return [pod for uid, own in pods.items() for pod in own if (uid, pod.ordinal, pod.incarnation) not in making]

    def _remember(self, pods: dict[str, list[PodObject]], used: Mapping[str, int], snapshot: Snapshot) -> None:
        """Since when each worker is idle, and when each pod was first seen to have ended."""
        everything = {pod.meta.uid: pod for own in pods.values() for pod in own}
        now = snapshot.now
        idle = [uid for uid in everything if not used.get(uid)]
        ended = [
            uid
            for uid, pod in everything.items()
            if _state(pod, snapshot.workers.get(uid), used.get(uid, 0)) is PodState.FAILED
        ]
        self._idle_since = {uid: self._idle_since.get(uid, now) for uid in idle}
        self._failed_at = {uid: self._failed_at.get(uid, now) for uid in ended}

    def _view(self, pod: PodObject, pool: Pool, used: Mapping[str, int], snapshot: Snapshot) -> Pod:
        meta = pod.meta
        worker = snapshot.workers.get(meta.uid)
        return Pod(
            name=meta.name,
            ordinal=pod.ordinal,
            incarnation=pod.incarnation,
            state=_state(pod, worker, used.get(meta.uid, 0)),
            created=meta.created,
            used=used.get(meta.uid, 0),
            failures=pod.failures,
            spent=worker is not None and worker.spent,
            idle_since=self._idle_since.get(meta.uid),
            ended=self._failed_at.get(meta.uid),
            outdated=self.updates.outdated(pod, pool),
            draining=meta.drain,
            cordoned=worker is not None and worker.cordoned,
            room=worker.capacity if worker is not None and worker.limited else None,
            unscheduled=pod.unscheduled,
        )

    def _coming(self, pool: Pool, own: list[PodObject]) -> list[Pod]:
        """Pods that are being made and that the cache does not have yet."""
        there = {pod.meta.name for pod in own}
        places = [place for key, place in self._making if key == pool.uid and place.name(pool.name) not in there]
        return [
            Pod(place.name(pool.name), place.ordinal, place.incarnation, PodState.STARTING, created=0.0)
            for place in places
        ]

    # What is done

    def _carry_out(self, pool: Pool, decided: PoolPlan, own: list[PodObject]) -> None:
        # While the API server refuses pods of this pool (a quota, say), one at a time is tried.
        refused = pool.uid in self._not_made_why
        for place in decided.create:
            if refused and any(uid == pool.uid for uid, _ in self._making):
                break
            key = (pool.uid, place)
            if key not in self._making:
                task = asyncio.create_task(self._make(pool, place))
                self._making[key] = task
                task.add_done_callback(functools.partial(self._made, key))
        by_name = {pod.meta.name: pod for pod in own}
        for name in decided.delete:
            if name in by_name and not by_name[name].meta.deleting:
                self._delete(pool, by_name[name])

    async def _make(self, pool: Pool, place: Place) -> None:
        """The key pair first: a pod without its Secret would not start."""
        name = place.name(pool.name)
        try:
            secret = await self._keys.make(pool, name)
        except ApiError as error:
            await self._not_made(pool, name, error)
            return
        if secret.object is None:
            await self._not_made(pool, name, secret.error)
            return
        body = podspec.worker_pod(pool, place, self._worker_image, self._keys.trust)
        pod = await self._queue.submit(Create(PODS, pool.namespace, body, owner_uid=pool.uid))
        if pod.object is None:
            await self._not_made(pool, name, pod.error)
            return
        self._not_made_why.pop(pool.uid, None)
        self._caches.pods.feed(pod.object)
        log.info("worker pod made", extra={"pool": pool.key, "pod": name})
        await self._keys.hand_over(secret.object, pod.object)

    async def _not_made(self, pool: Pool, name: str, error: ApiError | None) -> None:
        if error is not None:
            message = f"worker pod {name} cannot be made: {error}"
            log.warning(message, extra={"pool": pool.key})
            self._not_made_why[pool.uid] = message
            self._changed()
            self._announcer.pool(pool, "WorkerNotCreated", message, warning=True)
        # What the API server refuses now it will mostly refuse in a second, too.
        await asyncio.sleep(_PAUSE)

    def _made(self, key: tuple[str, Place], task: asyncio.Task[None]) -> None:
        self._making.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("worker pod not made", extra={"pool": key[0]}, exc_info=error)
        self._changed()

    def _delete(self, pool: Pool, pod: PodObject) -> None:
        meta = pod.meta
        log.info("worker pod taken away", extra={"pool": pool.key, "pod": meta.name})
        target = ObjectRef(PODS, meta.namespace, meta.name, meta.uid, meta.resource_version)
        self._queue.submit(Delete(target), Priority.URGENT, on_done=self._deleted)

    def _deleted(self, outcome: Outcome) -> None:
        if outcome.object is not None:
            self._caches.pods.feed(outcome.object)
        # One that failed is tried at the next pass; asking for that at once would storm an API server that is away.
        if outcome.result is Result.APPLIED:
            self._changed()

    # What is told

    def _tell_invalid(self, source: PoolObject, now: float) -> None:
        """A pool whose spec cannot be read keeps what it has; its conditions say what is wrong."""
        if source.spec is not None or source.meta.deleting:
            return
        generation = source.meta.generation
        state = PoolState(desired=0, ready=0, failed=0, invalid=source.spec_error)
        conditions = pool_conditions(state, generation, known_conditions(source.status), now)
        told = {"observedGeneration": generation, "conditions": [each.wire() for each in conditions]}
        self._submit_status(source, {**source.status, **told})

    def _submit_status(self, source: PoolObject, desired: dict[str, Any]) -> None:
        meta = source.meta
        if meta.uid in self._writing:
            return
        target = ObjectRef(WORKERPOOLS, meta.namespace, meta.name, meta.uid, meta.resource_version)
        patch = Patch(target, {"status": source.status}, {"status": desired}, "status")
        if patch.difference() is None:
            return
        self._writing.add(meta.uid)
        self._queue.submit(patch, on_done=lambda outcome: self._written(meta.uid, outcome))

    def _written(self, uid: str, outcome: Outcome) -> None:
        self._writing.discard(uid)
        if outcome.object is not None:
            self._caches.pools.feed(outcome.object)

    def _status(
        self,
        source: PoolObject,
        pool: Pool,
        decided: PoolPlan,
        views: list[Pod],
        own: list[PodObject],
        used: Mapping[str, int],
        snapshot: Snapshot,
    ) -> WorkerPoolStatus:
        failed = sum(view.state is PodState.FAILED for view in views)
        there = [worker for worker in snapshot.workers.values() if worker.pool == pool.key and answers(worker)]
        answering = [worker for worker in there if not worker.drain]
        unmade = self._not_made_why.get(pool.uid, "")
        troubled = next((pod for pod in own if pod.problem and not pod.meta.deleting), None)
        problem = unmade if troubled is None else troubled.problem
        failing = troubled is None or troubled.node is not None
        state = PoolState(decided.desired, len(answering), failed, problem, failing, update=decided.rollout.progress)
        provider, fallback, models = self._what_workers_run(infos := self._infos(answering), pool)
        return WorkerPoolStatus(
            observed_generation=pool.generation,
            replicas=sum(view.state is not PodState.TERMINATING for view in views),
            selector=f"{LABEL_POOL}={pool.name}",
            workers=WorkerCounts(
                desired=decided.desired,
                ready=len(answering),
                draining=len(there) - len(answering) + _going(own, snapshot),
                failed=failed,
            ),
            slots=SlotCounts(
                total=sum(room(worker, pool) for worker in answering),
                used=sum(used.get(worker.id, 0) for worker in answering),
                found=sum(hints) if (hints := [info.hint.slots for info in infos if info.hint is not None]) else None,
            ),
            provider=provider,
            fallback=fallback,
            limited=limited_told(answering),
            models=models,
            isolation=sorted(set.intersection(*map(_confined_by, infos))) if infos else [],
            conditions=pool_conditions(state, pool.generation, known_conditions(source.status), snapshot.now),
        )

    def _infos(self, workers: list[Worker]) -> list[WorkerInfo]:
        """What they say of themselves."""
        sessions = [session for worker in workers if (session := self._fleet.session(worker.id)) is not None]
        return [session.state.info for session in sessions if session.state.info is not None]

    def _what_workers_run(self, infos: list[WorkerInfo], pool: Pool) -> tuple[str | None, str | None, list[str]]:
        """Provider (mixed where they differ), why on CPU although a GPU was asked for, and the models."""
        providers = sorted({info.provider for info in infos})
        provider = None if not providers else providers[0] if len(providers) == 1 else "mixed"
        reasons = sorted({info.fallback_reason or "" for info in infos if wants_accelerator(pool)} - {""})
        fallback = reasons[0] if reasons else None
        return provider, fallback, sorted({model.name for info in infos for model in info.models})


def _confined_by(info: WorkerInfo) -> set[str]:
    return {name for name, there in info.isolation.items() if there}


def _going(pods: list[PodObject], snapshot: Snapshot) -> int:
    """Pods that are being deleted and still answer."""
    workers = (snapshot.workers.get(pod.meta.uid) for pod in pods if pod.meta.deleting)
    return sum(worker is not None and worker.connected for worker in workers)


def _has_ended(pod: PodObject) -> bool:
    return pod.phase in ("Succeeded", "Failed")


def _state(pod: PodObject, worker: Worker | None, used: int) -> PodState:
    if pod.meta.deleting:
        return PodState.TERMINATING
    # A pod whose node is gone has ended too, only nobody can say so any more.
    if _has_ended(pod) or (worker is not None and worker.leaving):
        return PodState.FAILED
    if worker is None or not worker.connected:
        return PodState.STARTING
    # One for a single job whose container crashed is of no use any more, and the next one may crash as soon.
    return PodState.FAILED if worker.spent and pod.restarts and not used else PodState.READY
