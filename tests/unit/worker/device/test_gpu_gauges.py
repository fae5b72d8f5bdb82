"""What is read of GPUs: pynvml is the real one, the library below it is replaced where ctypes calls it."""

import ctypes
from collections.abc import Callable
from typing import Any

import pynvml
import pytest

from videofleet_worker.device.gauges import GpuGauges, read_gauges

_SUCCESS, _NOT_SUPPORTED = 0, 3
_UNSIGNED = ctypes.POINTER(ctypes.c_uint)


def _set(pointer: Any, value: int) -> None:
    ctypes.cast(pointer, _UNSIGNED)[0] = value


class FakeLibrary:
    """libnvidia-ml.so.1 of a machine with one GPU. `silent`: what that GPU does not tell."""

    def __init__(self, silent: frozenset[str] = frozenset()) -> None:
        self._silent = silent
        self.open = 0

    def __getattr__(self, name: str) -> Callable[..., int]:
        if name in self._silent:
            return lambda *_: _NOT_SUPPORTED
        known: dict[str, Callable[..., int]] = {
            "nvmlInitWithFlags": lambda _: self._opened(1),
            "nvmlInit_v2": lambda: self._opened(1),
            "nvmlShutdown": lambda: self._opened(-1),
            "nvmlDeviceGetCount_v2": lambda count: self._told(count, 1),
            "nvmlDeviceGetHandleByIndex_v2": lambda index, handle: _SUCCESS,
            "nvmlDeviceGetName": lambda handle, text, size: self._named(text),
            "nvmlDeviceGetUtilizationRates": lambda handle, rates: self._rates(rates),
            "nvmlDeviceGetDecoderUtilization": lambda handle, share, period: self._told(share, 40),
            "nvmlDeviceGetMemoryInfo": lambda handle, memory: self._memory(memory),
            "nvmlDeviceGetTemperature": lambda handle, sensor, degrees: self._told(degrees, 61),
        }
        if name in known:
            return known[name]
        raise AttributeError(name)

    def _opened(self, step: int) -> int:
        self.open += step
        return _SUCCESS

    def _told(self, pointer: Any, value: int) -> int:
        _set(pointer, value)
        return _SUCCESS

    def _named(self, text: Any) -> int:
        text.value = b"NVIDIA H200"
        return _SUCCESS

    def _rates(self, rates: Any) -> int:
        rates._obj.gpu, rates._obj.memory = 75, 20
        return _SUCCESS

    def _memory(self, memory: Any) -> int:
        memory._obj.total, memory._obj.free, memory._obj.used = 1000, 400, 600
        return _SUCCESS


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeLibrary], None]:
    def put(library: FakeLibrary) -> None:
        monkeypatch.setattr(pynvml, "nvmlLib", library)
        monkeypatch.setattr(pynvml, "_nvmlLib_refcount", 0)
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})

    return put


def test_a_gpu_tells_all(use: Callable[[FakeLibrary], None]) -> None:
    library = FakeLibrary()
    use(library)
    assert read_gauges() == (GpuGauges(0, "NVIDIA H200", 0.75, 0.4, 600, 1000, 61),)
    assert library.open == 0


def test_what_a_slice_of_a_gpu_does_not_tell_is_left_out(use: Callable[[FakeLibrary], None]) -> None:
    use(FakeLibrary(frozenset({"nvmlDeviceGetUtilizationRates", "nvmlDeviceGetDecoderUtilization"})))
    assert read_gauges() == (GpuGauges(0, "NVIDIA H200", None, None, 600, 1000, 61),)


def test_a_gpu_that_is_gone_is_not_there(use: Callable[[FakeLibrary], None]) -> None:
    library = FakeLibrary(frozenset({"nvmlDeviceGetHandleByIndex_v2"}))
    use(library)
    assert read_gauges() == ()
    assert library.open == 0


def test_a_driver_that_does_not_start_shows_none(use: Callable[[FakeLibrary], None]) -> None:
    use(FakeLibrary(frozenset({"nvmlInitWithFlags", "nvmlInit_v2"})))
    assert read_gauges() == ()
