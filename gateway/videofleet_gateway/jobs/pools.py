"""The WorkerPools of the cluster: what models their workers have, and whose jobs they take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from pydantic import ValidationError

from videofleet_api.names import GROUP, VERSION
from videofleet_api.workerpool import Isolation, WorkerPoolSpec
from videofleet_kube.cache import Change
from videofleet_kube.reflector import Reflector
from videofleet_kube.resources import Json, Resource
from videofleet_kube.session import ApiSession

WORKERPOOLS: Final = Resource(GROUP, VERSION, "workerpools")


@dataclass(frozen=True, slots=True)
class Pool:
    """What is known of one. `namespaces`: whose jobs it takes, None for everybody's."""

    namespace: str
    name: str
    models: frozenset[str]
    namespaces: frozenset[str] | None
    shared: bool
    """Its workers serve several jobs at a time, with whatever labels."""

    @classmethod
    def of(cls, obj: Json) -> Self:
        """From an object of the API server. One that a newer version has stored is nobody's."""
        metadata, status = obj["metadata"], obj.get("status") or {}
        namespace = metadata["namespace"]
        namespaces: frozenset[str] | None = frozenset()
        shared = False
        try:
            spec = WorkerPoolSpec.model_validate(obj.get("spec") or {})
        except ValidationError:
            pass
        else:
            allowed = frozenset(spec.allowed_namespaces or [namespace])
            namespaces = None if "*" in allowed else allowed
            shared = spec.isolation is Isolation.PROCESS and not spec.job_labels
        models = frozenset(map(str, status.get("models") or ()))
        return cls(namespace, metadata["name"], models, namespaces, shared)

    def takes(self, namespace: str) -> bool:
        """Whether its workers do something for this namespace."""
        return self.namespaces is None or namespace in self.namespaces


class PoolCache:
    """All WorkerPools, followed."""

    def __init__(self, session: ApiSession, namespaces: Sequence[str] = ()) -> None:
        self._reflector: Reflector[Pool] = Reflector(session, WORKERPOOLS, tuple(namespaces) or None, _nothing, Pool.of)

    async def run(self) -> None:
        """Follow the API server until cancelled."""
        await self._reflector.run()

    def models(self) -> frozenset[str]:
        """Names of the models that any pool's workers have."""
        return frozenset().union(*(pool.models for pool in self._reflector.cache.values()))

    def shared_by(self, namespace: str) -> list[Pool]:
        """The pools whose workers do something for this namespace beside their jobs."""
        return [pool for pool in self._reflector.cache.values() if pool.shared and pool.takes(namespace)]


def _nothing(_change: Change[Pool]) -> None:
    """Nobody waits for a pool."""
