"""What a simulated camera can be told to do wrong, and what that means for how it is served. No I/O here."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

EVERY_PATH = "*"


class Fault(StrEnum):
    """The state of a camera; `NONE` is the healthy one."""

    NONE = "none"
    STOP = "stop"
    SILENCE = "silence"
    WRONG_PASSWORD = "wrong-password"
    RESOLUTION = "resolution"
    FREEZE = "freeze"
    BLACK = "black"


class BadRequestError(ValueError):
    """A request that cannot be carried out; the message names the field, its value, and what would be right."""


@dataclass(frozen=True)
class Mount:
    """How a camera is served. A change of it disconnects the camera's clients."""

    exists: bool = True
    small: bool = False
    rotated_credentials: bool = False


def mount_for(fault: Fault) -> Mount:
    """The mount under a fault. What the connection must survive keeps the healthy one."""
    match fault:
        case Fault.NONE | Fault.SILENCE | Fault.FREEZE | Fault.BLACK:
            return Mount()
        case Fault.STOP:
            return Mount(exists=False)
        case Fault.WRONG_PASSWORD:
            return Mount(rotated_credentials=True)
        case Fault.RESOLUTION:
            return Mount(small=True)


@dataclass(frozen=True)
class FaultRequest:
    """A checked order: put this fault on these cameras."""

    paths: tuple[str, ...]
    fault: Fault


def parse_fault_request(body: bytes, known_paths: Collection[str]) -> FaultRequest:
    """Reads `{"path": ..., "fault": ...}`; raises BadRequestError for anything else."""
    try:
        fields = json.loads(body)
    except ValueError as error:
        raise BadRequestError(f'body: not JSON ({error}); send {{"path": "/cam1", "fault": "stop"}}') from error
    if not isinstance(fields, dict):
        raise BadRequestError(f'body: {_shown(fields)} is not an object; send {{"path": "/cam1", "fault": "stop"}}')
    for name in fields:
        if name not in ("path", "fault"):
            raise BadRequestError(f"{name}: unknown field; the fields are path and fault")
    return FaultRequest(paths=_paths(fields, known_paths), fault=_fault(fields))


def _paths(fields: dict[str, object], known_paths: Collection[str]) -> tuple[str, ...]:
    choices = f"give one of {', '.join(known_paths)}, or {EVERY_PATH} for all"
    if "path" not in fields:
        raise BadRequestError(f"path: missing; {choices}")
    path = fields["path"]
    if path == EVERY_PATH:
        return tuple(known_paths)
    if not isinstance(path, str) or path not in known_paths:
        raise BadRequestError(f"path: {_shown(path)} is no camera here; {choices}")
    return (path,)


def _fault(fields: dict[str, object]) -> Fault:
    choices = f"give one of {', '.join(Fault)}"
    if "fault" not in fields:
        raise BadRequestError(f"fault: missing; {choices}")
    fault = fields["fault"]
    if not isinstance(fault, str) or fault not in list(Fault):
        raise BadRequestError(f"fault: {_shown(fault)} is no fault; {choices}")
    return Fault(fault)


def _shown(value: object) -> str:
    """A value as JSON, cut to a length that fits a message."""
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
