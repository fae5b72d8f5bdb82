"""What is posted: events as JSON, best shots as forms. Pure."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from videofleet_worker.outputs.sender import Payload
from videofleet_worker.outputs.shots import Moment, Shot
from videofleet_worker.outputs.tracks import OpenTrack

Document = dict[str, object]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something comes from: the job, its run and epoch, and the analytics."""

    uid: str
    namespace: str
    name: str
    run: int
    epoch: int
    analytics: str

    def key(self, *parts: object) -> str:
        """What names something of this analytics, the same in each attempt and in no other run."""
        return "/".join(str(part) for part in (self.uid, self.run, self.analytics, *parts))

    def names(self) -> dict[str, str]:
        """What may stand in the name of the place that something is sent to."""
        return {"namespace": self.namespace, "name": self.name, "uid": self.uid, "analytics": self.analytics}

    def document(self, labels: Mapping[str, str]) -> Document:
        """As receivers get it."""
        job = {"uid": self.uid, "namespace": self.namespace, "name": self.name, "labels": dict(labels)}
        return {"job": job | {"run": self.run, "epoch": self.epoch}, "analytics": self.analytics}


def moment_document(moment: Moment) -> Document:
    """When something was."""
    return {"frame_index": moment.frame_index, "pts": moment.pts, "capture_time": moment.capture_time}


def track_document(track: OpenTrack) -> Document:
    """A track, as receivers get it."""
    return {
        "track_id": track.track_id,
        "class": track.label,
        "best_confidence": round(track.confidence, 4),
        "first": moment_document(track.first),
        "last": moment_document(track.last),
    }


def shot_document(shot: Shot) -> Document:
    """What a best shot shows: the object's box in the frame, and which part of the frame is in the picture."""
    left, top, right, bottom = shot.area
    return {
        "track_id": shot.track_id,
        "class": shot.label,
        "confidence": round(shot.confidence, 4),
        "quality": round(shot.quality, 2),
        "box": [round(side, 1) for side in shot.box],
        "area": {"left": left, "top": top, "width": right - left, "height": bottom - top},
        "frame": {"width": shot.size[0], "height": shot.size[1]},
        **moment_document(shot.moment),
    }


def json_payload(document: Document, jpeg: bytes | None = None) -> Payload:
    """A document, with a picture as base64 where there is one."""
    if jpeg is not None:
        document = document | {"best_shot": base64.b64encode(jpeg).decode()}
    return Payload(orjson.dumps(document), {"Content-Type": "application/json"})


def form_payload(meta: Document, jpeg: bytes, fields: Mapping[str, str], frame: bytes | None = None) -> Payload:
    """A picture with its description, and the frame that it comes from, as multipart/form-data (RFC 7578)."""
    boundary = secrets.token_hex(16)
    parts = [
        _part(boundary, 'name="photo"; filename="photo.jpg"', "image/jpeg", jpeg),
        *([_part(boundary, 'name="frame"; filename="frame.jpg"', "image/jpeg", frame)] if frame is not None else ()),
        _part(boundary, 'name="meta"', "application/json", orjson.dumps(meta)),
        *(_part(boundary, f'name="{_quoted(name)}"', "text/plain", text.encode()) for name, text in fields.items()),
    ]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return Payload(body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})


def _part(boundary: str, disposition: str, content_type: str, data: bytes) -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: {content_type}\r\n\r\n"
    return head.encode() + data + b"\r\n"


def _quoted(name: str) -> str:
    """As browsers write a field's name."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
