"""What becomes a task: a video, how much of it, and the steps; POST /v1/video/process takes it as JSON."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from videofleet_api.source import MAX_URL
from videofleet_gateway.errors import GatewayError
from videofleet_gateway.serving.applications import first_problem

MAX_FRAMES: Final = 3000
"""Analysed where the request does not say."""
DEFAULT_FPS: Final = 1.0


def _as_given(value: object, read: ValidatorFunctionWrapHandler) -> object:
    """A whole number stays one: the request is shown again as it was posted."""
    number = read(value)
    return value if isinstance(value, int) else number


def _as_it_is(number: float) -> Any:
    # With a type pydantic would make a float of it.
    return number


Number = Annotated[float, Field(allow_inf_nan=False), WrapValidator(_as_given), PlainSerializer(_as_it_is)]
Name = Annotated[str, Field(min_length=1, max_length=63)]


class _Given(BaseModel):
    """What is unknown is ignored: clients may be newer."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Sampling(_Given):
    """Which frames are analysed."""

    mode: Literal["fps", "keyframe", "interval"]
    value: Annotated[Number, Field(gt=0, le=100_000)] | None = None
    unit: Literal["frames", "seconds"] = "frames"
    """Of an interval: every n-th frame, or a frame every so many seconds."""

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        if self.mode == "keyframe":
            if self.value is not None:
                raise ValueError("value does not go with the mode keyframe")
        elif self.value is None:
            raise ValueError(f"the mode {self.mode} needs a value")
        elif self.mode == "interval" and self.unit == "frames" and self.value != int(self.value):
            raise ValueError(f"value must be a whole number of frames, got {self.value:g}")
        return self


class Range(_Given):
    """The part that is analysed: `start` is in it, `end` is not."""

    start: Annotated[Number, Field(ge=0, le=1e9)] = 0
    end: Annotated[Number, Field(gt=0, le=1e9)] | None = None
    unit: Literal["seconds", "frames"] = "seconds"

    @model_validator(mode="after")
    def _goes_forward(self) -> Self:
        if self.end is not None and self.start >= self.end:
            raise ValueError("start must be smaller than end")
        if self.unit == "frames" and any(edge != int(edge) for edge in (self.start, self.end or 0)):
            raise ValueError("start and end must be whole numbers of frames")
        return self


class Input(_Given):
    """The video."""

    type: Literal["video_url", "video_base64"]
    url: Annotated[str, Field(min_length=1)] | None = None
    data: Annotated[str, Field(min_length=1)] | None = Field(None, repr=False)
    """Base64, for video_base64; a data: URL there or in `url` is good as well."""
    sampling: Sampling | None = None
    range: Range | None = None
    max_frames: Annotated[int, Field(ge=1, le=1_000_000_000)] = MAX_FRAMES

    @model_validator(mode="after")
    def _has_its_video(self) -> Self:
        if self.type == "video_url":
            if self.url is None:
                raise ValueError("video_url needs a url")
            if len(self.url) > 2 * MAX_URL:
                raise ValueError(f"the url is longer than {2 * MAX_URL} characters")
        elif (self.data or self.url) is None:
            raise ValueError("video_base64 needs data: the video in base64")
        return self


class When(_Given):
    """Which objects a step looks at; both hold where both are given."""

    class_is: Annotated[list[Name], Field(min_length=1, max_length=128)] | None = None
    min_confidence: Annotated[Number, Field(ge=0, le=1)] | None = None


class Step(_Given):
    """One step."""

    model: Name
    parameters: dict[str, object] | None = None
    when: When | None = None


class ProcessRequest(_Given):
    """The whole request."""

    input: Annotated[list[Input], Field(min_length=1, max_length=1)]
    steps: Annotated[list[Step], Field(min_length=1, max_length=8)]
    model: Annotated[str, Field(min_length=1, max_length=128)] | None = None

    @property
    def video(self) -> Input:
        """The one input."""
        return self.input[0]


def read(body: dict[str, object]) -> ProcessRequest:
    """The request of a body. Raises GatewayError that names the field."""
    try:
        return ProcessRequest.model_validate(body)
    except ValidationError as error:
        raise problem(error) from None


def problem(error: ValidationError) -> GatewayError:
    """The first of the fields that are wrong; what stands there is not repeated, it may be a credential."""
    return first_problem([dict(each) for each in error.errors(include_input=False, include_url=False)])
