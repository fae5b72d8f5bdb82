"""How many decoding engines a GPU has: NVIDIA's management library does not tell, its decoder's does."""

import ctypes
from typing import Final

_LIBRARY: Final = "libnvcuvid.so.1"
_H264: Final = 4
_YUV420: Final = 1


class Capabilities(ctypes.Structure):
    """`CUVIDDECODECAPS` of cuviddec.h, Video Codec SDK 11 and later."""

    _fields_ = (
        ("codec", ctypes.c_int),
        ("chroma_format", ctypes.c_int),
        ("bit_depth_minus_8", ctypes.c_uint),
        ("reserved_1", ctypes.c_uint * 3),
        ("supported", ctypes.c_ubyte),
        ("engines", ctypes.c_ubyte),
        ("output_formats", ctypes.c_ushort),
        ("max_width", ctypes.c_uint),
        ("max_height", ctypes.c_uint),
        ("max_macroblocks", ctypes.c_uint),
        ("min_width", ctypes.c_ushort),
        ("min_height", ctypes.c_ushort),
        ("histogram", ctypes.c_ubyte),
        ("counter_bits", ctypes.c_ubyte),
        ("histogram_bins", ctypes.c_ushort),
        ("reserved_3", ctypes.c_uint * 10),
    )


def count_engines(library: str = _LIBRARY) -> int | None:
    """Engines that decode H.264, of the GPU whose context is this thread's; None where nobody tells."""
    try:
        ask = ctypes.CDLL(library).cuvidGetDecoderCaps
    except (OSError, AttributeError):
        return None
    told = Capabilities(codec=_H264, chroma_format=_YUV420)
    failed = ask(ctypes.byref(told))
    return int(told.engines) or None if not failed and told.supported else None
