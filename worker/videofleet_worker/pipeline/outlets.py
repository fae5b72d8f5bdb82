"""Who is told what a job finds: its router, its webhooks, its MQTT broker."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from videofleet_api.outputs import OutputEvent
from videofleet_api.protocol import Entry, JobOutputs, MqttTarget, RouterTarget, WebhookTarget
from videofleet_archive.errors import ArchiveError
from videofleet_worker.outputs.documents import (
    Document,
    Origin,
    form_payload,
    json_payload,
    moment_document,
    shot_document,
    track_document,
)
from videofleet_worker.outputs.outlet import Outlet
from videofleet_worker.outputs.posts import PostTarget
from videofleet_worker.outputs.sender import Message, Payload
from videofleet_worker.outputs.shots import Moment, Shot
from videofleet_worker.outputs.tracks import OpenTrack, OpenTracks
from videofleet_worker.outputs.ways import Target, WaysOut, address
from videofleet_worker.pipeline.objects import FoundObject

ROUTER: Final = "router"
_ROUTER_EVENTS: Final = "router-events"
_MQTT: Final = "mqtt"
_FLUSH_SECONDS: Final = 5.0
_LEAVE_SECONDS: Final = 1.0
_REGION_EVENTS: Final = {
    "zone_enter": OutputEvent.ZONE_ENTER,
    "zone_leave": OutputEvent.ZONE_LEAVE,
    "zone_dwell": OutputEvent.ZONE_DWELL,
    "line_cross": OutputEvent.LINE_CROSS,
}

ReadShot = Callable[[int], Awaitable[bytes | None]]


class JobOutlets:
    """The receivers of one job, over all its analytics. They may change while it runs."""

    def __init__(self, ways: WaysOut) -> None:
        self.outlets: dict[str, Outlet] = {}
        self.wanted = JobOutputs()
        self._ways = ways
        self._targets: dict[str, Target] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def use(self, wanted: JobOutputs) -> None:
        """Send to these from now on. A receiver whose address stays keeps what waits for it."""
        self.wanted = wanted
        former, self._targets = self._targets, _targets(wanted)
        for name, target in former.items():
            if name not in self._targets or address(self._targets[name]) != address(target):
                self._leave(name)
        for name, target in self._targets.items():
            if name not in self.outlets:
                self.outlets[name] = Outlet(name, self._ways.sender(target))
            elif target != former[name]:
                self.outlets[name].use(self._ways.sender(target))

    def _leave(self, name: str) -> None:
        leaving = asyncio.create_task(self.outlets.pop(name).close(_LEAVE_SECONDS), name=f"leave {name}")
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def listeners(self) -> Iterable[tuple[WebhookTarget | MqttTarget, Outlet]]:
        """Those who are told of the events that they want."""
        for at, webhook in enumerate(self.wanted.webhooks):
            yield webhook, self.outlets[_webhook(at)]
        if self.wanted.mqtt is not None:
            yield self.wanted.mqtt, self.outlets[_MQTT]

    @property
    def router_events(self) -> Outlet | None:
        """Who gets every event."""
        return self.outlets.get(_ROUTER_EVENTS)

    @property
    def router(self) -> tuple[RouterTarget, Outlet] | None:
        """Who gets the best shots."""
        target = self.wanted.router
        return (target, self.outlets[ROUTER]) if target is not None else None

    @property
    def posted(self) -> int | None:
        """Best shots that the router has taken; None without a router."""
        return self.outlets[ROUTER].posted if ROUTER in self.outlets else None

    @property
    def not_posted(self) -> int | None:
        """Best shots that it has not taken."""
        return self.outlets[ROUTER].lost.total() if ROUTER in self.outlets else None

    async def close(self, *, over: bool) -> None:
        """Deliver what waits, for at most some seconds; less where the run is not over: somebody waits to go on."""
        seconds = _FLUSH_SECONDS if over else _LEAVE_SECONDS
        closing = [asyncio.ensure_future(outlet.close(seconds)) for outlet in self.outlets.values()]
        if closing or self._leaving:
            await asyncio.wait([*closing, *self._leaving])


class Telling:
    """One analytics to the job's receivers, frame by frame."""

    def __init__(self, origin: Origin, outlets: JobOutlets, read_shot: ReadShot) -> None:
        self._origin = origin
        self._outlets = outlets
        self._read_shot = read_shot
        self._tracks = OpenTracks()
        self._shots: dict[int, Shot] = {}
        self._ongoing_told: dict[str, float] = {}

    def shot(self, shot: Shot) -> None:
        """The best shot of a track that has ended; what `frame` or `end` says of that track comes next."""
        self._shots[shot.track_id] = shot

    def frame(
        self, objects: Sequence[FoundObject], regions: Sequence[Document], moment: Moment, lost_seconds: float
    ) -> None:
        """What a frame shows: its objects, and what they did in zones and at lines, as in its result."""
        followed = [(one.track_id, one.label, one.confidence) for one in objects if one.track_id]
        begun = self._tracks.see(followed, moment)
        for track in begun:
            document: Document = {"track": track_document(track)}
            self._tell(OutputEvent.TRACK_BEGIN, moment, document, track.track_id, "trackBegin")
        for region in regions:
            self._tell_region(region, moment)
        self._end(self._tracks.ended(moment.pts, lost_seconds), moment)
        self._tell_ongoing(moment)

    def end(self) -> None:
        """Nothing more will come: every track has ended."""
        for track in self._tracks.all():
            self._tell_end(track, track.last)
        self._tracks.end()
        self._shots.clear()

    def _end(self, ended: Iterable[OpenTrack], moment: Moment) -> None:
        for track in ended:
            self._tell_end(track, moment)
        # Of tracks that this has never heard of.
        self._shots.clear()

    def _tell_region(self, region: Document, moment: Moment) -> None:
        event = _REGION_EVENTS[str(region["kind"])]
        place = region.get("zone") or region.get("line")
        known = {name: value for name, value in region.items() if name != "kind"}
        self._tell(event, moment, known, region["track_id"], f"{event.value}:{place}:{moment.frame_index}")

    def _tell_end(self, track: OpenTrack, moment: Moment) -> None:
        shot = self._shots.pop(track.track_id, None)
        document: Document = {"track": track_document(track)}
        if shot is not None:
            document["shot"] = shot_document(shot)
        self._tell(OutputEvent.TRACK_END, moment, document, track.track_id, "trackEnd", shot=shot)
        router = self._outlets.router
        if router is None or shot is None:
            return
        target, outlet = router
        meta = self._origin.document(self._outlets.wanted.labels) | document
        key = self._origin.key(track.track_id, "shot")
        outlet.offer(Message(key, lambda: self._form(meta, shot, target)))

    def _tell_ongoing(self, moment: Moment) -> None:
        if not self._tracks:
            return
        for listener, outlet in self._outlets.listeners():
            last = self._ongoing_told.setdefault(outlet.name, moment.pts)
            if listener.interval is None or moment.pts - last < listener.interval:
                continue
            self._ongoing_told[outlet.name] = moment.pts
            document: Document = {"tracks": [track_document(one) for one in self._tracks.all()]}
            outlet.offer(self._message("ongoing", moment, document, ("ongoing", moment.frame_index), None))

    def _tell(
        self, event: OutputEvent, moment: Moment, document: Document, *key: object, shot: Shot | None = None
    ) -> None:
        everything = self._outlets.router_events
        if everything is not None:
            everything.offer(self._message(event.value, moment, document, key, None))
        for listener, outlet in self._outlets.listeners():
            if not listener.events or event in listener.events:
                pictured = shot if listener.include_best_shots else None
                outlet.offer(self._message(event.value, moment, document, key, pictured))

    def _message(
        self, event: str, moment: Moment, document: Document, key: tuple[object, ...], shot: Shot | None
    ) -> Message:
        named = self._origin.key(*key)
        origin = self._origin.document(self._outlets.wanted.labels)
        whole = {"event": event, "key": named} | origin | moment_document(moment) | document
        return Message(named, lambda: self._json(whole, shot), self._origin.names() | {"event": event})

    async def _json(self, document: Document, shot: Shot | None) -> Payload:
        return json_payload(document, await self._picture(shot) if shot is not None else None)

    async def _form(self, meta: Document, shot: Shot, target: RouterTarget) -> Payload | None:
        picture = await self._picture(shot)
        return form_payload(meta, picture, target.body) if picture is not None else None

    async def _picture(self, shot: Shot) -> bytes | None:
        if shot.picture is not None:
            return await asyncio.to_thread(shot.picture.jpeg)
        try:
            return await self._read_shot(shot.track_id)
        except ArchiveError:
            return None


def origin_of(entry: Entry, analytics: str) -> Origin:
    """Where results of a job come from."""
    return Origin(entry.uid, entry.namespace, entry.name, entry.run, entry.epoch, analytics)


def _targets(wanted: JobOutputs) -> dict[str, Target]:
    targets: dict[str, Target] = {
        _webhook(at): PostTarget(webhook.url, secret=webhook.secret) for at, webhook in enumerate(wanted.webhooks)
    }
    if wanted.mqtt is not None:
        targets[_MQTT] = wanted.mqtt
    router = wanted.router
    if router is None:
        return targets
    targets[ROUTER] = PostTarget(router.url, router.timeout, router.verify_tls, router.headers)
    if router.events_url is not None:
        targets[_ROUTER_EVENTS] = PostTarget(router.events_url, router.timeout, router.verify_tls, router.headers)
    return targets


def _webhook(at: int) -> str:
    return f"webhook-{at}"
