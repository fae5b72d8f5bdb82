"""How reading a container ended: regularly, or by an error that says where."""

import av.error

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.datagrams import DatagramStream
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
        """What to say of a read that failed; `index` is the number of the frame that was to come."""
        return read_failure(error, self._truncation.position(index))

    def check(self, index: int, *, seen_any: bool) -> None:
        """Raises SourceError where the source ended as it should not; `index` is the number of frames that came."""
        if self._source.reader is not None:
            self._check_reader(self._source.reader, index)
        if self._source.info.live:
            raise SourceError(ErrorCode.NETWORK, "the camera ended the stream")
        if not seen_any:
            raise nothing_decoded(self.packets)
        self._truncation.check(index)

    def _check_reader(self, reader: WebInput | DatagramStream, index: int) -> None:
        """A live source goes on after what was lost; of a recorded one nothing may be missing."""
        failure = reader.last if self._source.info.live else reader.first
        if failure is not None:
            raise SourceError(failure.code, f"{failure.message} {self._truncation.position(index)}")


def nothing_decoded(packets: int) -> SourceError:
    """What to say of a source that ended without a picture."""
    if packets:
        return SourceError(ErrorCode.CODEC, f"none of the {packets} pictures of the source could be decoded")
    return SourceError(ErrorCode.EMPTY, "the source ended without a picture")
