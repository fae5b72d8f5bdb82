"""How much memory a TLS connection holds while nothing comes."""

from asyncio.sslproto import SSLProtocol
from typing import Final

_READ_BUFFER: Final = 32 * 1024
"""Bytes; a TLS record has at most 16 KiB."""


def shrink() -> None:
    """Have each TLS connection that is made from here on keep 32 KiB for what it reads.

    asyncio keeps 256 KiB for each, however quiet it is: a quarter of a gigabyte for an operator's connections to a
    thousand workers, or for a thousand logs that a gateway follows. It can be told otherwise in this place alone, for
    all connections of the process.
    """
    SSLProtocol.max_size = _READ_BUFFER
