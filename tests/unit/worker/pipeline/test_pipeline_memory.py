"""The share of a decoding child in the container's memory."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from videofleet_worker.memory import DecoderMemory, container_memory, decoder_memory, give_back

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("container", "capacity", "own", "frames"),
    [
        pytest.param(None, 16, 768, 384, id="no limit"),
        pytest.param(768 + 16 * 240, 16, 160, 80, id="two parts of three are its own"),
        pytest.param(4096, 1, 768, 384, id="never more than a decoder can use"),
        pytest.param(4096, 100, 128, 64, id="never less than a decoder needs"),
        pytest.param(512, 1, 128, 64, id="less than the worker itself needs"),
    ],
)
def test_the_share_of_a_decoder(container: int | None, capacity: int, own: int, frames: int) -> None:
    given = None if container is None else container * MIB
    assert decoder_memory(given, capacity) == DecoderMemory(own * MIB, frames * MIB)


@pytest.mark.parametrize(
    ("name", "text", "limit"),
    [
        ("memory.max", "4294967296\n", 4096 * MIB),
        ("memory.max", "max\n", None),
        ("memory/memory.limit_in_bytes", "1073741824\n", 1024 * MIB),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", None),
        ("memory/other", "1\n", None),
    ],
)
def test_the_limit_of_a_container(tmp_path: Path, name: str, text: str, limit: int | None) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert container_memory(tmp_path) == limit


def own_memory() -> int:
    """Bytes that this process has written to and that are there."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:")) * 1024


def test_what_a_thread_has_freed_goes_back() -> None:
    with ThreadPoolExecutor(1) as thread:
        blocks = thread.submit(lambda: [bytearray(4096) for _ in range(8192)]).result()
        # Above what is freed something is still in use, as among the objects of any program.
        kept = blocks.pop()
        thread.submit(blocks.clear).result()
        before = own_memory()
        give_back()
        assert before - own_memory() > 16 * MIB
        assert len(kept) == 4096
