"""One camera's stream inside the RTSP server: made when the first viewer comes, gone with the last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .access import Role, permissions_for
from .clip import Clip
from .feed import SOURCE, Feed, Film
from .gst import Gst, GstRtspServer

_PROBED = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST


def make_factory(film: Callable[[], Film], clip: Clip, allowed: frozenset[Role], silent: threading.Event) -> Any:
    """A media factory that plays a film of `clip` to all its viewers at once.

    `film` is asked when the first of them comes, `allowed` are the roles that may watch. While `silent` is set no RTP
    and no RTCP packet leaves, although the connection and the RTSP dialogue go on.
    """
    factory = GstRtspServer.RTSPMediaFactory.new()
    # The clip's keyframes bring their parameter sets along, for those who join in the middle; the payloader would
    # repeat them before every slice and so cut a picture of several slices in two.
    factory.set_launch(f"( {SOURCE.format(caps=clip.caps)} ! rtph264pay name=pay0 pt=96 config-interval=0 )")
    factory.set_shared(True)
    factory.set_permissions(permissions_for(allowed))

    def on_configure(_factory: Any, media: Any) -> None:
        feed = Feed(film(), media.get_element().get_by_name("source"))
        media.connect("unprepared", lambda _media: feed.stop())
        media.connect("prepared", lambda prepared: _gate(prepared, silent))

    factory.connect("media-configure", on_configure)
    return factory


def _gate(media: Any, silent: threading.Event) -> None:
    """Puts a gate before everything that sends.

    It has to be behind the RTP session: packets held back before it would keep a new viewer's DESCRIBE waiting, and
    the session would go on sending RTCP reports, which many players take for a sign of life.
    """

    def probe(_pad: Any, _info: Any) -> Any:
        return Gst.PadProbeReturn.DROP if silent.is_set() else Gst.PadProbeReturn.OK

    pipeline = media.get_element().get_parent()
    for element in _every(pipeline.iterate_elements()):
        if element.get_factory() is not None and element.get_factory().get_name() == "rtpbin":
            for pad in _every(element.iterate_src_pads()):
                pad.add_probe(_PROBED, probe)


def _every(iterator: Any) -> list[Any]:
    """All items of a Gst.Iterator; starts anew when the set changed meanwhile."""
    items: list[Any] = []
    while True:
        result, item = iterator.next()
        if result == Gst.IteratorResult.OK:
            items.append(item)
        elif result == Gst.IteratorResult.RESYNC:
            iterator.resync()
            items.clear()
        else:
            return items
