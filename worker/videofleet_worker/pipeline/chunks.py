"""A frame's results as a document of the log."""

from collections.abc import Mapping, Sequence

from videofleet_api.results import StreamInfo
from videofleet_archive.documents import chunk
from videofleet_worker.pipeline.objects import FoundObject


def frame_chunk(
    run_id: str,
    info: StreamInfo,
    objects: Sequence[FoundObject],
    size: tuple[int, int],
    regions: Mapping[str, object] | None = None,
    model: str | None = None,
) -> bytes:
    """A `Chunk` document with the objects of one frame; `size` is its width and height in pixels.

    `regions`: what its result has on zones and lines; `model`: what the first chunk of a run calls the model.
    """
    targets = [one.target(*size) for one in objects]
    return chunk(run_id, info, [{"index": 0, "targets": targets, **(regions or {})}], model)
