"""The key pair of each worker, in a Secret that goes with its pod."""

import datetime
from collections.abc import Callable

from videofleet_api import names
from videofleet_operator.domain.model import Pool
from videofleet_operator.kube.operations import Create, Delete, Outcome, Patch
from videofleet_operator.kube.resources import SECRETS, Json, ObjectRef
from videofleet_operator.kube.session import ApiSession
from videofleet_operator.kube.writes import WriteQueue
from videofleet_operator.services import pki, podspec


class WorkerKeys:
    """Makes key pairs. Pods are named again when an earlier one is gone, so a Secret may be there that goes with it."""

    def __init__(
        self, api: ApiSession, queue: WriteQueue, authority: pki.KeyPair, now: Callable[[], datetime.datetime]
    ) -> None:
        self._api = api
        self._queue = queue
        self._authority = authority
        self._now = now

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
        return await self._queue.submit(patch)


def _is_ours(secret: Json, pool: Pool) -> bool:
    labels = secret["metadata"].get("labels") or {}
    wanted = podspec.secret_labels(pool)
    return all(labels.get(key) == value for key, value in wanted.items())
