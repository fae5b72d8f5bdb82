"""What F's document says of bodies, which are read whatever their Content-Type, and of answers. Pure."""

from typing import Final

from videofleet_api.phases import Phase
from videofleet_gateway.dialects.f.errors import CODES
from videofleet_gateway.errors import Failure
from videofleet_gateway.serving.openapi import ERROR, Description, Json, json_answer, json_content, reference

_TEXT: Final[Json] = {"type": "string"}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_NUMBER: Final[Json] = {"type": "number", "minimum": 0}
_WANTED: Final[Json] = {
    "stream_url": {"type": "string", "description": "Address of the stream or the file. Needed to make a job."},
    "enabled": {"type": "boolean", "default": True},
    "single_pass": {"type": "boolean", "default": False, "description": "true: no restart."},
    "labels": {"type": "object", "additionalProperties": _TEXT},
    "router_url": {"type": "string", "description": "Gets the best shot of every track."},
    "router_events_url": {"type": "string", "description": "Gets every event of a track, zone or line."},
    "stream_settings": {"type": "object"},
    "stream_settings_gpu": {"type": "object", "deprecated": True},
}
_STATISTIC: Final[Json] = {
    "processed_duration": _NUMBER | {"description": "Seconds of video."},
    **dict.fromkeys(("objects_posted", "faces_posted", "objects_not_posted", "faces_not_posted"), _COUNT),
    "processing_fps": _NUMBER,
    "frames_processed": _COUNT,
    "frames_dropped": _COUNT,
    "job_start_time": {"type": ["string", "null"], "format": "date-time"},
    "job_starts": _COUNT,
}
_TOLD: Final[Json] = {
    "id": _TEXT,
    "status": {"type": "string", "enum": [phase.value for phase in Phase]},
    "status_msg": _TEXT,
    "statistic": {"type": "object", "required": list(_STATISTIC), "properties": _STATISTIC},
    "restream_url": {"type": "string", "description": "WebSocket: as it is analysed. Empty while no worker has it."},
    "restream_direct_url": {"type": "string", "description": "WebSocket: as the camera sends it."},
    "shots_url": {"type": "string", "description": "The current picture."},
    "worker_id": _TEXT,
    "version": {"type": "integer", "minimum": 1, "description": "Counts the changes of what is wanted."},
}
_ERROR: Final[Json] = {
    "type": "object",
    "required": ["code", "desc"],
    "properties": {
        "code": {"type": "string", "enum": list(CODES.values())},
        "desc": {"type": "string", "description": "For people."},
        "param": {"type": "string", "description": "Of BAD_PARAM: the parameter that is at fault."},
        "value": {"description": "Of BAD_PARAM: what it is."},
    },
}
_SCHEMAS: Final[Json] = {
    "Wanted": {"type": "object", "properties": _WANTED},
    "Job": {"type": "object", "required": [*_WANTED, *_TOLD], "properties": _WANTED | _TOLD},
    "Jobs": {"type": "array", "items": reference("Job")},
    "Nothing": {"type": "object"},
    ERROR: _ERROR,
}
DESCRIPTION: Final = Description(
    _SCHEMAS,
    # Bodies are read whatever they are called, and no offsets are asked for.
    set(CODES) - {Failure.UNSUPPORTED_MEDIA, Failure.OUT_OF_RANGE, Failure.NOT_IMPLEMENTED},
    # Where that is set up, those without a key have jobs too.
    [{"key": []}, {}],
)
JOB: Final[Json] = {"responses": json_answer("Job")}
JOBS: Final[Json] = {"responses": json_answer("Jobs")}
NOTHING: Final[Json] = {"responses": json_answer("Nothing")}
BODY: Final[Json] = {"requestBody": {"content": json_content(reference("Wanted"))}} | JOB
"""Of the requests that make and change jobs."""
SHOT: Final[Json] = {
    "security": [{}],
    "responses": {"200": {"description": "A picture.", "content": {"image/jpeg": {}}}},
}
"""Who has the address has the token in it."""
