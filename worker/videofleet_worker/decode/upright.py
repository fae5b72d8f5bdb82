"""Pictures as they are meant to be seen: turned upright, and whole where a camera sends every other line at a time."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import av.error
from av.filter import Graph
from av.video.frame import VideoFrame

from videofleet_worker.decode.decoder import Decoded

# Clockwise, as the filters of FFmpeg do it.
_TURNS: dict[int, tuple[tuple[str, str], ...]] = {
    0: (),
    90: (("transpose", "clock"),),
    180: (("hflip", ""), ("vflip", "")),
    270: (("transpose", "cclock"),),
}
# Only what the stream says is interlaced, one picture for both fields.
_WHOLE = (("bwdif", "mode=send_frame:deint=interlaced"),)


class Upright:
    """Passes frames through filters where they need any. Frames come out in order, each with what is known of it."""

    def __init__(self, rotation: int | None) -> None:
        """`rotation`: clockwise in degrees; None: as each frame says."""
        self._rotation = rotation
        self._interlaced = False
        self._key: tuple[object, ...] | None = None
        self._graph: Graph | None = None
        self._inside: deque[Decoded] = deque()

    def turn(self, decoded: Decoded) -> Iterator[Decoded]:
        """The frames that are ready: of an interlaced stream the one before, which the one that came makes whole.

        Only there the frames that nobody wants are of use.
        """
        frame = decoded.frame
        self._interlaced = self._interlaced or frame.interlaced_frame
        if not self._interlaced and not decoded.judged.wanted:
            return
        filters = (*(_WHOLE if self._interlaced else ()), *_TURNS[self._degrees(frame)])
        key = (filters, frame.width, frame.height, frame.format.name)
        if key != self._key:
            yield from self.flush()
            self._key, self._graph = key, _graph(frame, filters) if filters else None
        if self._graph is None:
            yield decoded
            return
        self._inside.append(decoded)
        self._graph.push(frame)
        yield from self._ready()

    def flush(self) -> Iterator[Decoded]:
        """What is still inside, at the end or before frames of another kind."""
        if self._graph is not None and self._inside:
            self._graph.push(None)
            yield from self._ready()
        self._graph, self._key = None, None
        self._inside.clear()

    def _ready(self) -> Iterator[Decoded]:
        assert self._graph is not None, "called with one"
        while self._inside:
            try:
                made = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(made, VideoFrame), "the graph is one of pictures"
            yield replace(self._inside.popleft(), frame=made)

    def _degrees(self, frame: VideoFrame) -> int:
        if self._rotation is not None:
            return self._rotation
        # The container says how far it was turned the other way; what is no right angle is left as it is.
        said = round(-frame.rotation) % 360
        return said if said in _TURNS else 0


def _graph(frame: VideoFrame, filters: tuple[tuple[str, str], ...]) -> Graph:
    graph = Graph()
    nodes = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)]
    nodes += [graph.add(name, arguments) for name, arguments in filters]
    nodes.append(graph.add("buffersink"))
    graph.link_nodes(*nodes)
    graph.configure()
    return graph
