"""What reaches a model: layout, colour, normalisation; and models that describe a picture as a whole."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.graphs import always, channel_means, describe, input_of
from videofleet_worker.models.describing import Classifier, Embedder, TextReader
from videofleet_worker.models.providers import ProviderFacts, choose
from videofleet_worker.models.registry import Model, ModelRegistry, load_model
from videofleet_worker.models.session import SessionLimits, open_session

ON_CPU = choose("cpu", ProviderFacts(offered=("CPUExecutionProvider",)))
MEAN, DEVIATION = [10.0, 20.0, 30.0], [2.0, 4.0, 8.0]


def session_of(model: Model) -> Any:
    return open_session(model, ON_CPU, SessionLimits(threads=1)).session


def flat(red: int, green: int, blue: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    image = np.empty((1, 3, 6, 8), np.uint8)
    image[0] = np.array([red, green, blue], np.uint8)[:, None, None]
    return image


@pytest.mark.parametrize(
    ("layout", "colour", "kind", "normalised"),
    [
        *((layout, colour, "float32", True) for layout, colour in product(["NCHW", "NHWC"], ["RGB", "BGR"])),
        ("NCHW", "RGB", "float32", False),
        ("NHWC", "BGR", "uint8", False),
    ],
)
def test_the_model_gets_what_its_manifest_says(
    layout: str, colour: str, kind: str, normalised: bool, tmp_path: Path
) -> None:
    further = {"mean": MEAN, "deviation": DEVIATION} if normalised else {}
    input_ = input_of(8, 6, layout=layout, colour=colour, type=kind, **further)
    channel_means(tmp_path, "vector", **input_)
    model = load_model(describe(tmp_path, "means", "embedding", "embedding", {"embedding": "vector"}, input=input_))
    (vector,) = Embedder(model, session_of(model)).answer(flat(110, 60, 94), [None])
    expected = [110.0, 60.0, 94.0] if colour == "RGB" else [94.0, 60.0, 110.0]
    if normalised:
        expected = [(one - mean) / scale for one, mean, scale in zip(expected, MEAN, DEVIATION, strict=True)]
    np.testing.assert_allclose(vector, expected, rtol=1e-6)


def test_logits_become_shares_and_probabilities_stay(tmp_path: Path) -> None:
    labels = ["red", "green", "blue"]
    for decoder in ("classification-logits", "classification"):
        folder, input_ = tmp_path / decoder, input_of(8, 6)
        channel_means(folder, "scores", np.eye(3, dtype=np.float32) / 100, **input_)
        fields = {"input": input_, "labels": labels}
        model = load_model(describe(folder, "colour", "classification", decoder, {"scores": "scores"}, **fields))
        (guess,) = Classifier(model, session_of(model)).answer(flat(10, 90, 50), [None])
        assert guess.text == "green"
        powers = np.exp(np.array([0.1, 0.9, 0.5]))
        expected = 0.9 if decoder == "classification" else powers[1] / powers.sum()
        assert guess.confidence == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_characters_are_those_of_the_most_likely_path(tmp_path: Path, seed: int) -> None:
    """Place by place, beside the plainest reading: what is said twice in a row is one, unless none is between."""
    labels, random = ["a", "b", "c"], np.random.default_rng(seed)
    likely = random.dirichlet([0.3] * (1 + len(labels)), 12).astype(np.float32)
    input_ = input_of(8, 6)
    always(tmp_path, {"characters": likely}, **input_)
    fields = {"input": input_, "labels": labels}
    model = load_model(describe(tmp_path, "line", "text", "ctc", {"characters": "characters"}, **fields))

    text, told, before = "", [], 0
    for place in likely:
        number = int(place.argmax())
        if number not in (0, before):
            text += labels[number - 1]
            told.append(float(place[number]))
        before = number

    (guess,) = TextReader(model, session_of(model)).answer(flat(0, 0, 0), [None])
    assert guess.text == text
    assert guess.confidence == pytest.approx(sum(told) / len(told) if told else 0.0, rel=1e-5)


def test_characters_are_read_once_a_place_and_nothing_is_no_text() -> None:
    model = ModelRegistry.load()["pp-ocrv4-rec"]
    reader = TextReader(model, session_of(model))
    blank = np.full((1, 3, 48, 160), 127, np.uint8)
    (guess,) = reader.answer(blank, [None])
    assert guess.text == ""
    assert guess.confidence == 0.0
