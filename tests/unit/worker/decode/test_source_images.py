"""Single pictures as a source: a frame each, of any size."""

import io
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import Outcome, read
from tests.unit.worker.decode.webserver import Page, WebServer
from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.frame import Frame


def encoded(kind: str, size: tuple[int, int], grey: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (grey, grey, grey)).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def album(web: WebServer) -> list[str]:
    """Addresses of four pictures, three of another kind or size than the one before."""
    pages = {
        "/1.jpg": encoded("JPEG", (64, 48), 50),
        "/2.jpg": encoded("JPEG", (64, 48), 100),
        "/3.png": encoded("PNG", (33, 47), 150),
        "/4.webp": encoded("WEBP", (128, 96), 200),
    }
    web.pages |= {path: Page(content) for path, content in pages.items()}
    return [web.url(path) for path in pages]


async def read_all(make_source: MakeSource, addresses: list[str], **options: object) -> Outcome:
    return await read(make_source(addresses[0], images=tuple(addresses), **options))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
@pytest.mark.parametrize("scheme", ["file", "http"])
async def test_a_picture_where_a_video_should_be(
    make_source: MakeSource, web: WebServer, tmp_path: Path, kind: str, scheme: str
) -> None:
    picture = encoded(kind, (64, 48), 50)
    (tmp_path / "cam.mp4").write_bytes(picture)
    web.pages["/cam.mp4"] = Page(picture)

    outcome = await read(make_source(tmp_path / "cam.mp4" if scheme == "file" else web.url("/cam.mp4")))

    assert outcome.failure.code is ErrorCode.UNSUPPORTED
    assert f"a {kind} picture and not a video".lower() in outcome.failure.message.lower()
    assert "source.images" in outcome.failure.message


async def test_a_frame_each(make_source: MakeSource, album: list[str]) -> None:
    outcome = await read_all(make_source, album)

    assert (outcome.error, outcome.indexes, outcome.times) == (None, [0, 1, 2, 3], [0, 1, 2, 3])
    assert outcome.sizes == [(64, 48), (64, 48), (33, 47), (128, 96)]
    assert outcome.means == sorted(outcome.means)


@pytest.mark.parametrize(
    ("orientation", "rotation", "size", "dark"),
    [
        (1, None, (64, 48), (True, False)),
        (3, None, (64, 48), (False, True)),
        (6, None, (48, 64), (True, False)),
        (8, None, (48, 64), (False, True)),
        (6, 0, (64, 48), (True, False)),
        (1, 90, (48, 64), (True, False)),
    ],
)
async def test_pictures_of_telephones_are_turned_upright(
    make_source: MakeSource,
    web: WebServer,
    orientation: int,
    rotation: int | None,
    size: tuple[int, int],
    dark: tuple[bool, bool],
) -> None:
    """By what EXIF says, unless the job says something else; `dark`: the first corner, the last one."""
    picture, said, buffer = Image.new("L", (64, 48), 230), Image.Exif(), io.BytesIO()
    picture.paste(20, (0, 0, 32, 48))
    said[ExifTags.Base.Orientation] = orientation
    picture.save(buffer, "JPEG", exif=said)
    web.pages["/telephone.jpg"] = Page(buffer.getvalue())
    corners: list[tuple[bool, bool]] = []

    def look(frame: Frame) -> None:
        luma = frame.planes[0]
        corners.append((bool(luma[2, 2] < 128), bool(luma[-3, -3] < 128)))

    address = web.url("/telephone.jpg")
    outcome = await read(make_source(address, images=(address,), rotation=rotation), look)

    assert (outcome.error, outcome.sizes, corners) == (None, [size], [dark])


async def test_it_goes_on_where_it_stopped(make_source: MakeSource, album: list[str]) -> None:
    assert (await read_all(make_source, album, resume_after_frame=1)).indexes == [2, 3]


@pytest.mark.parametrize(
    ("page", "code", "said"),
    [
        (None, ErrorCode.NOT_FOUND, "image 2 of 2: the server has nothing"),
        (Page(status=401), ErrorCode.AUTH, "image 2 of 2: the server refuses"),
        (Page(b"no picture" * 100), ErrorCode.UNSUPPORTED, "image 2 of 2: it is no picture"),
        (Page(b"RIFF\x10\0\0\0AVI LIST" * 100), ErrorCode.UNSUPPORTED, "image 2 of 2: it is no picture"),
        (Page(b""), ErrorCode.EMPTY, "image 2 of 2: it is empty"),
    ],
    ids=["missing", "locked", "text", "video", "empty"],
)
async def test_one_that_cannot_be_read(
    make_source: MakeSource, album: list[str], web: WebServer, page: Page | None, code: ErrorCode, said: str
) -> None:
    web.pages.pop("/bad", None)
    if page is not None:
        web.pages["/bad"] = page

    outcome = await read_all(make_source, [album[0], web.url("/bad")])

    assert (outcome.failure.code, outcome.indexes) == (code, [0])
    assert said in outcome.failure.message


async def test_one_at_a_forbidden_address(make_source: MakeSource, album: list[str]) -> None:
    outcome = await read_all(make_source, [album[0], "http://169.254.169.254/latest/meta-data"])

    assert (outcome.failure.code, outcome.indexes) == (ErrorCode.FORBIDDEN, [0])
