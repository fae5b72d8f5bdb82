"""No password survives redaction, whatever it is made of."""

import string

from hypothesis import given
from hypothesis import strategies as st

from videofleet_api.redaction import redact_text, redact_url

PASSWORDS = st.text(string.ascii_letters + string.digits + "/@:!$&'()*+,;=%-._~", min_size=1).map(
    lambda tail: f"S3CRET{tail}"
)


@given(password=PASSWORDS, path=st.text(string.ascii_letters + "/", max_size=20))
def test_no_password_in_a_url(password: str, path: str) -> None:
    assert "S3CRET" not in redact_url(f"rtsp://user:{password}@camera:554/{path}")


@given(password=PASSWORDS)
def test_no_named_password_in_a_text(password: str) -> None:
    assert password not in redact_text(f"the camera refused {password} today", password)
