"""JSON in the bodies of requests."""

from typing import Final

import orjson
from starlette.requests import Request

from videofleet_gateway.errors import Failure, GatewayError

_DEEPEST: Final = 64
"""Objects and lists inside each other. What is deeper can be read, but not written again."""


async def json_object(request: Request) -> dict[str, object]:
    """The body, an object. Raises GatewayError."""
    return object_in(await request.body())


def object_in(text: bytes) -> dict[str, object]:
    """The object that is written. Raises GatewayError: NaN and Infinity are no JSON."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise GatewayError(Failure.MALFORMED, f"the body is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise GatewayError(Failure.MALFORMED, "the body must be a JSON object")
    if _is_too_deep(found):
        raise GatewayError(Failure.MALFORMED, f"the body has more than {_DEEPEST} objects or lists inside each other")
    return found


def _is_too_deep(found: object) -> bool:
    level = [found]
    for _ in range(_DEEPEST):
        inner: list[object] = []
        for each in level:
            if isinstance(each, dict):
                inner.extend(each.values())
            elif isinstance(each, list):
                inner.extend(each)
        level = [each for each in inner if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def check_json_type(request: Request) -> None:
    """Raises GatewayError where the body says that it is something else."""
    given = request.headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise GatewayError(Failure.UNSUPPORTED_MEDIA, f"Content-Type must be application/json, got {given!r}")
