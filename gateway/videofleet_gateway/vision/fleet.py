"""Which workers there are that may look at a picture of a project."""

import time
from typing import Final

from videofleet_api.names import ANNOTATION_DRAIN, DRAIN_WANTED, LABEL_POOL
from videofleet_gateway.errors import of_api
from videofleet_gateway.jobs.pools import Pool, PoolCache
from videofleet_gateway.workers import Address
from videofleet_kube.errors import ApiError
from videofleet_kube.resources import PODS, Json
from videofleet_kube.session import ApiSession, Query

_GOOD_SECONDS: Final = 3.0
_MOST: Final = 100
"""Workers of a pool that are considered."""


class Fleet:
    """Ready workers, asked for when somebody needs one and remembered for a moment."""

    def __init__(self, session: ApiSession, pools: PoolCache) -> None:
        self._session = session
        self._pools = pools
        self._known: dict[tuple[str, str], tuple[float, list[Address]]] = {}

    async def ready_for(self, namespace: str) -> list[Address]:
        """The workers that do something for this namespace. Raises GatewayError."""
        found: list[Address] = []
        for pool in self._pools.shared_by(namespace):
            found += await self._of(pool)
        return found

    async def _of(self, pool: Pool) -> list[Address]:
        key, now = (pool.namespace, pool.name), time.monotonic()
        until, known = self._known.get(key, (now, []))
        if now < until:
            return known
        try:
            query: Query = {"labelSelector": f"{LABEL_POOL}={pool.name}", "limit": _MOST}
            pods = (await self._session.list(PODS, pool.namespace, query))["items"]
        except ApiError as error:
            raise of_api(error) from error
        ready = [pod for pod in pods if _ready(pod)]
        found = [Address(pool.namespace, pod["metadata"]["name"], pod["status"]["podIP"]) for pod in ready]
        self._known[key] = (now + _GOOD_SECONDS, found)
        return found


def _ready(pod: Json) -> bool:
    metadata, status = pod["metadata"], pod.get("status") or {}
    drained = (metadata.get("annotations") or {}).get(ANNOTATION_DRAIN) == DRAIN_WANTED
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    is_there = bool(status.get("podIP")) and conditions.get("Ready") == "True"
    return is_there and not drained and "deletionTimestamp" not in metadata
