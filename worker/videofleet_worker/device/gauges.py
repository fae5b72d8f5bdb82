"""What NVIDIA's management library says of the GPUs now."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GpuGauges:
    """One GPU: shares are 0..1, memory is in bytes, temperature in degrees Celsius; None for what it does not tell."""

    index: int
    name: str
    utilisation: float | None
    decoder: float | None
    memory_used: int | None
    memory_total: int | None
    temperature: int | None


def read_gauges() -> tuple[GpuGauges, ...]:
    """All GPUs that the driver shows; none without a driver."""
    # Imported where it is asked: it is of no use to a worker without a GPU.
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_read(pynvml))
    except pynvml.NVMLError:
        # A GPU that fell off the bus: the others cannot be counted either.
        return ()
    finally:
        pynvml.nvmlShutdown()


def _read(nvml: Any) -> Iterator[GpuGauges]:
    for index in range(nvml.nvmlDeviceGetCount()):
        gpu = nvml.nvmlDeviceGetHandleByIndex(index)

        def told(ask: Callable[[Any], Any], of: Any = gpu) -> Any:
            """What this GPU tells; a slice of one (MIG) tells less."""
            try:
                return ask(of)
            except nvml.NVMLError:
                return None

        rates, memory = told(nvml.nvmlDeviceGetUtilizationRates), told(nvml.nvmlDeviceGetMemoryInfo)
        decoder = told(nvml.nvmlDeviceGetDecoderUtilization)
        yield GpuGauges(
            index,
            str(nvml.nvmlDeviceGetName(gpu)),
            None if rates is None else rates.gpu / 100,
            None if decoder is None else decoder[0] / 100,
            None if memory is None else int(memory.used),
            None if memory is None else int(memory.total),
            told(lambda one: int(nvml.nvmlDeviceGetTemperature(one, nvml.NVML_TEMPERATURE_GPU))),
        )
