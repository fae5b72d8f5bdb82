"""Which device pictures lie on, for an execution provider."""

import logging
from typing import Final

from videofleet_worker.device.device import Device
from videofleet_worker.models.providers import ProviderChoice

_LOGGER: Final = logging.getLogger(__name__)


def open_device(choice: ProviderChoice) -> Device | None:
    """The GPU that models are to run on; None where pictures stay in the processor's memory.

    A GPU that cannot prepare pictures runs the models all the same, on what the processor prepares.
    """
    if choice.name == "cpu":
        return None
    # CuPy is in the image for GPUs alone, and loads CUDA's libraries with it.
    try:
        from videofleet_worker.device.cuda import CudaDevice

        return CudaDevice()
    except Exception as error:  # noqa: BLE001  its exceptions are as many as CUDA's libraries
        _LOGGER.warning("pictures are prepared on the processor: %s: %s", type(error).__name__, error)
        return None
