"""The documents of the log, as bytes. Built as plain dictionaries: there is one for each frame."""

from collections.abc import Mapping, Sequence

import orjson

from videofleet_api.results import FinishReason, StreamInfo, Usage
from videofleet_worker.pipeline.objects import FoundObject


def chunk_id(uid: str, run: int) -> str:
    """The id that all chunks of a run carry."""
    return f"{uid}-{run}"


def frame_chunk(
    run_id: str,
    info: StreamInfo,
    objects: Sequence[FoundObject],
    size: tuple[int, int],
    regions: Mapping[str, object] | None = None,
) -> bytes:
    """A `Chunk` document with the objects of one frame; `size` is its width and height in pixels.

    `regions`: what its result has on zones and lines.
    """
    targets = [one.target(*size) for one in objects]
    return _chunk(run_id, info, [{"index": 0, "targets": targets, **(regions or {})}])


def terminal_chunk(run_id: str, info: StreamInfo, reason: FinishReason, usage: Usage) -> bytes:
    """The last `Chunk` document of a run."""
    return _chunk(run_id, info, [], finish_reason=reason, usage=usage.model_dump())


def _chunk(run_id: str, info: StreamInfo, results: list[dict[str, object]], **end: object) -> bytes:
    return orjson.dumps(
        {
            "id": run_id,
            "object": "mm.pipeline.chunk",
            "stream_info": info.model_dump(),
            "delta": {"results": results},
            "finish_reason": None,
        }
        | end
    )
