"""Credentials never survive redaction."""

import pytest

from videofleet_api.redaction import redact_text, redact_url, secret_words


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


def test_the_longest_secret_is_hidden_first() -> None:
    assert redact_text("it is abcdef", "abc", "abcdef") == "it is ***"


@pytest.mark.parametrize("secret", ["http", "t", "http://x"])
def test_an_address_is_known_as_one_whatever_it_begins_with(secret: str) -> None:
    assert "leak" not in redact_text("no answer from http://x:leak@h/a", secret)


@pytest.mark.parametrize(
    ("url", "text", "clean"),
    [
        (
            "rtsp://cam/live/t0ken",
            "DESCRIBE rtsp://cam/live/t0ken of cam: 404 /live/t0ken",
            "DESCRIBE *** of cam: 404 ***",
        ),
        ("https://user:p%20ss@h/a", "user and p ss at https://h/a", "*** and *** at ***"),
        ("https://h/a?x=berl1n-7&key=k1", "GET /a?x=berl1n-7&key=k1 of h", "GET *** of h"),
        ("https://h/a?key=k1-of-berl1n", "k1-of-berl1n is no key of h", "*** is no key of h"),
        ("https://a:1@h/a?X-Amz-SignedHeaders=host&auth=1", "host cam: 10 at 1280x720", "host cam: 10 at 1280x720"),
        ("https://h/a%20long/p", "not at /a long/p", "not at ***"),
        ("https://h/1", "frame 1/1 of h", "frame 1/1 of h"),
        ("file:///media/clip.mp4", "there is no file /media/clip.mp4", "there is no file /media/clip.mp4"),
    ],
)
def test_nothing_of_a_secret_address_is_shown_but_its_host(url: str, text: str, clean: str) -> None:
    assert redact_text(text, *secret_words(url)) == clean
