"""The caches of all kinds that the operator watches."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from videofleet_api.names import GROUP, LABEL_POOL, VERSION
from videofleet_kube.cache import Change
from videofleet_kube.follower import WatchSettings
from videofleet_kube.reflector import Reflector
from videofleet_kube.resources import NODES, PODS, Resource
from videofleet_kube.session import ApiSession
from videofleet_operator.services.objects import (
    BudgetObject,
    JobObject,
    LicenseObject,
    NodeObject,
    PodObject,
    PoolObject,
    project_budget,
    project_job,
    project_license,
    project_node,
    project_pod,
    project_pool,
)

VIDEOJOBS = Resource(GROUP, VERSION, "videojobs")
WORKERPOOLS = Resource(GROUP, VERSION, "workerpools")
BUDGETS = Resource("policy", "v1", "poddisruptionbudgets")
VIDEOLICENSES = Resource(GROUP, VERSION, "videolicenses", namespaced=False)


@dataclass(frozen=True)
class Caches:
    """One reflector a kind."""

    jobs: Reflector[JobObject]
    pools: Reflector[PoolObject]
    pods: Reflector[PodObject]
    nodes: Reflector[NodeObject]
    budgets: Reflector[BudgetObject]
    licenses: Reflector[LicenseObject]
    touched: dict[str, None]
    """uids of VideoJobs that have changed, come or gone, in this order; who has looked at one takes it out."""

    @classmethod
    def of(cls, api: ApiSession, namespaces: Sequence[str] | None, changed: Callable[[], None]) -> "Caches":
        """Caches of the given namespaces (None: all); `changed` is called at every change of any."""

        touched: dict[str, None] = {}

        def on_change(_: Change[Any]) -> None:
            changed()

        def on_job(change: Change[JobObject]) -> None:
            touched[change.uid] = None
            changed()

        def on_node(change: Change[NodeObject]) -> None:
            # A kubelet writes its node's status every few seconds: only what decisions see is a change.
            if change.old is None or change.new is None or _facts(change.old) != _facts(change.new):
                changed()

        def on_budget(change: Change[BudgetObject]) -> None:
            # Its status is written whenever a pod becomes ready or is no more.
            if change.old is None or change.new is None or change.old.spec != change.new.spec:
                changed()

        workers = WatchSettings(label_selector=LABEL_POOL)
        return cls(
            jobs=Reflector(api, VIDEOJOBS, namespaces, on_job, project_job),
            pools=Reflector(api, WORKERPOOLS, namespaces, on_change, project_pool),
            pods=Reflector(api, PODS, namespaces, on_change, project_pod, settings=workers),
            nodes=Reflector(api, NODES, None, on_node, project_node),
            budgets=Reflector(api, BUDGETS, namespaces, on_budget, project_budget, settings=workers),
            licenses=Reflector(api, VIDEOLICENSES, None, on_change, project_license),
            touched=touched,
        )

    def all(self) -> dict[str, Reflector[Any]]:
        """Every reflector by the plural of its kind."""
        return {
            "videojobs": self.jobs,
            "workerpools": self.pools,
            "pods": self.pods,
            "nodes": self.nodes,
            "poddisruptionbudgets": self.budgets,
            "videolicenses": self.licenses,
        }

    async def run(self) -> None:
        """Follow the server until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self.all().values():
                group.create_task(reflector.run())

    async def refreshed(self) -> None:
        """Wait until every cache has reached a list begun after this call."""
        await asyncio.gather(*(reflector.refreshed() for reflector in self.all().values()))

    @property
    def synced(self) -> bool:
        """Whether everything has been listed once."""
        return all(reflector.synced.is_set() for reflector in self.all().values())


def _facts(node: NodeObject) -> tuple[object, ...]:
    return node.meta.uid, node.ready, node.schedulable
