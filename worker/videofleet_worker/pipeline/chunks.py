"""The documents of the log, as bytes. Built as plain dictionaries: there is one for each frame."""

import json
from collections.abc import Mapping, Sequence

import orjson

from videofleet_api.results import FinishReason, StreamInfo, Usage
from videofleet_worker.pipeline.objects import FoundObject


def chunk_id(uid: str, run: int) -> str:
    """The id that all chunks of a run carry."""
    return f"mm-pipe-{uid}-{run}"


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
    return _chunk(run_id, info, [{"index": 0, "targets": targets, **(regions or {})}], **_named(model))


def terminal_chunk(
    run_id: str, info: StreamInfo, reason: FinishReason, usage: Usage, model: str | None = None
) -> bytes:
    """The last `Chunk` document of a run; `model` where it is the first one as well."""
    return _chunk(run_id, info, [], finish_reason=reason, usage=usage.model_dump(), **_named(model))


def _named(model: str | None) -> dict[str, object]:
    return {} if model is None else {"model": model}


def _chunk(run_id: str, info: StreamInfo, results: list[dict[str, object]], **more: object) -> bytes:
    written = orjson.dumps(
        {
            "id": run_id,
            "object": "mm.pipeline.chunk",
            "stream_info": info.model_dump(),
            "delta": {"results": results},
            "finish_reason": None,
        }
        | more
    )
    # Text that was read in a picture may be in any script; a log is ASCII, which no client splits where it should not.
    return written if written.isascii() else json.dumps(orjson.loads(written), separators=(",", ":")).encode()
