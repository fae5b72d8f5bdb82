"""Who gets which letters, and as what: the job's router, its webhooks, its MQTT broker."""

import hashlib
from collections import Counter
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Final

from videofleet_api.targets import JobOutputs, MqttTarget, RouterTarget, WebhookTarget
from videofleet_archive.errors import ArchiveError
from videofleet_worker.outputs.documents import Document, form_payload, json_payload
from videofleet_worker.outputs.letters import ONGOING, SHOT, Letter
from videofleet_worker.outputs.outbox import Outbox
from videofleet_worker.outputs.outlet import Outlet
from videofleet_worker.outputs.posts import PostTarget
from videofleet_worker.outputs.sender import LostError, Message, Payload
from videofleet_worker.outputs.ways import Target, address

ROUTER: Final = "router"
_ROUTER_EVENTS: Final = "router-events"
_MQTT: Final = "mqtt"
Wish = RouterTarget | WebhookTarget | MqttTarget
"""What the job says of a receiver."""


class Receiver:
    """A way out, and what goes that way. See Composer.

    name: what people call it; cursor: what it is called where it lies how far it has come, which no other address is.
    """

    def __init__(self, name: str, cursor: str, wish: Wish, outlet: Outlet) -> None:
        self.name = name
        self.cursor = cursor
        self.wish = wish
        self.outlet = outlet

    @property
    def interval(self) -> float | None:
        """Seconds after which it is told again which tracks are there."""
        return None if isinstance(self.wish, RouterTarget) else self.wish.interval

    def wants(self, letter: Letter) -> bool:
        """See Composer."""
        if letter.kind == ONGOING:
            return letter.to == self.cursor
        if isinstance(self.wish, RouterTarget):
            return (letter.kind == SHOT) == (self.name == ROUTER)
        return letter.kind != SHOT and (not self.wish.events or letter.kind in self.wish.events)

    def message(self, letter: Letter, sequence: str, outbox: Outbox) -> Message:
        """See Composer."""
        composing = _Composing(self, letter, outbox)
        return Message(letter.key, lambda: composing.payload(sequence), _about(letter))


class _Composing:
    """Makes of a letter what is sent, anew for each attempt."""

    def __init__(self, receiver: Receiver, letter: Letter, outbox: Outbox) -> None:
        self._receiver = receiver
        self._letter = letter
        self._outbox = outbox
        self._counted = False

    async def payload(self, sequence: str) -> Payload | None:
        """None: what it is about is no longer there. Raises LostError."""
        payload = await self._composed(self._letter.document | {"sequence": sequence})
        return None if payload is None else payload.with_headers(_headers(self._letter, sequence))

    async def _composed(self, document: Document) -> Payload | None:
        wish = self._receiver.wish
        if isinstance(wish, RouterTarget) and self._letter.kind == SHOT:
            picture = await _picture(self._letter, self._outbox)
            return None if picture is None else form_payload(document, picture, wish.body, await self._frame())
        pictured = not isinstance(wish, RouterTarget) and wish.include_best_shots
        return json_payload(document, await _picture(self._letter, self._outbox) if pictured else None)

    async def _frame(self) -> bytes | None:
        frame = await _from_archive(self._outbox.frame(self._letter))
        if frame is None and not self._counted:
            self._counted = True
            self._receiver.outlet.without_frame += 1
        return frame


@dataclass(frozen=True, slots=True)
class Wished:
    """A receiver of a job: its name, its cursor's (see Receiver), what is said of it, and where it is."""

    name: str
    cursor: str
    wish: Wish
    target: Target


def wished(wanted: JobOutputs) -> list[Wished]:
    """The receivers of a job."""
    found = []
    times: Counter[str] = Counter()
    for name, wish, target in _targets(wanted):
        # Whoever takes another place in the list keeps what waits for it.
        cursor = f"{name.rstrip('0123456789').rstrip('-')}-{_digest(target)}"
        times[cursor] += 1
        found.append(Wished(name, cursor if times[cursor] == 1 else f"{cursor}-{times[cursor]}", wish, target))
    return found


def has_receivers(wanted: JobOutputs) -> bool:
    """Whether anybody is told of what the job finds."""
    return bool(wanted.router or wanted.webhooks or wanted.mqtt)


def _targets(wanted: JobOutputs) -> Iterator[tuple[str, Wish, Target]]:
    for at, webhook in enumerate(wanted.webhooks):
        yield f"webhook-{at}", webhook, PostTarget(webhook.url, secret=webhook.secret)
    if wanted.mqtt is not None:
        yield _MQTT, wanted.mqtt, wanted.mqtt
    router = wanted.router
    if router is None:
        return
    how = router.timeout, router.verify_tls, router.headers
    if router.url is not None:
        yield ROUTER, router, PostTarget(router.url, *how)
    if router.events_url is not None:
        yield _ROUTER_EVENTS, router, PostTarget(router.events_url, *how)


def _digest(target: Target) -> str:
    """Of the address, which may hold a token."""
    return hashlib.sha256(repr(address(target)).encode()).hexdigest()[:16]


def _about(letter: Letter) -> dict[str, str]:
    """What may stand in the name of the place that it is sent to."""
    document = letter.document
    job = document["job"]
    assert isinstance(job, dict), "Origin.document makes it"
    names = {name: str(job[name]) for name in ("namespace", "name", "uid")}
    return names | {"analytics": str(document["analytics"]), "event": letter.kind}


def _headers(letter: Letter, sequence: str) -> dict[str, str]:
    job = letter.document["job"]
    assert isinstance(job, dict), "Origin.document makes it"
    return {"Videofleet-Epoch": str(job["epoch"]), "Videofleet-Sequence": sequence}


async def _picture(letter: Letter, outbox: Outbox) -> bytes | None:
    return None if letter.track_id is None else await _from_archive(outbox.picture(letter.track_id))


async def _from_archive(reading: Awaitable[bytes | None]) -> bytes | None:
    try:
        return await reading
    except ArchiveError as error:
        raise LostError("archive_away", f"its picture cannot be read now: {error}") from error
