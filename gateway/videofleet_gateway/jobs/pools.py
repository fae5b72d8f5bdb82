"""What models the workers of the cluster have, as their pools tell it."""

from collections.abc import Sequence
from typing import Final

from videofleet_api.names import GROUP, VERSION
from videofleet_kube.cache import Change
from videofleet_kube.reflector import Reflector
from videofleet_kube.resources import Json, Resource
from videofleet_kube.session import ApiSession

WORKERPOOLS: Final = Resource(GROUP, VERSION, "workerpools")


class PoolCache:
    """All WorkerPools, followed."""

    def __init__(self, session: ApiSession, namespaces: Sequence[str] = ()) -> None:
        self._reflector: Reflector[frozenset[str]] = Reflector(
            session, WORKERPOOLS, tuple(namespaces) or None, _nothing, _models
        )

    async def run(self) -> None:
        """Follow the API server until cancelled."""
        await self._reflector.run()

    def models(self) -> frozenset[str]:
        """Names of the models that any pool's workers have."""
        return frozenset().union(*self._reflector.cache.values())


def _models(pool: Json) -> frozenset[str]:
    return frozenset(map(str, (pool.get("status") or {}).get("models") or ()))


def _nothing(_change: Change[frozenset[str]]) -> None:
    """Nobody waits for a pool."""
