"""A dialect's FastAPI application with its own errors, and the door before it."""

from collections.abc import Callable, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from videofleet_gateway.errors import Failure, GatewayError, Render, failure_of_status
from videofleet_gateway.serving.door import rendered


def application(title: str, description: str, version: str, render: Render, openapi_url: str) -> FastAPI:
    """An empty application that tells every error by `render`, also those of the framework."""
    app = FastAPI(
        title=title,
        description=description,
        version=version,
        openapi_url=openapi_url,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )

    def told(translate: Callable[[Exception], GatewayError]) -> Callable[[Request, Exception], Response]:
        return lambda _request, error: rendered(render, translate(error))

    app.add_exception_handler(GatewayError, told(_itself))
    app.add_exception_handler(HTTPException, told(_of_framework))
    app.add_exception_handler(RequestValidationError, told(_of_validation))
    app.add_exception_handler(Exception, told(_unexpected))
    return app


def _itself(error: Exception) -> GatewayError:
    assert isinstance(error, GatewayError)
    return error


def _of_framework(error: Exception) -> GatewayError:
    assert isinstance(error, HTTPException)
    failure = failure_of_status(error.status_code)
    what = {
        Failure.NOT_FOUND: "there is nothing at this path",
        Failure.METHOD_NOT_ALLOWED: "this path does not take this method",
    }
    headers = dict(error.headers or {})
    if "GET" in (allowed := headers.get("Allow", "").split(", ")):
        # The door makes one of the other.
        headers["Allow"] = ", ".join([*allowed, "HEAD"])
    return GatewayError(failure, what.get(failure, str(error.detail)), headers=headers)


def _of_validation(error: Exception) -> GatewayError:
    assert isinstance(error, RequestValidationError)
    return first_problem(error.errors())


def first_problem(errors: Sequence[dict[str, object]]) -> GatewayError:
    """The first of pydantic's problems, with the field it is about and what stands there."""
    first = errors[0]
    place = first.get("loc")
    path = [str(part) for part in place] if isinstance(place, tuple | list) else []
    if path and path[0] in ("query", "path", "header", "body"):
        path = path[1:]
    param = ".".join(path)
    message = str(first.get("msg")).removeprefix("Value error, ")
    return GatewayError(
        Failure.INVALID, f"{param}: {message}" if param else message, param=param or None, value=first.get("input")
    )


def _unexpected(_error: Exception) -> GatewayError:
    return GatewayError(Failure.INTERNAL, "something went wrong here; it is in the gateway's log")
