"""What is given on the command line, as a job."""

from pathlib import Path

import pytest

from tests.support.cli import REPOSITORY
from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import JobSource
from videofleet_api.source import Range
from videofleet_clip import manifest
from videofleet_clip.errors import ADVICE, ClipError, explained
from videofleet_clip.job import Wanted, address_in, classes_of, make_job, part_of, steps_of
from videofleet_clip.screen import clock
from videofleet_clip.video import Video, folder_name, video_of
from videofleet_operator.services.payload import build

EXAMPLES = sorted(
    path
    for path in (REPOSITORY / "examples").glob("*.yaml")
    # The API server refuses what is in bad.yaml.
    if path.stem != "bad" and "kind: VideoJob\n" in path.read_text(encoding="utf-8")
)
CAMERA = Video("rtsp://camera.example/stream", "stream")


@pytest.mark.parametrize(
    ("given", "url", "username", "password"),
    [
        ("rtsp://camera.example:8554/a?b=c", "rtsp://camera.example:8554/a?b=c", None, None),
        ("rtsp://viewer:s%40cret@camera.example/a", "rtsp://camera.example/a", "viewer", "s@cret"),
        ("https://[2001:db8::1]:8443/clip.mp4", "https://[2001:db8::1]:8443/clip.mp4", None, None),
    ],
)
def test_credentials_are_taken_out_of_an_address(
    given: str, url: str, username: str | None, password: str | None
) -> None:
    video = video_of(given)
    assert (video.url, video.username, video.password) == (url, username, password)
    assert "cret" not in repr(video)


def test_a_file_is_read_where_it_really_is(tmp_path: Path) -> None:
    real = tmp_path / "disk" / "a b#1.mp4"
    real.parent.mkdir()
    real.write_bytes(b"")
    link = tmp_path / "link.mp4"
    link.symlink_to(real)
    for given in (str(link), f"file://{link}"):
        video = video_of(given)
        assert video.url == real.as_uri()
        assert video.roots == (real.parent,)
        assert folder_name(video) == "link-results"


@pytest.mark.parametrize(
    ("given", "opened"),
    [
        ("http://127.0.0.1:8000/a.mp4", "127.0.0.1/32"),
        ("http://localhost:8000/a.mp4", "127.0.0.0/8"),
        ("rtsp://169.254.3.4/stream", "169.254.3.4/32"),
        ("rtsp://[fe80::1]/stream", "fe80::1/128"),
    ],
)
def test_what_the_address_names_is_open_and_so_is_all_else_that_a_worker_reaches(given: str, opened: str) -> None:
    policy = video_of(given).policy
    assert opened in policy.allowed_cidrs
    assert {"0.0.0.0/0", "::/0"} <= set(policy.allowed_cidrs)


def test_a_name_opens_nothing_that_is_closed() -> None:
    assert video_of("https://clips.example/a.mp4").policy.allowed_cidrs == []


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("10-20", Range(start=10, end=20)),
        ("1:00-1:30.5", Range(start=60, end=90.5)),
        ("1:00:00-", Range(start=3600)),
        ("-2.5", Range(end=2.5)),
    ],
)
def test_a_part_of_the_video(text: str, part: Range) -> None:
    assert part_of(text) == part


@pytest.mark.parametrize("text", ["20-10", "10", "-", "a-b", "10-10", "1-2-3"])
def test_a_part_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ClipError, match=f"--range {text}"):
        part_of(text)


def test_steps_need_names() -> None:
    assert steps_of("detect, track") == ("detect", "track")
    with pytest.raises(ClipError, match="commas"):
        steps_of("detect,,track")


def test_options_say_what_a_manifest_leaves_open_and_replace_what_it_says() -> None:
    spec = manifest.read(REPOSITORY / "examples" / "zones.yaml")
    wanted = Wanted(classes=("car",), confidence=0.6, fps=2.0, max_frames=9, part=Range(start=1))
    job = make_job(CAMERA, wanted, spec).spec
    first = job.analytics[0].steps[0]
    assert first.parameters is not None
    assert (first.parameters.classes, first.parameters.confidence) == (["car"], 0.6)
    assert (job.sampling.value, job.max_frames, job.range) == (2.0, 9, Range(start=1))
    assert (job.zones, job.lines, job.privacy_masks) == (spec.zones, spec.lines, spec.privacy_masks)
    assert job.source == JobSource(url=CAMERA.url)
    bare = make_job(CAMERA, Wanted(steps=("face",)), spec).spec.analytics
    assert [[step.model for step in each.steps] for each in bare] == [["face"]]


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_a_manifest_means_here_what_it_means_to_the_operator(path: Path) -> None:
    spec = manifest.read(path)
    plain = spec.model_copy(
        update={
            "outputs": type(spec.outputs)(),
            "source": spec.source.model_copy(update={"credentials_secret_ref": None}),
        }
    )
    theirs = build(plain, lambda name: None)
    ours = make_job(video_of(address_in(spec, "viewer") or ""), Wanted(), spec, as_written=True).spec
    kept = {"archive_max_bytes": ours.archive_max_bytes, "archive_detail": "frames"}
    assert ours == theirs.model_copy(update={"single_pass": True, **kept})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: WorkerPool\nspec: {}", "0 VideoJobs"),
        ("a: [", "no YAML"),
        ("kind: VideoJob\nspec: {source: {url: 'rtsp://a/b'}}", "spec.analytics: Field required"),
        (
            "kind: VideoJob\nspec: {source: {url: 'rtsp://a/b'}, analytics: [{steps: [{modle: x, model: detect}]}]}",
            "no such field: spec.analytics[0].steps[0].modle",
        ),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(ClipError) as raised:
        manifest.read(path)
    assert says in str(raised.value)


def test_a_manifest_whose_address_is_secret_needs_another(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    steps = "analytics: [{steps: [{model: detect}]}]"
    path.write_text(f"kind: VideoJob\nspec: {{source: {{urlSecretRef: {{name: a, key: b}}}}, {steps}}}")
    with pytest.raises(ClipError, match="give the address as VIDEO"):
        address_in(manifest.read(path), None)


def test_an_error_says_what_to_do() -> None:
    assert explained(ErrorCode.AUTH, "refused") == f"AUTH: refused ({ADVICE[ErrorCode.AUTH]})"
    assert explained(ErrorCode.STALLED, "silent") == "STALLED: silent"


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.0, "0:00.0"), (59.96, "1:00.0"), (79.4, "1:19.4"), (3605.0, "1:00:05.0")]
)
def test_times_are_told_as_players_tell_them(seconds: float, told: str) -> None:
    assert clock(seconds) == told


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "VIDEO is empty: give a file or an address"),
        ("http://[::1/a.mp4", "VIDEO is no address: .*IPv6.*: write it as SCHEME://HOST/PATH"),
        ("n" * 300, "nnn cannot be read: File name too long: give the path of a video"),
        ("loop.mp4", "loop.mp4 cannot be read: its links lead in a circle"),
    ],
    ids=["nothing", "an address that ends too early", "a name that is too long", "a circle"],
)
def test_what_is_no_video_says_what_would_be_one(
    given: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClipError, match=says):
        video_of(given)


def test_a_home_of_nobody_is_a_name() -> None:
    assert video_of("~nobody-here/a.mp4").url.endswith("/~nobody-here/a.mp4")


def test_lists_of_names_say_which_option_is_wrong() -> None:
    assert classes_of("person, car") == ("person", "car")
    with pytest.raises(ClipError, match="--classes person,: give names with commas between them, for example person,c"):
        classes_of("person,")
    with pytest.raises(ClipError, match=r"--steps detect,: .*detect,track"):
        steps_of("detect,")
