"""A detection model at work: images in, objects out."""

from collections.abc import Sequence

import onnxruntime as ort

from videofleet_worker.device.device import Device
from videofleet_worker.models.decoders import decode
from videofleet_worker.models.detections import DetectionQuery, Detections, RawDetections
from videofleet_worker.models.readers import READERS
from videofleet_worker.models.registry import Model
from videofleet_worker.models.runner import Batch, Runner


class Detector(Runner):
    """Boxes and scores, whatever form the model gives them in."""

    def __init__(self, model: Model, session: ort.InferenceSession, device: Device | None = None) -> None:
        super().__init__(model, session, device)
        self._read = READERS[model.manifest.decoder]

    def default_query(self) -> DetectionQuery:
        """What the model's own thresholds ask for: every class."""
        return DetectionQuery(self.model.manifest.thresholds.confidence, self.model.manifest.iou)

    def infer(self, batch: Batch) -> list[RawDetections]:
        """Run the model on [n, 3, height, width]; its whole answer for each image."""
        answers = self.run(batch)
        size = (batch.shape[3], batch.shape[2])
        labels = len(self.model.manifest.labels)
        return [
            self._read({part: tensor[index] for part, tensor in answers.items()}, size, labels)
            for index in range(len(batch))
        ]

    def answer(self, batch: Batch, queries: Sequence[DetectionQuery]) -> list[Detections]:
        """The objects in each of [n, 3, height, width] images, each by its own query."""
        size = (batch.shape[3], batch.shape[2])
        return [decode(raw, query, size) for raw, query in zip(self.infer(batch), queries, strict=True)]
