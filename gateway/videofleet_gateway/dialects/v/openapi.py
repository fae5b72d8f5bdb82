"""What V's document says besides what its routes say by themselves: bodies, headers, keys, errors. Pure."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from videofleet_gateway.errors import HTTP_STATUS, Failure
from videofleet_gateway.phases import TaskStatus
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
_COMPONENTS: Final[Json] = {
    "Task": _TASK,
    "Created": _CREATED,
    "Error": _ERROR,
    "Objects": _OBJECTS,
    "Writing": _WRITING,
}
_OFFSET: Final[Json] = {"type": "integer", "minimum": 0}


def json_answer(component: str, status: int = 200) -> Json:
    """The responses of a route that answers with a component."""
    return {str(status): {"description": "Well.", "content": {"application/json": {"schema": reference(component)}}}}


def reference(component: str) -> Json:
    """A schema that lies among the components."""
    return {"$ref": f"#/components/schemas/{component}"}


PROCESS: Final[Json] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": reference("ProcessRequest")}},
    },
    "responses": json_answer("Created", 202),
}
_PICTURE: Final[Json] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": reference("PictureRequest")}}}
}
CANCEL: Final[Json] = {"responses": json_answer("Created", 202)}
TASK: Final[Json] = {"responses": json_answer("Task")}
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


def describe(app: FastAPI) -> None:
    """Let the application's document say all of it."""

    def document() -> Json:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            app.openapi_schema = _completed(made)
        return app.openapi_schema

    # As FastAPI's own documentation has it: the method is a hook.
    app.openapi = document  # type: ignore[method-assign]  # see above


def _completed(made: Json) -> Json:
    schema = ProcessRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = schema.pop("$defs")
    components = made.setdefault("components", {})
    # What the framework would say of its own validation is not what is answered here.
    picture = PictureRequest.model_json_schema()
    components["schemas"] = {"ProcessRequest": schema, **parts, "PictureRequest": picture, **_COMPONENTS}
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"key": []}]
    for path in made["paths"].values():
        for operation in path.values():
            operation["responses"] = _with_errors(operation["responses"])
    return made


def _with_errors(responses: Json) -> Json:
    kept = {status: answer for status, answer in responses.items() if status != "422"}
    content = {"application/json": {"schema": reference("Error")}}
    errors = {str(status): {"description": str(why), "content": content} for why, status in HTTP_STATUS.items()}
    return errors | kept
