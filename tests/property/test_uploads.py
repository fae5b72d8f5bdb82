"""Files in JSON, however the body is cut into pieces."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videofleet_gateway.errors import GatewayError
from videofleet_gateway.serving.base64s import Base64Decoder
from videofleet_gateway.serving.uploads import UPLOADED, Upload

FILE = bytes(range(256)) * 160
"""Longer than anything that stays in the object."""
MOST = 200_000


def cut(text: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(text) + 1) for place in places})
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


async def received(pieces: list[bytes], most: int = MOST) -> tuple[dict[str, object], bytes]:
    """The object of a body that comes so, and its file."""
    file = bytearray()

    async def take(data: bytes) -> None:
        file.extend(data)

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    upload = Upload(take, "data")
    found = await upload.object_from(body(), most)
    if isinstance(found.get("data"), str):
        await upload.given(str(found["data"]))
    return found, bytes(file)


PLACES = st.lists(st.integers(0, 10**6), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TEXTS = st.text(alphabet='"\\/{}[]:,\u00e9\U0001f600 ab', max_size=40)


@given(VALUES, TEXTS, PLACES, st.sampled_from(["", "data:video/mp4;base64,"]), st.booleans(), st.booleans())
def test_the_file_and_the_rest_are_told_apart(
    value: Any, text: str, places: list[int], prefix: str, ascii_only: bool, slashes: bool
) -> None:
    encoded = prefix + base64.b64encode(FILE).decode()
    document = {"before": value, text: text, "data": encoded, "after": [text, value]}
    if text in ("before", "data", "after"):
        return
    written = json.dumps(document, ensure_ascii=ascii_only)
    if slashes:
        # As PHP writes them.
        written = written.replace("/", "\\/")
    found, file = asyncio.run(received(cut(written.encode(errors="surrogatepass"), places)))
    assert found == document | {"data": UPLOADED}
    assert file == FILE


@given(st.binary(max_size=200), PLACES, st.sampled_from(["", "data:image/png;base64,", "DATA:;base64,"]))
def test_base64_in_pieces_is_what_it_is_in_one(data: bytes, places: list[int], prefix: str) -> None:
    decoder = Base64Decoder()
    text = prefix.encode() + base64.encodebytes(data)
    assert b"".join(decoder.feed(piece) for piece in cut(text, places)) == data
    decoder.finish()


@given(st.sampled_from([b"@@@@", b"====", b"AAA", b"AA==AA==", b"A", b"AAAA=", b"data:x"]), PLACES)
def test_what_is_no_base64_is_told_so(text: bytes, places: list[int]) -> None:
    decoder = Base64Decoder()
    try:
        for piece in cut(text, places):
            decoder.feed(piece)
        decoder.finish()
    except ValueError:
        return
    raise AssertionError(f"{text!r} was taken")


@pytest.mark.parametrize(
    ("written", "status"),
    [
        (json.dumps({"data": base64.b64encode(FILE).decode() + "*"}), 400),
        (json.dumps({"data": "x" * 40_001}), 400),
        (json.dumps({"data": base64.b64encode(FILE).decode()})[:-2], 400),
        (json.dumps({"data": base64.b64encode(FILE).decode()})[:-1], 400),
        (json.dumps([base64.b64encode(FILE).decode()]), 400),
        (json.dumps({"data": base64.b64encode(FILE).decode(), "more": "x" * MOST}), 413),
    ],
    ids=["behind the end", "no base64", "no quote", "no brace", "no object", "much besides"],
)
def test_what_is_wrong_is_told(written: str, status: int) -> None:
    with pytest.raises(GatewayError) as raised:
        asyncio.run(received([written.encode()]))
    assert raised.value.status == status
