"""Errors as V tells them: {"error": {"code", "message"}}."""

from starlette.responses import JSONResponse, Response

from videofleet_gateway.errors import GatewayError


def render(error: GatewayError) -> Response:
    """The answer that tells an error; `param` names the field where one is at fault."""
    body: dict[str, object] = {"code": str(error.failure), "message": error.message}
    if error.param is not None:
        body["param"] = error.param
    return JSONResponse({"error": body}, status_code=error.status)
