"""Playlists of the web (RFC 8216), as far as FFmpeg does not see to them: it knows neither their addresses after a
redirect nor what a server says of their kind. Pure."""

import re
from typing import Final
from urllib.parse import urljoin

MARK: Final = b"#EXTM3U"
"""How every playlist begins."""
_CLOSED: Final = b"#EXT-X-ENDLIST"
_NAMED: Final = re.compile(r'(?<=URI=")[^"]*(?=")')


def is_closed(text: bytes) -> bool:
    """Whether nothing will be added to it."""
    return any(line.strip() == _CLOSED for line in text.splitlines())


def placed(text: bytes, address: str) -> bytes:
    """The playlist with all that it names as whole addresses: names are of where it was found, not of where it was
    asked for."""
    # Lines of bytes: in a text there are other ends of lines, which a title may hold.
    lines = (line.strip().decode(errors="surrogateescape") for line in text.splitlines())
    return "\n".join([*(_placed(line, address) for line in lines), ""]).encode(errors="surrogateescape")


def _placed(line: str, address: str) -> str:
    if line.startswith("#"):
        return _NAMED.sub(lambda named: _joined(address, named[0]), line)
    return _joined(address, line) if line else line


def _joined(address: str, name: str) -> str:
    """What makes no address stays as it is, to be refused when it is asked for."""
    try:
        return urljoin(address, name)
    except ValueError:
        return name
