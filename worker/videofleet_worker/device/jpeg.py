"""JPEG of pictures where they lie: by nvJPEG on a GPU, through nvImageCodec. The image for GPUs has it."""

import logging
import threading
from typing import Any, Final, Protocol

from videofleet_worker.device.device import Device
from videofleet_worker.device.picture import ModelPicture, Picture
from videofleet_worker.device.placement import Placement
from videofleet_worker.models.manifest import ModelInput
from videofleet_worker.outputs.jpeg import DEFAULT_QUALITY

_LOGGER: Final = logging.getLogger(__name__)
Area = tuple[int, int, int, int]
"""Left, top, right and bottom in whole pixels of the picture."""


class PictureEncoder(Protocol):
    """Makes JPEG of pictures on a device."""

    def encode(self, picture: Picture, area: Area) -> bytes | None:
        """A part of a picture at full resolution; None: it cannot, and the processor has to."""
        ...


class CodecEncoder:
    """See PictureEncoder. For any number of threads. What fails once is not tried again."""

    def __init__(self, device: Device) -> None:
        """Raises ImportError without the package, RuntimeError where it does not work here."""
        from nvidia import nvimgcodec

        self._device = device
        self._lock = threading.Lock()
        self._codec: Any = nvimgcodec
        on_processor = device.kind == "cpu"
        number = nvimgcodec.NVIMGCODEC_DEVICE_CPU_ONLY if on_processor else device.number
        kinds = ("CPU_ONLY",) if on_processor else ("GPU_ONLY", "HYBRID_CPU_GPU")
        backends = [nvimgcodec.Backend(getattr(nvimgcodec.BackendKind, kind)) for kind in kinds]
        self._encoder: Any = nvimgcodec.Encoder(device_id=number, max_num_cpu_threads=1, backends=backends)
        self._parameters: Any = nvimgcodec.EncodeParams(
            quality_type=nvimgcodec.QualityType.QUALITY,
            quality_value=DEFAULT_QUALITY,
            chroma_subsampling=nvimgcodec.ChromaSubsampling.CSS_420,
        )
        # What is not there shows only when something is encoded.
        self._coded(device.empty((16, 16, 3), "uint8"))

    def encode(self, picture: Picture, area: Area) -> bytes | None:
        """See PictureEncoder."""
        with self._lock:
            if self._encoder is None:
                return None
            try:
                return self._coded(self._cut(picture, area))
            except Exception as error:  # noqa: BLE001  its exceptions are as many as CUDA's libraries
                _LOGGER.warning("pictures are encoded on the processor from now on: %s", error)
                self._encoder = None
                return None

    def _cut(self, picture: Picture, area: Area) -> Any:
        left, top, right, bottom = area
        size = right - left, bottom - top
        wanted = ModelInput(
            name="jpeg", layout="NHWC", type="uint8", colour="RGB", fit="stretch", width=size[0], height=size[1]
        )
        image = self._device.empty((size[1], size[0], 3), "uint8")
        region = float(left), float(top), float(right), float(bottom)
        self._device.fill(image, ModelPicture(picture, Placement(region, size, 0, 0, 1.0, 1.0)), wanted)
        return image

    def _coded(self, image: Any) -> bytes:
        # The encoder has streams of its own, which know nothing of what fills its picture.
        self._device.finish()
        coded = self._encoder.encode(self._codec.as_image(image), "jpeg", params=self._parameters)
        if coded is None:
            raise RuntimeError("nvImageCodec has no encoder for JPEG here: is nvJPEG's library in this container?")
        return bytes(coded)


def open_encoder(device: Device) -> PictureEncoder | None:
    """What encodes pictures of the device where they lie; None where the processor has to."""
    # In the image for GPUs alone.
    try:
        return CodecEncoder(device)
    except Exception as error:  # noqa: BLE001  its exceptions are as many as CUDA's libraries
        _LOGGER.warning("pictures are encoded on the processor: %s: %s", type(error).__name__, error)
        return None
