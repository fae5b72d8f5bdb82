"""A single picture that somebody waits for: `POST /v1/vision` of a worker, which its readers may call too.

The body is multipart/form-data: `request`, a VisionRequest in JSON, and behind it `picture`, the bytes of the picture,
where these come along. 429: every slot of the worker is taken.
"""

from typing import Annotated, Final

from pydantic import Field

from videofleet_api.codes import ErrorCode
from videofleet_api.model import Document
from videofleet_api.protocol import MAX_COUNT, Count, JobSource, Message
from videofleet_api.steps import Step

VISION_PATH: Final = "/v1/vision"
LARGEST_PICTURE: Final = 20 * 2**20
"""Bytes of one, whether it comes along or lies at an address."""
LONGEST_LOOK: Final = 30.0
"""Seconds."""
REQUEST_PART: Final = "request"
PICTURE_PART: Final = "picture"
_MOST_OBJECTS: Final = 10_000
_LONGEST_TEXT: Final = 4096
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Pixel = Annotated[int, Field(ge=0, le=MAX_COUNT)]
_Name = Annotated[str, Field(max_length=256)]


class VisionRequest(Document):
    """What one step finds in a picture. Never logged: holds credentials."""

    step: Step
    """One that may come first: it looks at the whole picture."""
    source: JobSource | None = None
    """Where the picture is; without it it comes along."""
    timeout: Annotated[float, Field(gt=0, le=LONGEST_LOOK, allow_inf_nan=False)]
    """Seconds in which the picture must be there and decoded."""


class SeenObject(Document):
    """An object, or a line of text. `box`: x1, y1, x2, y2 in whole pixels of the picture; x2 and y2 are outside."""

    label: _Name
    confidence: _Share
    box: tuple[_Pixel, _Pixel, _Pixel, _Pixel]
    text: Annotated[str, Field(max_length=_LONGEST_TEXT)] | None = None
    """What is written there; `confidence` is then that of having read it."""


class VisionReport(Document):
    """What was found, the most certain first, lines of text as they are read; or (code) why nothing was looked at."""

    code: ErrorCode | None = None
    message: Message | None = None
    model: _Name = ""
    width: Count = 0
    height: Count = 0
    objects: Annotated[list[SeenObject], Field(max_length=_MOST_OBJECTS)] = Field(default_factory=list)
    milliseconds: Count = 0
    """From the request until the answer."""
