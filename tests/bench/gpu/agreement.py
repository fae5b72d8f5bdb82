"""Whether the device finds what the processor finds: without that no rate is worth anything."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from tests.bench.data.agreement import LEAST, PEOPLE, Boxes, must_agree, shared
from tests.bench.gpu.bench import Bench
from tests.bench.gpu.footage import Footage
from videofleet_worker.device.picture import ModelPicture, Picture
from videofleet_worker.device.placement import place
from videofleet_worker.device.shelf import DeviceRing, DeviceShelf
from videofleet_worker.models.detections import DetectionQuery, Detections
from videofleet_worker.models.detector import Detector
from videofleet_worker.models.runner import PictureBatch
from videofleet_worker.sources.ondevice import DecodeStation

QUERY = DetectionQuery(LEAST, 0.5, PEOPLE)
Found = list[tuple[Boxes, np.ndarray]]  # type: ignore[type-arg]  # scores


def agree(bench: Bench, processor: Bench, footage: Footage, frames: int) -> str:
    """In words how far the people found are the same ones. Raises DisagreementError."""
    ours = [_found(one) for one in _on_device(bench, footage, frames)]
    theirs = [_found(one) for one in _on_processor(processor, footage, frames)]
    return must_agree(min(shared(ours, theirs), shared(theirs, ours)), bench.named)


def whole(picture: Picture, detector: Detector) -> ModelPicture:
    """All of a picture, as the detector takes it."""
    everything = (0.0, 0.0, float(picture.width), float(picture.height))
    placement = place(everything, picture.width, picture.height, detector.model.manifest.input)
    assert placement is not None, "a picture has pixels"
    return ModelPicture(picture, placement)


def decoded(station: DecodeStation, footage: Footage, frames: int) -> Iterator[VideoFrame]:
    """The first frames, where the station decodes them."""
    context = station.open(footage.handed).codec_context
    for number in range(frames):
        yield from context.decode(footage.packet(number))
    yield from context.decode(None)


def pictures(bench: Bench, footage: Footage, frames: int) -> Iterator[Picture]:
    """The same, each in a slot of its own on the device until the next one is asked for."""
    rings: list[DeviceRing] = []
    shelf = DeviceShelf(bench.device, 1, rings.append)
    for frame in decoded(bench.station, footage, frames):
        slot = shelf.slot(frame)
        assert slot is not None, "it was freed"
        shelf.write(frame, slot)
        yield rings[-1].written[slot].picture
        shelf.free(shelf.number, slot)


def _on_device(bench: Bench, footage: Footage, frames: int) -> Iterator[Detections]:
    for picture in pictures(bench, footage, frames):
        yield from bench.detector.answer(PictureBatch((whole(picture, bench.detector),)), [QUERY])


def _on_processor(processor: Bench, footage: Footage, frames: int) -> Iterator[Detections]:
    """FFmpeg's decoder and scaler, and the model's session without a device."""
    width, height = processor.detector.model.manifest.input.sizes[0]
    for frame in decoded(processor.station, footage, frames):
        image = frame.reformat(width, height, "rgb24", interpolation=Interpolation.AREA).to_ndarray()
        yield from processor.detector.answer(np.ascontiguousarray(image.transpose(2, 0, 1))[None], [QUERY])


def _found(one: Detections) -> tuple[Boxes, np.ndarray]:  # type: ignore[type-arg]  # scores
    return one.boxes, one.scores
