"""Who is told what a job finds, while it runs here and for as long as something waits."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from videofleet_api.codes import OutputHealth
from videofleet_api.protocol import Delivered
from videofleet_api.targets import JobOutputs
from videofleet_archive.outbox import Cursor
from videofleet_worker.outputs.courier import Courier
from videofleet_worker.outputs.letters import Letter
from videofleet_worker.outputs.outbox import Outbox
from videofleet_worker.outputs.outlet import Outlet
from videofleet_worker.outputs.ways import Target, WaysOut, address
from videofleet_worker.pipeline.receivers import ROUTER, Receiver, Wished, wished

SEVERITY: Final = (OutputHealth.DELIVERED, OutputHealth.WAITING, OutputHealth.GIVEN_UP)
"""Of several receivers the worst is told."""
_POLL_SECONDS: Final = 0.05
_LEAVE_SECONDS: Final = 1.0


class JobOutlets:
    """The receivers of one job, over all its analytics. They may change while it runs."""

    def __init__(self, ways: WaysOut) -> None:
        self.receivers: dict[str, Receiver] = {}
        self.wanted = JobOutputs()
        self._ways = ways
        self._targets: dict[str, Target] = {}
        self._outboxes: list[Outbox] = []
        self._couriers: dict[str, list[Courier]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False
        self._posted_told = 0

    def use(self, wanted: JobOutputs) -> None:
        """Send to these from now on. A receiver whose address stays keeps what waits for it."""
        if self._closed:
            return
        self.wanted = wanted
        former, self._targets = self._targets, {}
        for one in wished(wanted):
            self._targets[one.name] = one.target
            before = former.pop(one.name, None)
            if before is not None and address(before) == address(one.target):
                self._adapt(one, anew=before != one.target)
                continue
            if before is not None:
                self._leave(one.name)
            self._add(one)
        for name in former:
            self._leave(name)

    def _add(self, one: Wished) -> None:
        receiver = Receiver(one.name, one.cursor, one.wish, Outlet(one.name, self._ways.sender(one.target)))
        self.receivers[one.name] = receiver
        self._couriers[one.name] = [self._courier(receiver, each, each.end) for each in self._outboxes]

    def _adapt(self, one: Wished, *, anew: bool) -> None:
        receiver = self.receivers[one.name]
        receiver.wish = one.wish
        if anew:
            receiver.outlet.use(self._ways.sender(one.target))

    def serve(self, outbox: Outbox) -> None:
        """Deliver what lies in an outbox, and what comes."""
        self._outboxes.append(outbox)
        for name, receiver in self.receivers.items():
            # One of whom nothing is noted gets all there is: a worker may have been killed before its first note.
            self._couriers[name].append(self._courier(receiver, outbox, Cursor()))

    def lose(self, letters: Iterable[Letter], cause: str, message: str) -> None:
        """These could not be kept."""
        for letter in letters:
            for receiver in self.receivers.values():
                if receiver.wants(letter):
                    receiver.outlet.lose(cause, message)

    @property
    def wants_frames(self) -> bool:
        """Whether the frames that best shots come from are sent to somebody."""
        return ROUTER in self.receivers

    def waiting(self, name: str) -> int:
        """Letters that a receiver does not have yet."""
        return sum(courier.waiting for courier in self._couriers.get(name, ()))

    def lag(self, name: str) -> float:
        """Seconds for which the oldest letter has been waiting for a receiver."""
        return max((courier.lag for courier in self._couriers.get(name, ())), default=0.0)

    @property
    def posted(self) -> int | None:
        """Best shots that the router has taken; None without a router."""
        return self.receivers[ROUTER].outlet.posted if ROUTER in self.receivers else None

    @property
    def not_posted(self) -> int | None:
        """Best shots that were given up for it, and those that it does not have yet."""
        if ROUTER not in self.receivers:
            return None
        return self.receivers[ROUTER].outlet.lost.total() + self.waiting(ROUTER)

    @property
    def health(self) -> Delivered | None:
        """How the receivers are; None where there are none."""
        outlets = [receiver.outlet for receiver in self.receivers.values()]
        if not outlets:
            return None
        worst = max(outlets, key=lambda one: SEVERITY.index(one.health))
        message = f"{worst.name}: {worst.trouble[1]}" if worst.trouble else "receivers take what they are sent"
        return Delivered(health=worst.health, message=message)

    def told(self) -> dict[str, Any]:
        """What the job's progress says of its receivers."""
        if (health := self.health) is None:
            return {}
        counts = {"objects_posted": self.posted, "objects_not_posted": self.not_posted}
        self._posted_told = self.posted or 0
        return counts | {"outputs": health.health, "outputs_message": health.message}

    def posted_since(self) -> int | None:
        """Best shots that the router has taken since that was told last, here or as progress; None without a router."""
        if (posted := self.posted) is None:
            return None
        before, self._posted_told = self._posted_told, posted
        return max(0, posted - before)

    async def flush(self, seconds: float) -> bool:
        """Wait until everybody has everything and it is noted, at most so long; whether that is so."""
        return await _until_done((one for couriers in self._couriers.values() for one in couriers), seconds)

    async def is_anothers(self) -> bool:
        """Whether another epoch goes on with one of the logs, and tells the rest. Raises ArchiveError."""
        for outbox in self._outboxes:
            if await outbox.is_anothers():
                return True
        return False

    async def close(self) -> None:
        """Leave what is not delivered to whoever comes next. May be called again."""
        self._closed = True
        closing = [
            asyncio.create_task(_close(receiver, self._couriers[name]), name=f"leave {name}")
            for name, receiver in self.receivers.items()
        ]
        if closing or self._leaving:
            await asyncio.wait([*closing, *self._leaving])

    def _courier(self, receiver: Receiver, outbox: Outbox, begin: Cursor) -> Courier:
        return Courier(outbox, receiver.cursor, receiver.outlet, receiver, begin)

    def _leave(self, name: str) -> None:
        left = _left(self.receivers.pop(name), self._couriers.pop(name), _LEAVE_SECONDS)
        leaving = asyncio.create_task(left, name=f"leave {name}")
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)


async def _left(receiver: Receiver, couriers: list[Courier], seconds: float) -> None:
    """Leave a receiver for good that has so long to get the rest."""
    await _until_done(couriers, seconds)
    await _close(receiver, couriers, for_good=True)


async def _close(receiver: Receiver, couriers: list[Courier], *, for_good: bool = False) -> None:
    for courier in couriers:
        await courier.close(for_good=for_good)
    receiver.outlet.close()


async def _until_done(couriers: Iterable[Courier], seconds: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    waited_for = list(couriers)
    while not all(one.is_done for one in waited_for):
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True
