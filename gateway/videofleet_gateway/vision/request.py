"""What POST /v1/vision/{describe,ocr,detect} takes."""

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from videofleet_api.vision import LARGEST_PICTURE
from videofleet_gateway.errors import Failure, GatewayError, invalid
from videofleet_gateway.tasks.request import Step, problem

_KINDS: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_RIFF, _WEBP = b"RIFF", b"WEBP"


class PictureRequest(BaseModel):
    """One picture. What is unknown is ignored: clients may be newer."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    image: Annotated[str, Field(min_length=1, description="Its http or https address: JPEG, PNG, WebP.")] | None = None
    image_base64: Annotated[str, Field(min_length=1, description="A data: URI, JPEG, PNG or WebP.")] | None = Field(
        None, repr=False
    )
    parameters: Annotated[dict[str, object], Field(description="As those of a step.")] | None = None
    model: Annotated[str, Field(min_length=1, max_length=128, description="A hint, told again.")] | None = None

    @model_validator(mode="after")
    def _has_one_picture(self) -> Self:
        if (self.image is None) == (self.image_base64 is None):
            raise ValueError("give exactly one of image and image_base64")
        return self

    def step(self, model: str) -> Step:
        """The one step that it asks for."""
        return Step(model=model, parameters=self.parameters)


def read(body: dict[str, object]) -> PictureRequest:
    """The request of a body. Raises GatewayError that names the field."""
    try:
        return PictureRequest.model_validate(body)
    except ValidationError as error:
        raise problem(error) from None


class Picture:
    """One that comes in a request."""

    def __init__(self) -> None:
        self._data = bytearray()

    async def take(self, data: bytes) -> None:
        """A further piece. Raises GatewayError."""
        if len(self._data) + len(data) > LARGEST_PICTURE:
            raise GatewayError(
                Failure.TOO_LARGE, f"the picture is larger than {LARGEST_PICTURE} bytes", param="image_base64"
            )
        self._data += data

    def whole(self) -> bytes:
        """All of it. Raises GatewayError where it is none of those that are taken."""
        data = bytes(self._data)
        if not (data.startswith(_KINDS) or (data[:4], data[8:12]) == (_RIFF, _WEBP)):
            raise invalid("image_base64", "image_base64 is no picture: JPEG, PNG and WebP are taken")
        return data
