"""How reading a container ended: regularly, or by an error that says where."""

import av.error

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.failures import read_failure
from videofleet_worker.decode.opening import OpenSource
from videofleet_worker.decode.packets import VideoPacket
from videofleet_worker.decode.truncation import Truncation
from videofleet_worker.decode.webinput import WebInput
from videofleet_worker.sources.errors import SourceError


class SourceEnd:
    """Follows the packets of a source, so that its end can be judged."""

    def __init__(self, source: OpenSource) -> None:
        self._source = source
        self._truncation = Truncation(source)

    @property
    def packets(self) -> int:
        """Packets that came."""
        return self._truncation.packets

    def note(self, packet: VideoPacket) -> None:
        """A packet came."""
        self._truncation.note(packet)

    def passed(self, packets: int) -> None:
        """Packets were not read, since nothing needs them."""
        self._truncation.passed(packets)

    def failure(self, error: av.error.FFmpegError, index: int) -> SourceError:
        """What to say of a read that failed; `index` is the number of the frame that was to come.

        What is cut off looks damaged to FFmpeg.
        """
        lost = self._lost(index)
        if lost is None and self._has_stopped and not isinstance(error, MemoryError):
            lost = _camera_ended()
        return lost or read_failure(error, self._truncation.position(index))

    def check(self, index: int, *, seen_any: bool) -> None:
        """Raises SourceError where the source ended as it should not; `index` is the number of frames that came."""
        live = self._source.info.live
        if live and self._source.is_over:
            # Also without its last piece: whoever asked for that anew would get the whole broadcast as a recording.
            return
        lost = self._lost(index)
        if lost is not None:
            raise lost
        if live:
            raise _camera_ended()
        if not seen_any:
            raise nothing_decoded(self.packets)
        self._truncation.check(index)

    @property
    def _has_stopped(self) -> bool:
        """Whether a live source's connection was closed, in the middle of a picture or not."""
        reader = self._source.reader
        return self._source.info.live and isinstance(reader, WebInput) and reader.ended

    def _lost(self, index: int) -> SourceError | None:
        """A live source goes on after what was lost; of a recorded one nothing may be missing."""
        reader = self._source.reader
        if reader is None:
            return None
        failure = reader.last if self._source.info.live else reader.first
        return failure and SourceError(failure.code, f"{failure.message} {self._truncation.position(index)}")


def _camera_ended() -> SourceError:
    return SourceError(ErrorCode.NETWORK, "the camera ended the stream")


def nothing_decoded(packets: int) -> SourceError:
    """What to say of a source that ended without a picture."""
    if packets:
        return SourceError(ErrorCode.CODEC, f"none of the {packets} pictures of the source could be decoded")
    return SourceError(ErrorCode.EMPTY, "the source ended without a picture")
