"""Answers about the plan of this moment, over HTTP: see videofleet_api.explain.

The API server's proxy, by which people reach this, does not tell who asks. So the question carries uids: who knows
that of a VideoJob or WorkerPool may read objects of its namespace, and gets what concerns that namespace.
"""

from collections.abc import Callable, Mapping

from aiohttp import web

from videofleet_api.explain import Refused
from videofleet_api.model import Document
from videofleet_operator.domain.explain import Explainer
from videofleet_operator.domain.model import Job, Snapshot, Why
from videofleet_operator.domain.overview import top


class Answers:
    """Keeps the last snapshot and what its plan says of those that wait. Only the leader has them."""

    def __init__(self, leads: Callable[[], bool], leader: Callable[[], str]) -> None:
        """`leader`: name of the replica that holds the Lease, empty while nobody does."""
        self._leads = leads
        self._leader = leader
        self._explainer: Explainer | None = None

    def renew(self, snapshot: Snapshot, waiting: Mapping[str, Why]) -> Explainer:
        """Answer from these from now on."""
        self._explainer = Explainer(snapshot, waiting)
        return self._explainer

    @property
    def snapshot(self) -> Snapshot | None:
        """What the last plan was made from; None while this replica does not lead."""
        explainer = self._known()
        return None if explainer is None else explainer.snapshot

    def routes(self) -> list[web.RouteDef]:
        """Routes of the operator's endpoint."""
        return [
            web.get("/v1/explain/{namespace}/{name}", self._explain),
            web.get("/v1/queue", self._queue),
            web.get("/v1/top", self._top),
        ]

    async def _explain(self, request: web.Request) -> web.StreamResponse:
        explainer = self._known()
        if explainer is None:
            return self._not_leading()
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        job = explainer.snapshot.jobs.get(request.query.get("uid", ""))
        if job is None or (job.namespace, job.name) != (namespace, name):
            return _refused(404, f"this operator knows no VideoJob {namespace}/{name} with the uid that was given")
        return _answer(explainer.explain(job))

    async def _queue(self, request: web.Request) -> web.StreamResponse:
        explainer = self._known()
        if explainer is None:
            return self._not_leading()
        opened = _opened(explainer.snapshot, request)
        return _answer(explainer.queue(opened)) if opened else _nothing_opened()

    async def _top(self, request: web.Request) -> web.StreamResponse:
        explainer = self._known()
        if explainer is None:
            return self._not_leading()
        opened = _opened(explainer.snapshot, request)
        return _answer(top(explainer.snapshot, opened)) if opened else _nothing_opened()

    def _known(self) -> Explainer | None:
        return self._explainer if self._leads() else None

    def _not_leading(self) -> web.Response:
        leader = self._leader() or None
        told = f"{leader} leads" if leader else "nobody leads yet"
        return _refused(503, f"only the leading operator knows the plan, and this one does not lead: {told}", leader)


def _opened(snapshot: Snapshot, request: web.Request) -> frozenset[str]:
    """Namespaces of the objects whose uids were given."""
    pools = {pool.uid: pool.namespace for pool in snapshot.pools.values()}
    jobs: Mapping[str, Job] = snapshot.jobs
    given = set(request.query.getall("uid", []))
    return frozenset(
        {jobs[uid].namespace for uid in given if uid in jobs} | {pools[uid] for uid in given if uid in pools}
    )


def _nothing_opened() -> web.Response:
    return _refused(404, "give at least one uid of a VideoJob or WorkerPool that this operator knows: ?uid=...")


def _refused(status: int, error: str, leader: str | None = None) -> web.Response:
    return web.json_response(Refused(error=error, leader=leader).wire(), status=status)


def _answer(document: Document) -> web.Response:
    return web.json_response(text=document.model_dump_json(by_alias=True, exclude_none=True))
