"""Keeps a PodDisruptionBudget for each pool, so that evictions take its workers a few at a time."""

import logging
from collections.abc import Iterable
from typing import Any, Final

from videofleet_api import names
from videofleet_kube.operations import Create, Outcome, Patch
from videofleet_kube.resources import ObjectRef
from videofleet_kube.writes import WriteQueue
from videofleet_operator.domain.model import Pool, Seconds
from videofleet_operator.services.caches import BUDGETS, Caches
from videofleet_operator.services.podspec import owner_of_pool

log = logging.getLogger(__name__)

_HOLD_OFF: Final[Seconds] = 60.0
"""A budget that was refused is not tried again sooner."""


class BudgetKeeper:
    """Makes and changes budgets; those of pools that are gone go with them."""

    def __init__(self, caches: Caches, queue: WriteQueue) -> None:
        self._caches = caches
        self._queue = queue
        self._writing: set[str] = set()
        self._held: dict[str, Seconds] = {}

    def reconcile(self, desired: Iterable[tuple[Pool, int]], now: Seconds) -> None:
        """Have a budget for each pool. `desired`: with how many workers it should have."""
        existing = {budget.pool_uid: budget for budget in self._caches.budgets.cache.values()}
        for pool, workers in desired:
            if pool.uid in self._writing or now < self._held.get(pool.uid, now):
                continue
            spec = budget_spec(pool, workers)
            known = existing.get(pool.uid)
            if known is None:
                self._submit(pool, Create(BUDGETS, pool.namespace, _manifest(pool, spec), owner_uid=pool.uid), now)
            elif known.spec != spec and not known.meta.deleting:
                target = ObjectRef(BUDGETS, pool.namespace, known.meta.name, known.meta.uid)
                # Its status changes with every pod; only what it says of the pool counts here.
                patch = Patch(target, {"spec": known.spec}, {"spec": spec}, check_version=False)
                self._submit(pool, patch, now)

    def _submit(self, pool: Pool, write: Create | Patch, now: Seconds) -> None:
        self._writing.add(pool.uid)
        self._queue.submit(write, on_done=lambda outcome: self._written(pool, outcome, now))

    def _written(self, pool: Pool, outcome: Outcome, now: Seconds) -> None:
        self._writing.discard(pool.uid)
        self._held.pop(pool.uid, None)
        if outcome.object is not None:
            self._caches.budgets.feed(outcome.object)
        elif outcome.error is not None:
            self._held[pool.uid] = now + _HOLD_OFF
            error = str(outcome.error)
            log.warning("PodDisruptionBudget not written", extra={"pool": pool.key, "error": error})


def budget_spec(pool: Pool, workers: int) -> dict[str, Any]:
    """The budget's spec for so many workers.

    It counts in minAvailable because for maxUnavailable, or for a share, the disruption controller asks the owner of
    the pods for its scale, where the pool only has a floor.
    """
    return {
        "minAvailable": max(0, workers - pool.spec.max_unavailable),
        "selector": {"matchLabels": {names.LABEL_POOL: pool.name}},
        # A worker that does not work must never hold up the drain of its node.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }


def _manifest(pool: Pool, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": BUDGETS.api_version,
        "kind": "PodDisruptionBudget",
        "metadata": {
            "name": names.budget_name(pool.name),
            "namespace": pool.namespace,
            "labels": {"app.kubernetes.io/managed-by": "videofleet-operator", names.LABEL_POOL: pool.name},
            "ownerReferences": [owner_of_pool(pool)],
        },
        "spec": spec,
    }
