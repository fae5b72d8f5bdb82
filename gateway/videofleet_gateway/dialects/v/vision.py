"""Single pictures: /v1/vision, answered while the client waits."""

from typing import Any, Final

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from videofleet_api.vision import SeenObject, VisionReport
from videofleet_gateway.context import Context
from videofleet_gateway.dialects.v import openapi
from videofleet_gateway.dialects.v.admission import Admission
from videofleet_gateway.errors import Failure, GatewayError
from videofleet_gateway.serving.bodies import check_json_type
from videofleet_gateway.serving.uploads import Upload
from videofleet_gateway.store.keys import Project
from videofleet_gateway.tasks.translation import class_names
from videofleet_gateway.vision.looking import Looking
from videofleet_gateway.vision.request import Picture, PictureRequest, read

BELOW: Final = "/v1/vision/"
_LIMIT: Final = "vision"


class VisionRoutes:
    """One method a route."""

    def __init__(self, context: Context, admission: Admission) -> None:
        self._admission = admission
        self._looking = Looking(context)
        self._most = context.config.max_body_bytes

    def add(self, app: FastAPI) -> None:
        """To the application."""
        app.post(f"{BELOW}describe", openapi_extra=openapi.DESCRIBE)(self.describe)
        app.post(f"{BELOW}ocr", openapi_extra=openapi.OCR)(self.ocr)
        app.post(f"{BELOW}detect", openapi_extra=openapi.DETECT)(self.detect)

    async def describe(self, request: Request) -> Response:
        """A picture in words: no worker has a model for that."""
        await self._admission.writer(request, _LIMIT)
        check_json_type(request)
        with self._looking.seat():
            await self._read(request)
        raise GatewayError(Failure.NOT_IMPLEMENTED, "nothing here describes pictures; there are ocr and detect")

    async def ocr(self, request: Request) -> Response:
        """What is written in a picture."""
        asked, report = await self._looked(request, "ocr")
        lines = [line for line in report.objects if line.text is not None]
        blocks = [{"text": line.text, "bbox": line.box, "confidence": line.confidence} for line in lines]
        text = "\n".join(line.text or "" for line in lines)
        return JSONResponse({"text": text, "blocks": blocks, **_about(asked, report)})

    async def detect(self, request: Request) -> Response:
        """The objects in a picture."""
        asked, report = await self._looked(request, "detect")
        names = class_names([asked.step("detect")])
        return JSONResponse({"objects": [_object(one, names) for one in report.objects], **_about(asked, report)})

    async def _looked(self, request: Request, model: str) -> tuple[PictureRequest, VisionReport]:
        project: Project = await self._admission.writer(request, _LIMIT)
        check_json_type(request)
        with self._looking.seat():
            asked, picture = await self._read(request)
            return asked, await self._looking.look(project.namespace, model, asked, picture)

    async def _read(self, request: Request) -> tuple[PictureRequest, bytes | None]:
        """What is asked, and the picture that comes along. Raises GatewayError."""
        picture = Picture()
        upload = Upload(picture.take, "image_base64")
        asked = read(await upload.object_from(request.stream(), self._most))
        if asked.image_base64 is None:
            return asked, None
        await upload.given(asked.image_base64)
        return asked, picture.whole()


def _object(one: SeenObject, names: dict[str, str]) -> dict[str, Any]:
    return {"class": names.get(one.label, one.label), "confidence": one.confidence, "bbox": one.box}


def _about(asked: PictureRequest, report: VisionReport) -> dict[str, Any]:
    usage = {"processed_frames": 1, "processing_time_ms": report.milliseconds}
    return {"model": asked.model or report.model, "usage": usage}
