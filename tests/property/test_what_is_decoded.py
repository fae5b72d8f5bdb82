"""What is decoded makes no difference to what comes out: sampling takes the frames that it would take of all."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.coded import CODINGS, make
from tests.support.openrequests import open_request
from videofleet_worker.decode import fileindex
from videofleet_worker.decode.footage import ContainerFootage
from videofleet_worker.decode.messages import Opened, OpenRequest
from videofleet_worker.decode.opening import OpenSource
from videofleet_worker.decode.threads import SpareThreads

Taken = list[tuple[int, float, int]]


@pytest.fixture(scope="session")
def coded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A clip of each coding."""
    folder = tmp_path_factory.mktemp("coded")
    return {name: make(folder / str(number), coding) for number, (name, coding) in enumerate(CODINGS.items())}


@pytest.fixture(autouse=True)
def _short_ways_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fileindex, "_WORTH", 1)


@contextlib.contextmanager
def opened(path: Path, wanted: OpenRequest) -> Iterator[ContainerFootage]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        info = Opened(live=False, fps=25.0, width=64, height=48, codec="any", total_frames=None)
        yield ContainerFootage(OpenSource(container, stream, info, pulled=False), SpareThreads(0), wanted)


def taken(footage: ContainerFootage) -> Taken:
    """Number, time and content of each frame."""
    found = []
    for decoded in footage.frames(lambda packet: None):
        if decoded is not None:
            content = hash(decoded.frame.to_ndarray(format="gray").tobytes())
            found.append((decoded.index, round(decoded.judged.pts, 6), content))
    return found


samplings = st.one_of(
    st.builds(
        lambda rate: {"sampling_mode": "fps", "sampling_value": rate},
        st.sampled_from([0.1, 0.3, 0.5, 1.0, 2.0, 7.0, 30]),
    ),
    st.builds(
        lambda n: {"sampling_mode": "interval", "sampling_value": float(n)}, st.sampled_from([1, 3, 25, 60, 201])
    ),
    st.just({"sampling_mode": "all"}),
    st.just({"sampling_mode": "keyframe"}),
)
parts = st.one_of(
    st.just({}),
    st.builds(
        lambda start, length: {"part_start": start, "part_end": start + length, "part_unit": "seconds"},
        st.floats(0, 12).map(lambda value: round(value, 2)),
        st.sampled_from([0.5, 2.0, 100.0]),
    ),
    st.builds(
        lambda start, length: {"part_start": float(start), "part_end": float(start + length), "part_unit": "frames"},
        st.integers(0, 300),
        st.sampled_from([1, 30, 1000]),
    ),
)
resumes = st.one_of(st.just({}), st.builds(lambda frame: {"resume_after_frame": frame}, st.integers(0, 300)))


def test_keyframes_are_those_that_they_are_of_all(coded: dict[str, Path]) -> None:
    """Of each coding, among them those whose timestamps begin anew between two keyframes."""
    for path in coded.values():
        with opened(path, open_request(sampling_mode="keyframe", sampling_decode="all")) as everything:
            expected = taken(everything)
        with opened(path, open_request(sampling_mode="keyframe")) as sparse:
            assert taken(sparse) == expected, path


@settings(max_examples=100, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.sampled_from(sorted(CODINGS)), samplings, parts, resumes)
def test_the_frames_are_those_that_would_be_taken_of_all(
    coded: dict[str, Path], coding: str, sampling: dict[str, Any], part: dict[str, Any], resume: dict[str, Any]
) -> None:
    wanted = {**sampling, **part, **resume}
    with opened(coded[coding], open_request(**wanted, sampling_decode="all")) as everything:
        expected = taken(everything)
    with opened(coded[coding], open_request(**wanted)) as sparse:
        assert taken(sparse) == expected


@pytest.mark.parametrize("coding", sorted(name for name, coding in CODINGS.items() if coding.times > 1))
def test_each_frame_of_a_recording_of_several_parts_has_its_number(coded: dict[str, Path], coding: str) -> None:
    parts, frames = CODINGS[coding].times, CODINGS[coding].frames
    with opened(coded[coding], open_request(sampling_decode="all")) as everything:
        found = taken(everything)
    assert [index for index, _, _ in found] == list(range(parts * frames))
    assert [content for *_, content in found] == parts * [content for *_, content in found[:frames]]
