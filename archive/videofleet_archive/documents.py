"""The documents of the log, as bytes. Built as plain dictionaries: there is one for each frame."""

import json

import orjson

from videofleet_api.results import FinishReason, Sidecar, StreamInfo, Usage


def chunk_id(uid: str, run: int) -> str:
    """The id that all chunks of a run carry."""
    return f"mm-pipe-{uid}-{run}"


def chunk(
    run_id: str, info: StreamInfo, results: list[dict[str, object]], model: str | None = None, **more: object
) -> bytes:
    """A `Chunk` document; `model`: what the first one of a run calls the model."""
    written = orjson.dumps(
        {
            "id": run_id,
            "object": "mm.pipeline.chunk",
            **({} if model is None else {"model": model}),
            "stream_info": info.model_dump(),
            "delta": {"results": results},
            "finish_reason": None,
        }
        | more
    )
    # Text that was read in a picture may be in any script; a log is ASCII, which no client splits where it should not.
    return written if written.isascii() else json.dumps(orjson.loads(written), separators=(",", ":")).encode()


def sidecar_document(sidecar: Sidecar) -> bytes:
    """What lies beside a segment."""
    return sidecar.model_dump_json(by_alias=True, exclude_none=True).encode()


def terminal_chunk(
    run_id: str, info: StreamInfo, reason: FinishReason, usage: Usage, model: str | None = None
) -> bytes:
    """The last `Chunk` document of a run; `model` where it is the first one as well."""
    return chunk(run_id, info, [], model, finish_reason=reason, usage=usage.model_dump())
