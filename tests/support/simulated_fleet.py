"""Workers for pods that no kubelet runs: `python -m tests.support.simulated_fleet --kubeconfig FILE`.

One process answers for all worker pods of a cluster, each on its pod's address, so that one process is a thousand
workers. kwok gives its pods addresses of 127.0.0.0/8 (tests/support/kwok.py); where there is no kwok, `--kubelet` has
this program set the pods running itself. A job tells in its source's address what it will do, see `script_of`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import logging
import random
import resource
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from tests.support.simulated_worker import Script, Scripts, SimulatedWorker, Step, TlsFiles, end, fail, first_frame
from videofleet_api.codes import ErrorCode
from videofleet_api.names import LABEL_POOL, worker_tls_secret_name
from videofleet_api.protocol import Entry, JobProgress
from videofleet_kube import PODS, SECRETS, ApiSession, Change, Json, Reflector, WatchSettings, from_kubeconfig
from videofleet_kube.errors import ApiError, NotFound

log = logging.getLogger("simulated_fleet")
AT_ONCE = 16
"""Workers that are started at the same time; each needs its Secret from the API server."""
FPS = 10.0
LONGEST = 7200.0
"""Seconds for which a job tells its counters."""


@dataclass(frozen=True, slots=True)
class WorkerPod:
    """What is needed of a pod to answer for it. `address` None: nobody has set it running yet."""

    uid: str
    namespace: str
    name: str
    address: str | None
    capacity: int

    @classmethod
    def of(cls, pod: Json) -> WorkerPod | None:
        """From the API's object; None for a pod that is being deleted."""
        metadata, status = pod["metadata"], pod.get("status") or {}
        if "deletionTimestamp" in metadata:
            return None
        given = {each["name"]: each.get("value") for each in pod["spec"]["containers"][0]["env"]}
        address = status.get("podIP") if status.get("phase") == "Running" else None
        capacity = int(given["VIDEOFLEET_CAPACITY"] or 1)
        return cls(metadata["uid"], metadata["namespace"], metadata["name"], address, capacity)


def script_of(url: str) -> Script:
    """What a job with this source does: `rtsp://any/1?frame=0.2&end=5`, seconds, each after the one before.

    `frame`: the first frame (0.05); `end`: the source is over; `fail`: the network fails; without one of the two,
    `progress`: counters at a steady rate, so many seconds apart.
    """
    given = {name: float(values[0]) for name, values in parse_qs(urlsplit(url).query).items()}
    script = [first_frame(given.get("frame", 0.05))]
    if "progress" in given:
        period = given["progress"]
        script += [_progress(period, number) for number in range(1, int(LONGEST // period))]
    if "end" in given:
        return [*script[:1], end(given["end"])]
    return [*script[:1], fail(ErrorCode.NETWORK, after=given["fail"])] if "fail" in given else script


def _progress(period: float, number: int) -> Step:
    frames = int(number * period * FPS)
    counters = JobProgress(decoded_frames=frames, processed_frames=frames, source_fps=FPS, processed_fps=FPS)
    return Step(lambda _, job: job.progress(counters), period)


class SourceScripts(Scripts):
    """Scripts from the sources of the jobs. A worker gets a job's source once, its later epochs come without."""

    def __init__(self) -> None:
        super().__init__()
        self._urls: dict[str, str] = {}

    def begin(self, entry: Entry) -> Script:
        """The script of a job that starts now."""
        if entry.spec is not None:
            self._urls[entry.uid] = entry.spec.source.url
        return script_of(self._urls[entry.uid])


class Fleet:
    """Answers for every worker pod of a cluster, or of one namespace, until `run` is cancelled."""

    def __init__(self, api: ApiSession, namespace: str | None = None, *, plays_kubelet: bool = False) -> None:
        self.workers: dict[str, SimulatedWorker] = {}
        """By uid of the pod."""
        self._api = api
        self._plays_kubelet = plays_kubelet
        self._addresses = _addresses()
        self._changed: asyncio.Queue[str] = asyncio.Queue()
        self._starting: set[str] = set()
        self._pods: Reflector[WorkerPod] = Reflector(
            api,
            PODS,
            None if namespace is None else [namespace],
            self._on_change,
            WorkerPod.of,
            settings=WatchSettings(label_selector=LABEL_POOL),
        )

    async def run(self) -> None:
        """Follow the pods."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pods.run())
                for _ in range(AT_ONCE):
                    group.create_task(self._serve())
        finally:
            await asyncio.gather(*(worker.stop() for worker in self.workers.values()))

    def _on_change(self, change: Change[WorkerPod]) -> None:
        self._changed.put_nowait(change.uid)

    async def _serve(self) -> None:
        while True:
            uid = await self._changed.get()
            if uid in self._starting:
                # Another one is at it: looked at again when that one is through.
                continue
            self._starting.add(uid)
            try:
                await self._bring(uid)
            except ApiError as error:
                log.info("tried again: %s", error)
                await asyncio.sleep(1.0)
                self._changed.put_nowait(uid)
            finally:
                self._starting.discard(uid)

    async def _bring(self, uid: str) -> None:
        """Have a worker for a pod that runs, and none for one that does not, whatever happens meanwhile."""
        while True:
            pod = self._pods.cache.get(uid)
            if pod is None and uid in self.workers:
                await self.workers.pop(uid).stop()
            elif pod is not None and pod.address is not None and uid not in self.workers:
                await self._start(pod, pod.address)
            elif pod is not None and self._plays_kubelet and uid not in self.workers:
                # As a kubelet does: the container runs before the pod is called running.
                await self._start(pod, next(self._addresses))
                await self._set_running(pod, self.workers[uid].host)
            else:
                return

    async def _start(self, pod: WorkerPod, address: str) -> None:
        secret = await self._api.get(SECRETS, pod.namespace, worker_tls_secret_name(pod.name))
        if secret is None:
            # The operator makes it before the pod; it is gone when the pod is about to go as well.
            log.info("pod %s has no Secret", pod.name)
            await asyncio.sleep(0.5)
            return
        tls = TlsFiles.of_secret({key: base64.b64decode(value) for key, value in secret["data"].items()})
        worker = SimulatedWorker(pod.name, address, tls, SourceScripts(), capacity=pod.capacity, keeps_sets=False)
        await worker.start()
        self.workers[pod.uid] = worker

    async def _set_running(self, pod: WorkerPod, address: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        conditions = [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds]
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions}
        with suppress(NotFound):
            await self._api.patch(PODS, pod.namespace, pod.name, {"status": status}, subresource="status")


def _addresses() -> Iterator[str]:
    """Addresses of the loopback network, mostly other ones in each process so that two fleets do not meet."""
    numbers = itertools.product(range(random.randint(100, 200), 255), range(250), range(1, 250))
    return (f"127.{a}.{b}.{c}" for a, b, c in numbers)


async def serve(kubeconfig: str, namespace: str | None, plays_kubelet: bool) -> None:
    """Answer for the workers of a cluster until cancelled."""
    async with ApiSession(from_kubeconfig(kubeconfig), timeout=20.0, user_agent="simulated-fleet") as api:
        await Fleet(api, namespace, plays_kubelet=plays_kubelet).run()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="simulated_fleet", description=__doc__)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--namespace", help="only pods of this one; default: all")
    parser.add_argument("--kubelet", action="store_true", help="set the pods running, where no kwok does")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # Each worker listens on an address of its own and holds two connections.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments.kubeconfig, arguments.namespace, arguments.kubelet))


if __name__ == "__main__":
    main()
