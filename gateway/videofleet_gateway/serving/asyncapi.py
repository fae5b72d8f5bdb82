"""AsyncAPI documents: what is sent over a connection once it is open, which OpenAPI cannot tell. Pure, but `serve`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

Json = dict[str, Any]
Protocol = Literal["http", "ws"]
VERSION: Final = "3.0.0"
"""Of the specification, https://www.asyncapi.com/docs/reference/specification/v3.0.0."""


@dataclass(frozen=True)
class Message:
    """One kind of what the gateway sends. `payload` is a JSON Schema; None for bytes that are no JSON."""

    name: str
    content_type: str
    summary: str
    payload: Json | None = None


@dataclass(frozen=True)
class Channel:
    """A path of the dialect, and what whoever opens it receives. `bindings`: what its protocol says of opening it."""

    name: str
    path: str
    protocol: Protocol
    summary: str
    parameters: dict[str, str]
    messages: Sequence[Message]
    bindings: Json


def document(title: str, version: str, description: str, channels: Sequence[Channel], schemas: Json) -> Json:
    """The document; what payloads refer to lies in `schemas`."""
    return {
        "asyncapi": VERSION,
        "info": {"title": title, "version": version, "description": description},
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel) for channel in channels},
        "operations": {
            f"receive{channel.name[0].upper()}{channel.name[1:]}": _operation(channel) for channel in channels
        },
        "components": {"schemas": schemas},
    }


def serve(app: FastAPI, path: str, made: Json) -> None:
    """Have the application answer with the document, to everybody."""

    async def answer() -> Response:
        return JSONResponse(made)

    app.get(path, include_in_schema=False)(answer)


def _channel(channel: Channel) -> Json:
    return {
        "address": channel.path,
        "summary": channel.summary,
        "parameters": {name: {"description": text} for name, text in channel.parameters.items()},
        "messages": {message.name: _message(message) for message in channel.messages},
        "bindings": {channel.protocol: channel.bindings} if channel.protocol == "ws" else {},
    }


def _message(message: Message) -> Json:
    told = {"name": message.name, "contentType": message.content_type, "summary": message.summary}
    return told | ({"payload": message.payload} if message.payload is not None else {})


def _operation(channel: Channel) -> Json:
    told: Json = {
        # What the application of the document does: it sends, whoever reads the document receives.
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "summary": channel.summary,
        "messages": [{"$ref": f"#/channels/{channel.name}/messages/{one.name}"} for one in channel.messages],
    }
    return told | ({"bindings": {"http": channel.bindings}} if channel.protocol == "http" else {})
