"""Does a recorded source end where its index says?"""

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.opening import OpenSource
from videofleet_worker.decode.packets import VideoPacket
from videofleet_worker.sources.errors import SourceError


class Truncation:
    """Compares what was demuxed with what the container promised."""

    def __init__(self, source: OpenSource) -> None:
        self._stream = source.stream
        self._whole_index = "mp4" in source.container.format.name.split(",")
        self._last_end: int | None = None
        self.packets = 0

    def note(self, packet: VideoPacket) -> None:
        """Count a packet."""
        self.packets += 1
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is not None:
            self._last_end = max(self._last_end or 0, stamp + (packet.duration or 0))

    def passed(self, packets: int) -> None:
        """Count packets that were not read, since nothing needs them."""
        self.packets += packets

    def position(self, index: int) -> str:
        """Where reading stands, for an error."""
        promised = self._promised()
        return f"at frame {index} of {promised}" if promised else f"at frame {index}"

    def check(self, decoded: int) -> None:
        """Raises SourceError when the source ended early; `decoded` is how many frames came."""
        promised = self._promised()
        if promised and self.packets < promised and not self._reached_duration():
            ends_at = min(decoded, self.packets)
            raise SourceError(ErrorCode.CODEC, f"file ends at frame {ends_at} of {promised}: it is cut off or damaged")

    def _promised(self) -> int:
        """How many packets the index lists.

        For MP4 the entries themselves: the number in the header counts those that an edit list leaves out too.
        """
        return len(self._stream.index_entries) if self._whole_index else self._stream.frames

    def _reached_duration(self) -> bool:
        """AVI counts empty chunks, which are repeated pictures and never packets; its time stamps count them too."""
        if self._whole_index or self._last_end is None or not self._stream.duration:
            return False
        end = (self._stream.start_time or 0) + self._stream.duration
        return self._last_end >= end - 1
