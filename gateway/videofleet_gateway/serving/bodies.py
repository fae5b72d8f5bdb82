"""JSON in the bodies of requests."""

import orjson
from starlette.requests import Request

from videofleet_gateway.errors import Failure, GatewayError


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
    return found


def check_json_type(request: Request) -> None:
    """Raises GatewayError where the body says that it is something else."""
    given = request.headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise GatewayError(Failure.UNSUPPORTED_MEDIA, f"Content-Type must be application/json, got {given!r}")
