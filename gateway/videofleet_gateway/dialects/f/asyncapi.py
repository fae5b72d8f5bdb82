"""What F's views send, as AsyncAPI. Pure."""

from typing import Any, Final

from videofleet_gateway.serving.asyncapi import Channel, Message, document

Json = dict[str, Any]
PATH: Final = "/asyncapi.json"
_OPENING: Final[Json] = {
    "method": "GET",
    "query": {
        "type": "object",
        "required": ["token"],
        "properties": {"token": {"type": "string", "description": "As the job object's address has it."}},
    },
}
_UID: Final = {"uid": "As restream_url and restream_direct_url of a job object have it."}
_RESTREAM: Final = Channel(
    "restream",
    "/streams/{uid}/restream",
    "ws",
    "The stream as it is analysed, with what was found drawn in.",
    _UID,
    [Message("picture", "image/jpeg", "A binary message a picture.")],
    _OPENING,
)
_DIRECT: Final = Channel(
    "direct",
    "/streams/{uid}/direct",
    "ws",
    "The stream as its camera sends it, H.264 as fragmented MP4 or MJPEG; all of it anew where the source begins anew.",
    _UID,
    [
        Message(
            "head",
            "application/json",
            "A text message before the pictures.",
            {
                "type": "object",
                "required": ["mime_type"],
                "properties": {"mime_type": {"type": "string", "examples": ['video/mp4; codecs="avc1.64001e"']}},
            },
        ),
        Message("media", "application/octet-stream", "A binary message: of MP4 its head or a fragment; a JPEG."),
    ],
    _OPENING,
)
DOCUMENT: Final = document("Video object detection API", "1", "Views of streams.", [_RESTREAM, _DIRECT], {})
