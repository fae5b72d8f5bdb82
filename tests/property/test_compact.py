"""What the operator keeps small is still all there."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from videofleet_api.videojob import VideoJobSpec
from videofleet_operator.services.packed import pack, unpack
from videofleet_operator.services.specs import joined, split

WORDS = st.text("abcdefghij:/.-_ é0123456789", max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
STEPS = [{"model": "detect", "parameters": {"confidence": 0.5}}, {"model": "track"}]


@given(st.dictionaries(WORDS, VALUES, max_size=6))
def test_a_document_is_unpacked_as_it_was(document: dict[str, Any]) -> None:
    packed = pack(document)
    assert unpack(packed) == document
    assert len(packed) <= len(orjson.dumps(document)) + 10


@st.composite
def specs(draw: st.DrawFn) -> object:
    """Specs as they may be stored, now and then such as no schema of ours lets in."""
    source: dict[str, Any] = {"kind": draw(st.sampled_from(["auto", "live", "recorded"]))}
    if draw(st.booleans()):
        source["url"] = draw(st.sampled_from(["rtsp://camera.example/1", "", "x" * 3000]) | VALUES)
    if draw(st.booleans()):
        source["credentialsSecretRef"] = {"name": draw(st.sampled_from(["login", ""]))}
    spec: dict[str, Any] = {"source": source, "analytics": [{"name": "main", "steps": STEPS}]}
    field = st.sampled_from(["slots", "labels", "enabled", "source", "analytics"])
    spec |= draw(st.dictionaries(field, VALUES, max_size=1))
    return draw(st.just(spec) | VALUES)


@given(specs())
def test_a_spec_that_is_taken_apart_is_as_it_was_read(raw: object) -> None:
    shape, url = split(raw)
    if shape.spec is None:
        with pytest.raises(ValidationError) as refused:
            VideoJobSpec.model_validate(raw)
        assert shape.error.endswith(refused.value.errors()[0]["msg"])
        return
    expected = VideoJobSpec.model_validate(raw)
    assert joined(shape.spec, url) == expected
    # Digests are made of the text: a running stream must not be started anew for what is only kept in another way.
    assert orjson.dumps(joined(shape.spec, url).wire()) == orjson.dumps(expected.wire())
    assert split(raw)[0] is shape
