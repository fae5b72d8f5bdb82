"""AES-128-CBC, as playlists name it for their segments (RFC 8216, 4.3.2.4), by the library that comes with PyAV."""

import ctypes
from pathlib import Path
from typing import Final

import av

_BLOCK: Final = 16
_BITS: Final = 128


def _library() -> ctypes.CDLL | None:
    """FFmpeg's own, which is loaded already; None where PyAV was built against the system's."""
    found = sorted((Path(av.__file__).parent.parent / "av.libs").glob("libavutil-*"))
    if not found:
        return None
    library = ctypes.CDLL(str(found[0]))
    library.av_aes_alloc.restype = ctypes.c_void_p
    library.av_aes_init.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
    library.av_aes_crypt.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
    ]
    library.av_free.argtypes = [ctypes.c_void_p]
    return library


_UTIL: Final = _library()


def decrypted(data: bytes, key: bytes, start: bytes) -> bytes:
    """The plain bytes, without what fills the last block up. Raises ValueError where they cannot be had."""
    if _UTIL is None:
        raise ValueError("there is no AES in this build of PyAV")
    if len(data) % _BLOCK or len(key) != _BLOCK or len(start) != _BLOCK:
        raise ValueError("it is no whole number of blocks")
    plain = ctypes.create_string_buffer(len(data))
    # It is written to: each block begins with the one before.
    chained = ctypes.create_string_buffer(start, _BLOCK)
    state = _UTIL.av_aes_alloc()
    try:
        _UTIL.av_aes_init(state, key, _BITS, 1)
        _UTIL.av_aes_crypt(state, plain, data, len(data) // _BLOCK, chained, 1)
    finally:
        _UTIL.av_free(state)
    filled = plain.raw[-1] if data else 0
    return plain.raw[: len(data) - filled] if filled <= _BLOCK else plain.raw
