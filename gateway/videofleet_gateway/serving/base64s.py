"""Base64 that comes in pieces."""

import binascii
import re
from typing import Final

_PREFIX: Final = re.compile(rb"data:[^,]*;base64,", re.IGNORECASE)
_LONGEST_PREFIX: Final = 256
_SPACE: Final = b" \t\r\n"


class Base64Decoder:
    """RFC 4648, with spaces and line breaks anywhere, behind a data: prefix or without one. Raises ValueError."""

    def __init__(self) -> None:
        self._head: bytes | None = b""
        """What has come of the beginning, as long as it may be a prefix."""
        self._left = b""
        self._ended = False

    def feed(self, text: bytes) -> bytes:
        """The bytes that a further piece completes."""
        if self._head is not None:
            self._head += text
            found = _PREFIX.match(self._head)
            if found is None and self._may_be_prefix(self._head):
                return b""
            text, self._head = self._head[found.end() if found else 0 :], None
        text = self._left + text.translate(None, _SPACE)
        whole = len(text) // 4 * 4
        self._left = text[whole:]
        return self._decoded(text[:whole])

    def finish(self) -> None:
        """Nothing more comes."""
        if self._left or self._head:
            raise ValueError("it ends in the middle")

    def _may_be_prefix(self, head: bytes) -> bool:
        return len(head) < _LONGEST_PREFIX and b"," not in head and (b"data:".startswith(head[:5].lower()))

    def _decoded(self, text: bytes) -> bytes:
        if not text:
            return b""
        if self._ended:
            raise ValueError("there is something behind its end")
        self._ended = text.endswith(b"=")
        return binascii.a2b_base64(text, strict_mode=True)
