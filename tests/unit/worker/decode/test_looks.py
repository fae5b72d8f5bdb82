"""What is frozen, and what is only quiet, as real encoders leave it; what is black."""

from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from videofleet_worker.decode.looks import Looks

WIDTH, HEIGHT, FPS, GOP = 192, 108, 10, 10
Plane = npt.NDArray[np.float64]
Luma = Callable[[int], Plane]


def scene(noise: float, *, speed: float = 0.0) -> Luma:
    """A structured picture with a sensor's noise, over which a person of 4 % of its width walks."""
    rng = np.random.default_rng(7)
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    ground = 110 + 60 * np.sin(across / 9) * np.cos(down / 7)

    def at(index: int) -> Plane:
        luma: Plane = ground + (rng.normal(0, noise, ground.shape) if noise else 0)
        left = int(speed * index / FPS * WIDTH) % WIDTH
        if speed:
            luma[40:70, left : left + 8] = 230
        return luma

    return at


def frame(luma: Plane, form: str = "yuv420p") -> VideoFrame:
    planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    planes[:HEIGHT] = np.clip(luma, 0, 255).astype(np.uint8)
    return VideoFrame.from_ndarray(planes, format="yuv420p").reformat(format=form)


def still_after(encoder: str, luma: Luma, seconds: int, every: int = 1, **options: str) -> float:
    """For how long a watcher takes the pictures for still at the end who sees every n-th, and keyframes."""
    form = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
    encoding = av.CodecContext.create(encoder, "w")
    decoding = av.CodecContext.create("mjpeg" if encoder == "mjpeg" else "h264", "r")
    assert isinstance(encoding, VideoCodecContext)
    assert isinstance(decoding, VideoCodecContext)
    encoding.width, encoding.height, encoding.pix_fmt = WIDTH, HEIGHT, form
    encoding.framerate, encoding.time_base, encoding.gop_size = Fraction(FPS), Fraction(1, FPS), GOP
    encoding.options = options
    looks, seen, after = Looks(), 0, False
    for index in range(seconds * FPS):
        picture = frame(luma(index), form)
        picture.pts = index
        for packet in encoding.encode(picture):
            for decoded in decoding.decode(packet):
                key = bool(decoded.key_frame)
                if seen % every == 0 or (key and encoder != "mjpeg"):
                    looks.see(decoded, seen / FPS, keyframe=key, after_keyframe=after)
                seen, after = seen + 1, key
    return looks.still_for


X264 = {"preset": "veryfast", "tune": "zerolatency"}
ENCODERS = pytest.mark.parametrize(
    ("encoder", "options"),
    [("libx264", {**X264, "crf": "26"}), ("libx264", {**X264, "b": "200000"}), ("mjpeg", {})],
    ids=["constant quality", "constant rate", "MJPEG"],
)


SEEN = pytest.mark.parametrize("every", [1, 10, 25])


@SEEN
@ENCODERS
def test_a_picture_that_stays_the_same_is_still(encoder: str, options: dict[str, str], every: int) -> None:
    assert still_after(encoder, scene(0), 20, every, **options) > 10


@SEEN
@ENCODERS
@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_a_quiet_scene_is_not(encoder: str, options: dict[str, str], noise: float, every: int) -> None:
    assert still_after(encoder, scene(noise), 12, every, **options) < 4


@ENCODERS
def test_something_small_that_moves_is_seen_without_noise_too(encoder: str, options: dict[str, str]) -> None:
    assert still_after(encoder, scene(0, speed=0.05), 12, **options) < 4


def test_one_keyframe_proves_nothing() -> None:
    looks, picture = Looks(), frame(scene(0)(0))
    for index in range(100):
        looks.see(picture, index / 10, keyframe=index % 50 == 0, after_keyframe=index % 50 == 1)
    assert looks.still_for == 0, "between keyframes a quiet scene looks the same to the bit"
    looks.see(picture, 10.0, keyframe=True, after_keyframe=False)
    assert looks.still_for == 10.0


@pytest.mark.parametrize(("after_keyframe", "still"), [(False, 6.0), (True, 0.0)], ids=["some", "nothing else"])
def test_where_there_are_keyframes_only_the_least_difference_counts(after_keyframe: bool, still: float) -> None:
    looks = Looks()
    for now in (0.0, 2.0, 4.0, 6.0):
        luma = scene(0)(0)
        luma[int(now) :: 9] += 1
        looks.see(frame(luma), now, keyframe=True, after_keyframe=after_keyframe)
    assert looks.still_for == still


@pytest.mark.parametrize("form", ["yuv420p", "yuvj420p", "nv12", "yuv420p10le", "rgb24", "gray"])
@pytest.mark.parametrize(("level", "black"), [(16, True), (30, True), (56, False), (120, False)])
def test_black_in_every_format(form: str, level: int, black: bool) -> None:
    looks = Looks()
    luma = np.full((HEIGHT, WIDTH), float(level))
    for now in (1.0, 6.0):
        looks.see(frame(luma, form), now, keyframe=True, after_keyframe=False)
    assert looks.black_for == (5.0 if black else 0.0)


def test_a_lamp_in_the_dark_is_not_black() -> None:
    looks, luma = Looks(), np.full((HEIGHT, WIDTH), 16.0)
    for now in (0.0, 3.0):
        looks.see(frame(luma), now, keyframe=True, after_keyframe=False)
    assert looks.black_for == 3.0
    luma[10:40, 20:60] = 200
    looks.see(frame(luma), 4.0, keyframe=False, after_keyframe=True)
    assert looks.black_for == 0.0


def test_one_picture_says_nothing_of_the_time_after_it() -> None:
    looks, luma = Looks(), np.full((HEIGHT, WIDTH), 16.0)
    looks.see(frame(luma), 100.0, keyframe=True, after_keyframe=False)
    assert looks.black_for == 0.0, "the next one may be wanted a minute later only"


def test_another_size_begins_anew() -> None:
    looks, picture = Looks(), frame(scene(0)(0))
    for index in range(5):
        looks.see(picture, float(index), keyframe=True, after_keyframe=False)
    assert looks.still_for == 4.0
    for now in (5.0, 9.0):
        looks.see(picture.reformat(WIDTH * 3, HEIGHT * 3), now, keyframe=True, after_keyframe=False)
    assert looks.still_for == 0
