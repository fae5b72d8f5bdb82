"""Which single pictures are taken: their formats, and how large they may be."""

from collections.abc import Sequence
from typing import Final, Literal, get_args

PictureKind = Literal["JPEG", "PNG", "WebP", "BMP", "TIFF"]
ALL_KINDS: Final[tuple[PictureKind, ...]] = get_args(PictureKind)
WEB_KINDS: Final[tuple[PictureKind, ...]] = ("JPEG", "PNG", "WebP")
LARGEST_BYTES: Final = 64 * 2**20
_BEGINNINGS: Final = {
    **{b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"GIF8": "GIF"},
    b"WEBP": "WebP",
}
LONGEST_BEGINNING: Final = 12
"""Bytes that tell a format: those of WebP lie behind RIFF and a length."""


def told(kinds: Sequence[str]) -> str:
    """Formats as people list them."""
    return f"{', '.join(kinds[:-1])} and {kinds[-1]}" if len(kinds) > 1 else kinds[0]


def kind_of(content: bytes) -> str | None:
    """Which format of pictures its first bytes tell; None where they tell none."""
    # A RIFF file says after its length what it is: sound and AVI begin like WebP.
    start = content[8:] if content.startswith(b"RIFF") else content
    return next((name for beginning, name in _BEGINNINGS.items() if start.startswith(beginning)), None)


def seen_as(content: bytes) -> str:
    """What it is that is not taken, as far as its first bytes tell."""
    name = kind_of(content)
    return "no picture" if name is None else f"a {name} picture that is damaged, too large, or of no kind that is taken"
