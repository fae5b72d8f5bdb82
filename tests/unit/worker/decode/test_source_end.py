"""What is said of a source whose reading failed."""

from pathlib import Path

import av
import av.error
import pytest

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.ending import SourceEnd
from videofleet_worker.decode.messages import Opened
from videofleet_worker.decode.opening import OpenSource
from videofleet_worker.decode.webinput import WebInput

LIVE = Opened(live=True, fps=10.0, width=64, height=48, codec="mjpeg", total_frames=None, duration=None, audio=None)


class _Ended(WebInput):
    """Of a camera that has closed its connection."""

    def __init__(self) -> None:
        self.first = self.last = None

    @property
    def ended(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(av.error.MemoryError(12, "Cannot allocate memory"), "memory", id="too little memory"),
        pytest.param(av.error.InvalidDataError(1, "Invalid data"), "the camera ended the stream", id="cut off"),
    ],
)
def test_that_a_camera_has_ended_does_not_hide_that_memory_was_too_little(
    clip: Path, error: av.error.FFmpegError, said: str
) -> None:
    with av.open(str(clip)) as container:
        end = SourceEnd(OpenSource(container, container.streams.video[0], LIVE, pulled=False, reader=_Ended()))

        failure = end.failure(error, 7)

    assert said in failure.message
    assert (failure.code is ErrorCode.NETWORK) is (said != "memory")
