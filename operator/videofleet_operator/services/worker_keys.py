"""The key pair of each worker, in a Secret that goes with its pod."""

import asyncio
import datetime
import logging
from collections.abc import Callable, Iterable

from videofleet_api import names
from videofleet_kube.apply import controller_of
from videofleet_kube.errors import ApiError
from videofleet_kube.operations import Create, Delete, Outcome, Patch, Result
from videofleet_kube.resources import SECRETS, Json, ObjectRef
from videofleet_kube.session import ApiSession
from videofleet_kube.writes import WriteQueue
from videofleet_operator.domain.model import Pool
from videofleet_operator.services import pki, podspec
from videofleet_operator.services.objects import PodObject

log = logging.getLogger(__name__)

_PAUSE = 1.0
"""Seconds after an API server that did not answer."""


class WorkerKeys:
    """Makes key pairs. Pods are named again when an earlier one is gone, so a Secret may be there that goes with it."""

    def __init__(
        self, api: ApiSession, queue: WriteQueue, authority: pki.KeyPair, now: Callable[[], datetime.datetime]
    ) -> None:
        self._api = api
        self._queue = queue
        self._authority = authority
        self._now = now
        self._handed: set[str] = set()
        """uids of pods whose Secret is known to go with them."""
        self._doubted: dict[str, PodObject] = {}
        self._doubt = asyncio.Event()

    @property
    def trust(self) -> bytes:
        """The certificate that workers and operator trust."""
        return self._authority.certificate

    async def make(self, pool: Pool, pod: str) -> Outcome:
        """Create the Secret for a pod that is about to be made; what is left of an earlier pod of the name goes.

        Raises ApiError where it cannot be found out what is there.
        """
        left = await self._api.get(SECRETS, pool.namespace, names.worker_tls_secret_name(pod))
        if left is not None and _is_ours(left, pool):
            # Not adopted: it may be of another authority, and the garbage collector may be about to take it away.
            await self._queue.submit(Delete(ObjectRef.of(SECRETS, left)))
        pair = pki.issue_server(self._authority, names.worker_server_name(pool.namespace, pod), self._now())
        secret = podspec.tls_secret(pool, pod, pair, self.trust)
        return await self._queue.submit(Create(SECRETS, pool.namespace, secret, owner_uid=pool.uid))

    async def hand_over(self, secret: Json, pod: Json) -> Outcome:
        """Let the Secret go when its pod goes. Until then it belongs to the pool, so that it is never nobody's."""
        current = {"metadata": {"ownerReferences": secret["metadata"].get("ownerReferences")}}
        desired = {"metadata": {"ownerReferences": [podspec.owner_of_pod(pod)]}}
        patch = Patch(ObjectRef.of(SECRETS, secret), current, desired, check_version=False)
        outcome = await self._queue.submit(patch)
        if outcome.result in (Result.APPLIED, Result.UNCHANGED):
            self._handed.add(pod["metadata"]["uid"])
        return outcome

    def follow(self, pods: Iterable[PodObject]) -> None:
        """Doubt the Secret of each pod once: who made the two may have ended, or failed, before handing it over."""
        there = {pod.meta.uid: pod for pod in pods if not pod.meta.deleting}
        self._handed &= there.keys()
        self._doubted = {uid: pod for uid, pod in there.items() if uid not in self._handed}
        if self._doubted:
            self._doubt.set()

    @property
    def settled(self) -> bool:
        """Whether every Secret is known to go with its pod."""
        return self._doubted.keys() <= self._handed

    async def run(self) -> None:
        """Look at what is doubted, one after the other, until cancelled."""
        while True:
            await self._doubt.wait()
            self._doubt.clear()
            for uid, pod in list(self._doubted.items()):
                try:
                    await self._look(uid, pod)
                except ApiError as error:
                    log.info("key of a worker not looked at", extra={"pod": pod.meta.name, "error": str(error)})
                    self._doubt.set()
                    await asyncio.sleep(_PAUSE)

    async def _look(self, uid: str, pod: PodObject) -> None:
        meta = pod.meta
        secret = await self._api.get(SECRETS, meta.namespace, names.worker_tls_secret_name(meta.name))
        if secret is not None and controller_of(secret) == pod.pool_uid:
            await self.hand_over(secret, {"metadata": {"name": meta.name, "uid": uid}})
        else:
            self._handed.add(uid)


def _is_ours(secret: Json, pool: Pool) -> bool:
    labels = secret["metadata"].get("labels") or {}
    wanted = podspec.secret_labels(pool)
    return all(labels.get(key) == value for key, value in wanted.items())
