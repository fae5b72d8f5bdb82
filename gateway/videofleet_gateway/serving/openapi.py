"""What an OpenAPI document says besides what its routes say by themselves: answers, errors, keys."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from videofleet_gateway.errors import HTTP_STATUS, Failure

Json = dict[str, Any]
ERROR: Final = "Error"
"""The schema of an error, which each dialect has."""


@dataclass(frozen=True)
class Description:
    """Of a dialect. `schemas` by name, ERROR among them; `failures`: all that it tells of."""

    schemas: Json
    failures: Collection[Failure]
    security: list[Json]


def reference(component: str) -> Json:
    """A schema that lies among the components."""
    return {"$ref": f"#/components/schemas/{component}"}


def json_content(schema: Json) -> Json:
    """A body in JSON."""
    return {"application/json": {"schema": schema}}


def json_answer(component: str, status: int = 200) -> Json:
    """The responses of a route that answers with a component."""
    return {str(status): {"description": "Well.", "content": json_content(reference(component))}}


def describe(app: FastAPI, description: Description) -> None:
    """Let the application's document say all of it."""

    def document() -> Json:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            app.openapi_schema = _completed(made, description)
        return app.openapi_schema

    # As FastAPI's own documentation has it: the method is a hook.
    app.openapi = document  # type: ignore[method-assign]  # see above


def _completed(made: Json, description: Description) -> Json:
    # What the framework would say of its own validation is not what is answered here.
    key = {"key": {"type": "http", "scheme": "bearer"}}
    made["components"] = {"schemas": description.schemas, "securitySchemes": key}
    made["security"] = description.security
    errors = _errors(description.failures)
    for path in made["paths"].values():
        for operation in path.values():
            told = {status: answer for status, answer in operation["responses"].items() if status != "422"}
            operation["responses"] = errors | told
    return made


def _errors(failures: Collection[Failure]) -> Json:
    content = json_content(reference(ERROR))
    return {
        str(status): {"description": str(why), "content": content}
        for why, status in HTTP_STATUS.items()
        if why in failures
    }
