"""Credentials never survive redaction."""

import pytest

from videofleet_api.redaction import redact_text, redact_url


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("rtsp://camera/stream", "rtsp://camera/stream"),
        ("rtsp://user:secret@camera:554/stream", "rtsp://camera:554/stream"),
        ("rtsp://user:se/cr@et@camera/stream", "rtsp://camera/stream"),
        ("https://files/clip.mp4?token=abc&part=2", "https://files/clip.mp4?token=***&part=2"),
        ("https://bucket/clip?X-Amz-Signature=abc", "https://bucket/clip?X-Amz-Signature=***"),
        ("no url at all", "no url at all"),
        ("rtsp://[::1]:554/a", "rtsp://[::1]:554/a"),
    ],
)
def test_a_url_is_shown_without_its_credentials(url: str, clean: str) -> None:
    assert redact_url(url) == clean


def test_text_loses_urls_credentials_and_named_secrets() -> None:
    text = "cannot open 'rtsp://u:p4ss@cam/1': 401 for p4ss and p%2Fq"
    assert redact_text(text, "p4ss", "p/q", None) == "cannot open 'rtsp://cam/1': 401 for *** and ***"
