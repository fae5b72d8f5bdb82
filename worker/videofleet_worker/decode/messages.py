"""What a decoding child and its parent say to each other: one JSON document a packet.

The parent parses what the child sends with these models and nothing else; a document outside them ends the child.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from videofleet_api.codes import DropCause, ErrorCode
from videofleet_worker.colours import Matrix
from videofleet_worker.decode.capture import CaptureClock
from videofleet_worker.decode.kinds import ALL_KINDS, LARGEST_BYTES, PictureKind
from videofleet_worker.decode.masks import MAX_MASKS, Mask
from videofleet_worker.decode.ring import MAX_SIDE, MAX_SLOTS, RingLayout
from videofleet_worker.decode.sampling import DecodeWish, SamplingMode
from videofleet_worker.sources.errors import Lost

Strategy = Literal["all", "needed", "keyframes"]
"""What is decoded: everything, what the wanted frames need, or keyframes only."""

MAX_PACKET = 65_536
MAX_PIECE = 16 * 2**20
"""Bytes of the direct view that are handed over at a time."""

_Count = Annotated[int, Field(ge=0, le=2**53)]
_Piece = Annotated[int, Field(ge=0, le=MAX_PIECE)]
_Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
_Stamp = Annotated[int, Field(ge=-(2**62), le=2**62)]
_Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


class Message(BaseModel):
    """Base of all messages: nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class UseMasks(Message):
    """Parent to child: burn these masks into every picture from now on. Frames tell by `number` which they have."""

    type: Literal["masks"] = "masks"
    number: _Count
    masks: Annotated[list[Mask], Field(max_length=MAX_MASKS)]


Codec = Annotated[str, Field(max_length=64)]


class OpenRequest(Message):
    """Parent to child, first: what to open. The only message with credentials."""

    type: Literal["open"] = "open"
    url: str = Field(repr=False)
    images: list[str] = Field(default_factory=list, repr=False)
    """Pictures instead of a video."""
    picture_kinds: list[PictureKind] = list(ALL_KINDS)
    picture_bytes: Annotated[int, Field(ge=1)] = LARGEST_BYTES
    asked_as: Literal["s3"] | None = None
    """The scheme that the job names, where `url` was made from it."""
    username: str | None = Field(None, repr=False)
    password: str | None = Field(None, repr=False)
    transport: Literal["auto", "tcp", "udp"]
    kind: Literal["auto", "live", "recorded"]
    rotation: Literal[0, 90, 180, 270] | None = None
    part_start: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    part_end: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    part_unit: Literal["seconds", "frames"] | None = None
    sampling_mode: SamplingMode
    sampling_value: float | None
    sampling_decode: DecodeWish = "auto"
    model_width: _Side
    model_height: _Side
    slots: Annotated[int, Field(ge=1, le=MAX_SLOTS)]
    max_frames: int | None
    resume_after_frame: int | None
    memory: Annotated[int, Field(ge=1)]
    """Bytes of its own that the child may take."""
    frame_memory: Annotated[int, Field(ge=1)]
    """Bytes of the memory that comes with this message, for frames or for packets."""
    io_timeout: float
    verify_tls: bool
    ca_file: str | None
    masks: UseMasks = UseMasks(number=0, masks=[])
    packets: list[Codec] = Field(default_factory=list)
    """Codecs of which the parent wants packets instead of frames: it decodes them on its GPU."""

    def layout(self, width: int, height: int) -> RingLayout:
        """Of the memory for frames, for pictures of this size. Raises ValueError where it holds none."""
        return RingLayout.within(self.frame_memory, width, height, self.model_width, self.model_height, self.slots)


class SlotsFree(Message):
    """Parent to child: these slots may be written again."""

    type: Literal["free"] = "free"
    ring: int
    slots: list[int]


class WatchDirect(Message):
    """Parent to child: somebody watches the source as it is, from the next keyframe on; 0: nobody any more."""

    type: Literal["watch"] = "watch"
    number: _Count


class PacketsTaken(Message):
    """Parent to child: so many more packets, the oldest, have been used."""

    type: Literal["taken"] = "taken"
    count: int


ParentMessage = Annotated[SlotsFree | UseMasks | WatchDirect | PacketsTaken, Field(discriminator="type")]
_PARENT_MESSAGES: TypeAdapter[ParentMessage] = TypeAdapter(ParentMessage)


def parse_parent_message(packet: bytes) -> ParentMessage:
    """The message in a packet from the parent, any but the first. Raises ValueError for anything else."""
    return _PARENT_MESSAGES.validate_json(packet)


class Opened(Message):
    """Child to parent: the source is open. fps, width and height are 0 as long as they are not known."""

    type: Literal["opened"] = "opened"
    live: bool
    fps: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
    width: Annotated[int, Field(ge=0, le=MAX_SIDE)]
    height: Annotated[int, Field(ge=0, le=MAX_SIDE)]
    codec: Annotated[str, Field(max_length=64)]
    total_frames: _Count | None
    duration: _Seconds | None = None
    audio: Annotated[str, Field(max_length=64)] | None = None
    """Codec of what is to be heard with it."""


class RingReady(Message):
    """Child to parent: the frames that follow are of this size, and lie in a ring that is laid out for it.

    Sent only while the parent holds no frame of the ring before.
    """

    type: Literal["ring"] = "ring"
    number: _Count
    width: _Side
    height: _Side


class FrameReady(Message):
    """Child to parent: a slot holds a frame. `taken` is monotonic time, `arrival` the same as Unix time, from which
    `capture_time` differs where the camera tells it; `masks` is the number of those that are burnt in."""

    type: Literal["frame"] = "frame"
    ring: _Count
    slot: Annotated[int, Field(ge=0, lt=MAX_SLOTS)]
    index: _Count
    pts: _Seconds
    capture_time: _Seconds
    arrival: _Seconds
    taken: _Seconds
    keyframe: bool
    full_range: bool
    matrix: Matrix
    masks: _Count


class DirectBegins(Message):
    """Child to parent: the media type, and `size` bytes behind this message that precede the pieces that follow."""

    type: Literal["direct_begins"] = "direct_begins"
    watch: _Count
    size: _Piece
    mime: Annotated[str, Field(pattern=r'^(image/jpeg|video/mp4; codecs="avc1\.[0-9A-F]{6}")$')]


class DirectPiece(Message):
    """Child to parent: a picture as the source has it, in `size` bytes behind this message; `keyframe`: it can be begun
    with."""

    type: Literal["direct"] = "direct"
    watch: _Count
    size: _Piece
    keyframe: bool


class HandOver(Message):
    """Child to parent: packets follow instead of frames, in the memory for those. `extradata` is in hex, `time_base` a
    fraction of a second."""

    type: Literal["handover"] = "handover"
    codec: Codec
    extradata: Annotated[str, Field(max_length=32_768, pattern=r"^([0-9a-f]{2})*$")]
    width: _Side
    height: _Side
    time_base: tuple[Annotated[int, Field(ge=1, le=2**31)], Annotated[int, Field(ge=1, le=2**31)]]


class PacketReady(Message):
    """Child to parent: a packet lies in the memory. Stamps count by the time base, `arrival` is monotonic
    time, that of a live source cleaned of what it waited, `captured` Unix time by the clock of its camera; so many
    packets before it were thrown away."""

    type: Literal["packet"] = "packet"
    start: _Count
    size: Annotated[int, Field(ge=1, le=2**31)]
    pts: _Stamp | None
    dts: _Stamp | None
    keyframe: bool
    arrival: _Seconds
    captured: _Seconds | None = None
    skipped: _Count


class Progress(Message):
    """Child to parent: what happened since the last one of these, packets that came and frames, and what is decoded at
    the moment.

    `passed`: frames that were not decoded because nothing needs them. `seeks`: how often reading went on elsewhere.
    `still`, `black`: for how many seconds the picture of a live source has not changed, has been black. `clock`,
    `delay`: see Dating.
    """

    type: Literal["progress"] = "progress"
    received: _Count
    bytes: _Count = 0
    """Of the video, as it is coded."""
    decoded: _Count
    passed: _Count
    seeks: _Count
    strategy: Strategy
    dropped: dict[DropCause, _Count]
    still: _Seconds = 0.0
    black: _Seconds = 0.0
    clock: CaptureClock = "arrival"
    delay: Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)] = 0.0


class Alive(Message):
    """Child to parent: nothing came, and it waits for more. Who says nothing at all is taken for hung."""

    type: Literal["alive"] = "alive"


class Ended(Message):
    """Child to parent, last: the source came to its regular end."""

    type: Literal["ended"] = "ended"


class Failed(Message):
    """Child to parent, last: the source failed, or (`lost`) the child itself."""

    type: Literal["failed"] = "failed"
    code: ErrorCode
    lost: Lost | None = None
    message: Annotated[str, Field(max_length=1000)]


ChildMessage = Annotated[
    Opened
    | RingReady
    | FrameReady
    | HandOver
    | PacketReady
    | DirectBegins
    | DirectPiece
    | Progress
    | Alive
    | Ended
    | Failed,
    Field(discriminator="type"),
]

_CHILD_MESSAGES: TypeAdapter[ChildMessage] = TypeAdapter(ChildMessage)


def parse_child_message(packet: bytes) -> ChildMessage:
    """The message in a packet from a child. Raises ValueError for anything else."""
    return _CHILD_MESSAGES.validate_json(packet)
