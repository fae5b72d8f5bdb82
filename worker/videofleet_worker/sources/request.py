"""What to decode, and how."""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from videofleet_worker.decode.kinds import ALL_KINDS, LARGEST_BYTES, PictureKind
from videofleet_worker.decode.masks import Mask
from videofleet_worker.decode.part import Part
from videofleet_worker.decode.sampling import Sampling

Transport = Literal["auto", "tcp", "udp"]
Rotation = Literal[0, 90, 180, 270]
Kind = Literal["auto", "live", "recorded"]


@dataclass(frozen=True)
class SourceRequest:
    """One source, as the worker is asked to decode it.

    url: without credentials, which go into username and password.
    session_token: for s3, where the credentials are borrowed ones.
    images: addresses of pictures that are analysed instead, a frame each; `url` is then the first one.
    picture_kinds: formats that these may have. picture_bytes: most that one may have.
    transport: for RTSP; auto tries TCP, then UDP.
    kind: auto takes RTSP, RTMP, UDP and HLS without an end for live, all else for recorded.
    rotation: degrees by which pictures are turned clockwise; None: as the container says.
    part: of a recorded source.
    model_size: width and height of the tensor; the whole picture is stretched to it.
    max_frames: end a recorded source after so many frames that sampling has let through.
    resume_after_frame: recorded sources decode but do not deliver the frames up to this index.
    connect_timeout: seconds until the source must be open. stall_timeout: seconds without data until it has failed.
    masks: privacy masks that are burnt into every picture from the first one on.
    verify_tls: whether the certificates of https and rtsps servers are checked; ca_file: against these (PEM).
    """

    url: str
    images: tuple[str, ...] = ()
    picture_kinds: tuple[PictureKind, ...] = ALL_KINDS
    picture_bytes: int = LARGEST_BYTES
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    transport: Transport = "auto"
    kind: Kind = "auto"
    rotation: Rotation | None = None
    part: Part | None = None
    sampling: Sampling = field(default_factory=Sampling)
    model_size: tuple[int, int] = (416, 416)
    max_frames: int | None = None
    resume_after_frame: int | None = None
    connect_timeout: float = 10.0
    stall_timeout: float = 10.0
    verify_tls: bool = True
    ca_file: str | None = None
    masks: tuple[Mask, ...] = ()

    @property
    def io_timeout(self) -> float:
        """Seconds within which whatever the decoder reads from or writes to has to answer."""
        return max(self.connect_timeout, self.stall_timeout)

    def __post_init__(self) -> None:
        if "@" in urlsplit(self.url).netloc:
            raise ValueError(
                "url must not hold credentials: put them into a Secret and name it in credentialsSecretRef"
            )
        if self.max_frames is not None and self.max_frames < 1:
            raise ValueError(f"max_frames must be at least 1, got {self.max_frames}")
        for name in ("connect_timeout", "stall_timeout"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0 seconds, got {getattr(self, name)}")
