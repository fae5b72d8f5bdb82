"""The shared memory of a connection goes with the connection."""

import gc
from pathlib import Path

from tests.unit.worker.decode.clips import ClipSpec, make_clip
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import read
from videofleet_worker.sources.reconnect import ReconnectPolicy


def rings() -> int:
    """Rings that this process has mapped."""
    return Path("/proc/self/maps").read_text().count("videofleet-frames")


async def test_a_lost_connection_leaves_no_frames_in_memory(make_source: MakeSource, clips: Path) -> None:
    clip = make_clip(clips / "short.mp4", ClipSpec(frames=3))
    before = rings()
    source = make_source(clip, kind="live", reconnect=ReconnectPolicy(window=None))
    # What only the collector of cycles finds may stay for hours: a worker gives it little to do.
    gc.disable()
    try:
        await read(source, enough=5)
        assert source.counters.reconnects == 1
        assert rings() == before
    finally:
        gc.enable()
