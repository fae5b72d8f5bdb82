"""Models that say something about a picture as a whole: a vector, a class, a line of text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videofleet_worker.models.detections import FloatArray
from videofleet_worker.models.runner import Batch, Runner


@dataclass(frozen=True, slots=True)
class Guess:
    """What a model takes a picture for; confidence 0..1."""

    text: str
    confidence: float


class Embedder(Runner):
    """A vector a picture: pictures of one thing have vectors that lie close together."""

    def answer(self, batch: Batch, queries: Sequence[None]) -> list[FloatArray]:
        """The vector [d] of each of [n, 3, height, width] images, as the model gives it."""
        return list(self.run(batch)["embedding"])


class Classifier(Runner):
    """The most likely label of a picture."""

    def answer(self, batch: Batch, queries: Sequence[None]) -> list[Guess]:
        """The label of each of [n, 3, height, width] images."""
        scores = self.run(batch)["scores"]
        if self.model.manifest.decoder == "classification-logits":
            scores = _softmax(scores)
        best = scores.argmax(axis=1).tolist()
        labels = self.model.manifest.labels
        return [Guess(labels[number], float(row[number])) for row, number in zip(scores, best, strict=True)]


class TextReader(Runner):
    """The characters of a picture that shows one line of text."""

    def answer(self, batch: Batch, queries: Sequence[None]) -> list[Guess]:
        """The text in each of [n, 3, height, width] images; empty, of confidence 0, where there is none."""
        likely = self.run(batch)["characters"]
        return [self._line(places) for places in likely]

    def _line(self, likely: FloatArray) -> Guess:
        """The best path through [places, 1 + characters]: repetitions are one, and what is none is left out."""
        best = likely.argmax(axis=1)
        told = (best > 0) & (best != np.concatenate([[0], best[:-1]]))
        if not told.any():
            return Guess("", 0.0)
        labels = self.model.manifest.labels
        text = "".join(labels[number - 1] for number in best[told].tolist())
        return Guess(text, float(likely.max(axis=1)[told].mean()))


def _softmax(logits: FloatArray) -> FloatArray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: FloatArray = powers / powers.sum(axis=1, keepdims=True)
    return shares
