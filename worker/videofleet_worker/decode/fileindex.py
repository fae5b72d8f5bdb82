"""Where a file's keyframes are, and whether going there is cheaper than reading on."""

from collections.abc import Iterator
from typing import Final

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.choice import Due
from videofleet_worker.decode.opening import OpenSource
from videofleet_worker.decode.packets import VideoPacket
from videofleet_worker.sources.errors import SourceError

# So many bytes must be saved: going elsewhere loses what was read ahead and, over the network, costs a request.
_WORTH: Final = 2**20
# A keyframe so many frames before one in the order of decoding is before it in the order of display, too.
_MOST_DELAYED: Final = 32


class FileIndex:
    """The index of an MP4 file, which lists every frame: a frame's number is known wherever reading goes on."""

    def __init__(self, source: OpenSource) -> None:
        self._container = source.container
        self._stream = source.stream
        self._entries = source.stream.index_entries
        self._asked: Due | None = None
        self._usable = source.seekable and "mp4" in source.container.format.name.split(",")
        self._checked = False

    def better_place(self, due: Due | None, place: int, delay: int | None) -> int | None:
        """The keyframe to go on at, as a number of packets, where that saves reading; asked once for each due frame.

        place: packets read so far. delay: by how much frames are shown after they are decoded; None: stay.
        """
        if not self._usable or due is None or due == self._asked or delay is None:
            return None
        self._asked = due
        key = self._entries.search_timestamp(self._decoded_by(due, delay), backward=True)
        if key <= place or not self._lists_all or self._entries[key].pos - self._entries[place].pos < _WORTH:
            return None
        return int(key)

    def go(self, place: int, back: int, due: Due, packets: Iterator[VideoPacket]) -> tuple[int, VideoPacket]:
        """Have `packets` go on at a place: where that is, and the packet there.

        It is `back`, from where reading came, when the keyframe turned out to be shown only after the due frame.
        Raises SourceError where the file is not as its index says, and av.error.FFmpegError.
        """
        packet = self._at(place, packets)
        if due.stamp is None or (packet.pts is not None and packet.pts <= self._units(due.stamp)):
            return place, packet
        self._usable = False
        return back, self._at(back, packets)

    def _at(self, place: int, packets: Iterator[VideoPacket]) -> VideoPacket:
        wanted = self._entries[place].timestamp
        self._container.seek(wanted, stream=self._stream)
        for packet in packets:
            if packet.size and packet.dts is not None and packet.dts >= wanted:
                if packet.dts == wanted:
                    return packet
                break
        raise SourceError(ErrorCode.CODEC, f"file ends before frame {place} of {len(self._entries)}, or is damaged")

    def _decoded_by(self, due: Due, delay: int) -> int:
        if due.index is not None:
            # Without delay frames are shown as they are decoded.
            last = min(due.index - (_MOST_DELAYED if delay else 0), len(self._entries) - 1)
            return int(self._entries[max(0, last)].timestamp)
        assert due.stamp is not None, "it is one or the other"
        return self._units(due.stamp) - delay

    def _units(self, seconds: float) -> int:
        assert self._stream.time_base is not None, "a file's streams have one"
        return int(seconds / float(self._stream.time_base) + 1e-6)

    @property
    def _lists_all(self) -> bool:
        """Whether its entries are the packets, one by one: those without content are read over."""
        if not self._checked:
            self._checked = True
            self._usable = all(entry.size for entry in self._entries)
        return self._usable
