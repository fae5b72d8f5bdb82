"""What the document of F's interface says of bodies, which are read whatever their Content-Type. Pure."""

from typing import Any, Final

_TEXT: Final = {"type": "string"}
_JOB: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "stream_url": {"type": "string", "description": "Address of the stream or the file. Needed to make a job."},
        "enabled": {"type": "boolean", "default": True},
        "single_pass": {
            "type": "boolean",
            "default": False,
            "description": "true: no restart.",
        },
        "labels": {"type": "object", "additionalProperties": _TEXT},
        "router_url": {"type": "string", "description": "Gets the best shot of every track."},
        "router_events_url": {"type": "string", "description": "Gets every event of a track, zone or line."},
        "stream_settings": {"type": "object"},
        "stream_settings_gpu": {"type": "object", "deprecated": True},
    },
}
BODY: Final[dict[str, Any]] = {"requestBody": {"content": {"application/json": {"schema": _JOB}}}}
"""Of the requests that make and change jobs."""
