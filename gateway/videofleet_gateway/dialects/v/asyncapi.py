"""What V's streams send, as AsyncAPI. Pure."""

from typing import Any, Final

from videofleet_api.results import Chunk
from videofleet_gateway.serving.asyncapi import Channel, Message, document

Json = dict[str, Any]
PATH: Final = "/v1/asyncapi.json"
_SCHEMA: Final[Json] = Chunk.model_json_schema(ref_template="#/components/schemas/{model}")
_PARTS: Final[Json] = _SCHEMA.pop("$defs")
_STREAM: Final = Channel(
    "taskStream",
    "/v1/video/tasks/{task_id}/stream",
    "http",
    "Server-sent events: the results of a task so far, then those to come. The id of an event is the offset of its "
    "end, 16 digits: with Last-Event-ID or ?offset= a client goes on behind it. Comments may come between events.",
    {"task_id": "Id of the task."},
    (
        Message("chunk", "application/json", "The data of an event: a frame, or the end of the task.", _SCHEMA),
        Message("done", "text/plain", "The data of the last event.", {"type": "string", "const": "[DONE]"}),
    ),
    {
        "method": "GET",
        "query": {
            "type": "object",
            "properties": {
                "offset": {"type": "integer", "minimum": 0, "description": "Bytes of the stream that are known."},
                "heartbeat": {"type": "number", "minimum": 1, "maximum": 3600, "description": "Seconds."},
                "access_token": {"type": "string", "description": "In the place of a key."},
            },
        },
    },
)
DOCUMENT: Final = document("Video API", "1", "Streams of video tasks.", [_STREAM], _PARTS)
