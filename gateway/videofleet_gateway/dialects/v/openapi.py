"""What V's document says of bodies, headers and answers. Pure."""

from typing import Any, Final

from videofleet_api.results import RunResult
from videofleet_gateway.errors import Failure
from videofleet_gateway.phases import TaskStatus
from videofleet_gateway.serving.openapi import ERROR, Description, json_answer, json_content, reference
from videofleet_gateway.tasks.request import ProcessRequest
from videofleet_gateway.vision.request import PictureRequest

Json = dict[str, Any]

_TASK: Final[Json] = {
    "type": "object",
    "required": ["id", "status", "stream_url", "created_at", "updated_at"],
    "properties": {
        "id": {"type": "string", "pattern": "^vt_"},
        "status": {"type": "string", "enum": list(TaskStatus)},
        "stream_url": {"type": "string"},
        "created_at": {"type": "string", "format": "date-time"},
        "updated_at": {"type": "string", "format": "date-time"},
        "error": {"type": "object", "properties": {"code": {"type": "string"}, "message": {"type": "string"}}},
        "request": {"type": "object"},
    },
}
_CREATED: Final[Json] = {
    "type": "object",
    "required": ["id", "status"],
    "properties": {name: _TASK["properties"][name] for name in ("id", "status", "stream_url")},
}
_ERROR: Final[Json] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "enum": list(Failure)},
                "message": {"type": "string"},
                "param": {"type": "string", "description": "The field that is at fault."},
            },
        }
    },
}
_BOX: Final[Json] = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0},
    "minItems": 4,
    "maxItems": 4,
    "description": "x1, y1, x2, y2 in pixels.",
}
_CONFIDENCE: Final[Json] = {"type": "number", "minimum": 0, "maximum": 1}


def _looked(name: str, **fields: Json) -> Json:
    """What is answered about a picture: `name`, a list of things with these fields and a confidence and a place."""
    parts = fields | {"bbox": _BOX, "confidence": _CONFIDENCE}
    numbers = {field: {"type": "integer"} for field in ("processed_frames", "processing_time_ms")}
    return {
        "type": "object",
        "required": [name, "model", "usage"],
        "properties": {
            name: {"type": "array", "items": {"type": "object", "required": list(parts), "properties": parts}},
            "model": {"type": "string"},
            "usage": {"type": "object", "required": list(numbers), "properties": numbers},
        },
    }


_OBJECTS: Final[Json] = _looked("objects", **{"class": {"type": "string"}})
_WRITING: Final[Json] = _looked("blocks", text={"type": "string"})
_WRITING["required"].append("text")
_WRITING["properties"]["text"] = {"type": "string", "description": "All of it, a line each."}
_PAGE: Final[Json] = {
    "type": "object",
    "required": ["data", "next_cursor"],
    "properties": {
        "data": {"type": "array", "items": reference("Task")},
        "next_cursor": {"type": ["string", "null"], "description": "The cursor of the next page; null: there is none."},
    },
}
_TOKEN: Final[Json] = {
    "type": "object",
    "required": ["access_token", "expires_at"],
    "properties": {"access_token": {"type": "string"}, "expires_at": _TASK["properties"]["created_at"]},
}
_COMPONENTS: Final[Json] = {
    "Task": _TASK,
    "Tasks": _PAGE,
    "Token": _TOKEN,
    "Created": _CREATED,
    ERROR: _ERROR,
    "Objects": _OBJECTS,
    "Writing": _WRITING,
}
_PLACE: Final = "#/components/schemas/{model}"
_OFFSET: Final[Json] = {"type": "integer", "minimum": 0}


PROCESS: Final[Json] = {
    "requestBody": {
        "required": True,
        "content": json_content(reference("ProcessRequest")),
    },
    "responses": json_answer("Created", 202),
}
_PICTURE: Final[Json] = {"requestBody": {"required": True, "content": json_content(reference("PictureRequest"))}}
CANCEL: Final[Json] = {"responses": json_answer("Created", 202)}
TASKS: Final[Json] = {"responses": json_answer("Tasks")}
TASK: Final[Json] = {"responses": json_answer("Task")}
TOKEN: Final[Json] = {"responses": json_answer("Token")}
RESULTS: Final[Json] = {"responses": json_answer("Results")}
DESCRIBE: Final[Json] = _PICTURE
OCR: Final[Json] = _PICTURE | {"responses": json_answer("Writing")}
DETECT: Final[Json] = _PICTURE | {"responses": json_answer("Objects")}
STREAM: Final[Json] = {
    "parameters": [
        {"name": "offset", "in": "query", "schema": _OFFSET, "description": "Bytes of the stream that are known."},
        {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}, "description": "Wins over offset."},
        {"name": "heartbeat", "in": "query", "schema": {"type": "number", "minimum": 1, "maximum": 3600}},
        {"name": "access_token", "in": "query", "schema": {"type": "string"}},
    ],
    "responses": {
        "200": {"description": "Chunks.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
        "204": {"description": "The offset is the end of a task that is over."},
    },
}


def description() -> Description:
    """All of it."""
    schema = ProcessRequest.model_json_schema(ref_template=_PLACE)
    results = RunResult.model_json_schema(ref_template=_PLACE, mode="serialization")
    parts = schema.pop("$defs") | results.pop("$defs")
    posted = {"ProcessRequest": schema, "PictureRequest": PictureRequest.model_json_schema()}
    # Nothing is being deleted through it.
    failures = set(Failure) - {Failure.DELETING}
    return Description(posted | {"Results": results} | parts | _COMPONENTS, failures, [{"key": []}])
