"""The form that makes a task."""

from html import escape
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from videofleet_gateway.errors import GatewayError, invalid
from videofleet_gateway.serving.uploads import UPLOADED, Take
from videofleet_gateway.tasks.request import DEFAULT_FPS, MAX_FRAMES
from videofleet_gateway.web.documents import document, problem
from videofleet_gateway.web.guard import PATH

FORM: Final = f"{PATH}/submit"
_PIECE: Final = 1024 * 1024
_STEPS: Final = (
    ("detect", "detect: objects"),
    ("face", "face: faces"),
    ("ocr", "ocr: what is written"),
    ("feature", "feature: what an object looks like, to find it again"),
)
_USUAL: Final = FormData([("fps", f"{DEFAULT_FPS:g}"), ("max_frames", str(MAX_FRAMES)), ("steps", "detect")])
_FIELDS: Final = (
    ("input.0.sampling", "fps"),
    ("input.0.max_frames", "max_frames"),
    ("input", "url"),
    ("steps.0.parameters", "classes"),
    ("steps", "steps"),
)
"""Which field of the form is at fault, by how the field of the request begins."""


def form(takes_files: bool, given: FormData = _USUAL, error: GatewayError | None = None) -> Response:
    """The form with what was given, and what is wrong with that."""
    wrong = "" if error is None else _field(error.param or "")
    file = '<label for="file">Or a file from here</label><input id="file" name="file" type="file" accept="video/*">'
    body = (
        f'{problem(_message(error) if error else None)}<form method="post" action="{FORM}" class="fields"'
        ' enctype="multipart/form-data">'
        + _text("url", "Address of the video", given, wrong, "https://, rtsp:// and so on", 'inputmode="url"')
        + (file if takes_files else "")
        + _steps(given, wrong)
        + _text("classes", "Only these classes of objects", given, wrong, "separated by commas; empty: all", "")
        + _text("fps", "Frames a second that are analysed", given, wrong, "", 'required inputmode="decimal"')
        + _text("max_frames", "Frames that are analysed at most", given, wrong, "", 'required inputmode="numeric"')
        + "<button>Submit</button></form>"
    )
    return document("Submit a clip", body, here=FORM, status=200 if error is None else error.status)


async def wanted(given: FormData, take: Take) -> dict[str, object]:
    """The request that a form means; what is no number stays what it is, and is refused with the rest.

    `take` is given the file, where there is one.
    """
    video = await _video(given, take) | {
        "sampling": {"mode": "fps", "value": _number(given, "fps", float)},
        "max_frames": _number(given, "max_frames", int),
    }
    return {"input": [video], "steps": [_step(str(name), given) for name in given.getlist("steps")]}


async def _video(given: FormData, take: Take) -> dict[str, object]:
    """A file goes the way of a video in a request. Raises GatewayError unless there is one of the two."""
    url, file = str(given.get("url", "")).strip(), given.get("file")
    is_file = isinstance(file, UploadFile) and bool(file.filename)
    if bool(url) == is_file:
        raise invalid("input.0.url", "give the address of a video or a file from here, one of the two")
    if isinstance(file, UploadFile) and is_file:
        while piece := await file.read(_PIECE):
            await take(piece)
        return {"type": "video_base64", "data": UPLOADED}
    return {"type": "video_url", "url": url}


def _message(error: GatewayError) -> str:
    """What is wrong; the form itself shows where."""
    return error.message.removeprefix(f"{error.param}: ")


def _field(param: str) -> str:
    return next((name for start, name in _FIELDS if param.startswith(start)), "")


def _step(name: str, given: FormData) -> dict[str, object]:
    classes = [each.strip() for each in str(given.get("classes", "")).split(",") if each.strip()]
    return {"model": name} | ({"parameters": {"classes": classes}} if name == "detect" and classes else {})


def _number(given: FormData, name: str, read: type[int] | type[float]) -> object:
    text = str(given.get(name, ""))
    try:
        return read(text)
    except ValueError:
        return text


def _text(name: str, label: str, given: FormData, wrong: str, hint: str, more: str) -> str:
    described = " ".join(part for part, is_there in ((f"{name}-hint", hint), ("problem", name == wrong)) if is_there)
    return (
        f'<label for="{name}">{escape(label)}</label>'
        + (f'<p id="{name}-hint" class="hint">{escape(hint)}</p>' if hint else "")
        + f'<input id="{name}" name="{name}" value="{escape(str(given.get(name, "")))}" {more}'
        + (f' aria-describedby="{described}"' if described else "")
        + (' aria-invalid="true" autofocus' if name == wrong else "")
        + ">"
    )


def _steps(given: FormData, wrong: str) -> str:
    chosen = given.getlist("steps")
    boxes = "".join(
        f'<label><input type="checkbox" name="steps" value="{name}"{" checked" if name in chosen else ""}> '
        f"{escape(label)}</label>"
        for name, label in _STEPS
    )
    described = ' aria-describedby="problem"' if wrong == "steps" else ""
    return f"<fieldset{described}><legend>Steps, in this order</legend>{boxes}</fieldset>"
