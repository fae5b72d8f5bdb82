"""Which workers are of an older template, and which of them is being emptied to be replaced."""

from collections.abc import Callable
from dataclasses import replace

from videofleet_operator.domain.model import Pool, Worker
from videofleet_operator.services import podspec
from videofleet_operator.services.objects import PodObject


class Updates:
    """What the keeper of pools decided last, for the next plan."""

    def __init__(self, worker_image: str, trust: Callable[[], bytes]) -> None:
        """`trust`: the certificate of the authority that keys of new workers are of."""
        self._worker_image = worker_image
        self._trust = trust
        self._digests: dict[str, tuple[Pool, bytes, str]] = {}
        self._emptying: dict[str, str] = {}

    def outdated(self, pod: PodObject, pool: Pool) -> bool:
        """Whether the pod was made from another template than its pool has now."""
        return pod.template_digest != self._digest(pool)

    def mark(self, worker: Worker, pod: PodObject, pool: Pool) -> Worker:
        """The worker as the update of its pool sees it."""
        if not self.outdated(pod, pool):
            return worker
        leaves = not worker.drain and self._emptying.get(pool.uid) == pod.meta.name
        return replace(worker, outdated=True, drain="is of an older template" if leaves else worker.drain)

    def empty(self, pool: Pool, pod: str) -> bool:
        """This pod of the pool (empty: none) is to be emptied; whether it was another before."""
        changed = self._emptying.get(pool.uid, "") != pod
        self._emptying[pool.uid] = pod
        return changed

    def keep(self, pools: set[str]) -> None:
        """Forget pools that are gone. `pools`: uids of those that are there."""
        self._emptying = {uid: pod for uid, pod in self._emptying.items() if uid in pools}
        self._digests = {uid: found for uid, found in self._digests.items() if uid in pools}

    def _digest(self, pool: Pool) -> str:
        known, trust = self._digests.get(pool.uid), self._trust()
        if known is None or known[0].spec is not pool.spec or known[1] != trust:
            known = pool, trust, podspec.template_digest(pool, self._worker_image, trust)
            self._digests[pool.uid] = known
        return known[2]
