"""JSON bodies that hold a file in base64: the file is decoded while it comes and goes on in pieces, and is never whole
in memory because of that."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from videofleet_gateway.errors import Failure, GatewayError, invalid
from videofleet_gateway.serving.base64s import Base64Decoder
from videofleet_gateway.serving.bodies import object_in

UPLOADED: Final = "(uploaded)"
"""What stands in the object instead of the text. It is no base64."""
_LARGE: Final = 32 * 1024
"""Characters of a text from which on it is taken for the file: longer than anything else in a request may be."""
_ESCAPES: Final = {b"\\/": b"/", b"\\n": b"", b"\\r": b"", b"\\t": b""}
_MARK: Final = re.compile(rb'\\.|"', re.DOTALL)

Take = Callable[[bytes], Awaitable[None]]
"""Is given the file, piece by piece. May raise GatewayError."""


class Upload:
    """The file of a request on its way. `field`: where it belongs, for what is wrong with it."""

    def __init__(self, take: Take, field: str) -> None:
        self._take = take
        self._field = field
        self._decoder = Base64Decoder()

    async def object_from(self, body: AsyncIterator[bytes], most: int) -> dict[str, object]:
        """The object of a body, with UPLOADED for the file. `most`: bytes of all the rest. Raises GatewayError."""
        scanner = _Scanner()
        async for piece in body:
            await self._decode(scanner.feed(piece))
            if len(scanner.rest) > most:
                raise GatewayError(Failure.TOO_LARGE, f"the body without its file is larger than {most} bytes")
        if scanner.found:
            self._finish()
        return object_in(bytes(scanner.rest))

    async def given(self, text: str) -> None:
        """The text that stands in the object for the file: a small one is decoded now. Raises GatewayError."""
        if text != UPLOADED:
            await self._decode(text.encode(errors="replace"))
            self._finish()

    async def _decode(self, text: bytes) -> None:
        try:
            data = self._decoder.feed(text)
        except ValueError:
            raise self._wrong() from None
        if data:
            await self._take(data)

    def _finish(self) -> None:
        try:
            self._decoder.finish()
        except ValueError:
            raise self._wrong() from None

    def _wrong(self) -> GatewayError:
        return invalid(self._field, f"{self._field} is no base64")


class _Scanner:
    """Splits JSON text into the first very long string, without its quotes and escapes, and all the rest."""

    def __init__(self) -> None:
        self.rest = bytearray()
        self.found = False
        self._begin: int | None = None
        """Where in `rest` the string begins that is being read; None outside strings."""
        self._taking = False
        self._half = b""
        """A backslash whose other half has not come."""

    def feed(self, piece: bytes) -> bytes:
        """What a further piece has of the long string."""
        piece, self._half, place, taken = self._half + piece, b"", 0, []
        for mark in _MARK.finditer(piece):
            taken.append(self._add(piece[place : mark.start()]))
            place = mark.end()
            taken.append(self._quote() if mark[0] == b'"' else self._add(mark[0], escape=True))
        tail = piece[place:]
        if tail.endswith(b"\\"):
            tail, self._half = tail[:-1], b"\\"
        taken.append(self._add(tail))
        return b"".join(taken)

    def _quote(self) -> bytes:
        self._taking = False
        self.rest += b'"'
        self._begin = len(self.rest) if self._begin is None else None
        return b""

    def _add(self, text: bytes, *, escape: bool = False) -> bytes:
        if self._taking:
            # What is no part of base64 is found wrong there.
            return _ESCAPES.get(text, text) if escape else text
        self.rest += text
        begin = self._begin
        if self.found or begin is None or len(self.rest) - begin < _LARGE:
            return b""
        self.found = self._taking = True
        string = bytes(self.rest[begin:])
        self.rest[begin:] = UPLOADED.encode()
        for written, meant in _ESCAPES.items():
            string = string.replace(written, meant)
        return string
