"""What comes in from a decoding child, put together again."""

from videofleet_worker.decode.messages import ChildMessage, DirectBegins, DirectPiece, parse_child_message
from videofleet_worker.decode.parcel import Parcel


class Inbox:
    """Takes the packets of one child's socket, in order."""

    def __init__(self) -> None:
        self._parcel: Parcel[DirectBegins | DirectPiece] | None = None

    def put(self, packet: bytes) -> tuple[ChildMessage, bytes] | None:
        """A message and the bytes that followed it, where they are complete now. Raises ValueError for what a child
        must not send."""
        if self._parcel is None:
            message = parse_child_message(packet)
            if not isinstance(message, DirectBegins | DirectPiece):
                return message, b""
            self._parcel = Parcel(message, message.size)
        else:
            self._parcel.add(packet)
        parcel = self._parcel
        if not parcel.complete:
            return None
        self._parcel = None
        return parcel.heading, parcel.take()
