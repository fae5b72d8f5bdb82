"""A detection model at work: images in, objects out."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from videofleet_worker.models.decoders import DECODERS
from videofleet_worker.models.detections import DetectionQuery, Detections, RawDetections
from videofleet_worker.models.registry import Model

Images = npt.NDArray[np.uint8]


class Detector:
    """A model and the session that runs it. Not for several threads at once."""

    def __init__(self, model: Model, session: ort.InferenceSession) -> None:
        self.model = model
        self._session = session
        self._decode = DECODERS[model.manifest.decoder]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """What one image must be: (3, height, width) of uint8, RGB."""
        return (3, self.model.manifest.input.height, self.model.manifest.input.width)

    @property
    def largest_batch(self) -> int | None:
        """The most images that one call may have; None: any number."""
        return self.model.fixed_batch

    def default_query(self) -> DetectionQuery:
        """What the model's own thresholds ask for: every class."""
        return DetectionQuery(self.model.manifest.thresholds.confidence, self.model.manifest.thresholds.iou)

    def infer(self, batch: Images) -> list[RawDetections]:
        """Run the model on [n, 3, height, width]; its whole answer for each image, as views of one array."""
        names = self.model.manifest.outputs
        boxes, scores = self._session.run([names.boxes, names.scores], {self.model.manifest.input.name: batch})
        return [RawDetections(boxes[index], scores[index]) for index in range(len(batch))]

    def detect(self, batch: Images, queries: Sequence[DetectionQuery]) -> list[Detections]:
        """The objects in each of [n, 3, height, width] images, each by its own query."""
        size = (self.model.manifest.input.width, self.model.manifest.input.height)
        return [self._decode(raw, query, size) for raw, query in zip(self.infer(batch), queries, strict=True)]
