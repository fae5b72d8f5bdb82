"""Take credentials out of text that people or logs may see."""

import re
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

_MARK: Final = "***"
_URL_IN_TEXT: Final = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>]+")
SECRET_KEYS: Final = re.compile(
    r"(pass|pwd|passwd|password|secret|token|key|sig|signature|credential|auth|user|username|login)", re.IGNORECASE
)
"""Of a query. The chart's warnings have the same."""


def redact_url(url: str) -> str:
    """The URL without its user part and without the values of query keys that look like credentials."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority, slash, path = _split_authority(rest)
    host = authority.rpartition("@")[2]
    clean = f"{scheme}://{host}{slash}{path}"
    return _redact_query(clean)


def holds_secret_values(url: str) -> bool:
    """Whether its query has keys that look like credentials: passwords, tokens, signatures."""
    query = url.partition("?")[2].partition("#")[0]
    return any(value and SECRET_KEYS.search(key) for key, value in parse_qsl(query, keep_blank_values=True))


def redact_text(text: str, *secrets: str | None) -> str:
    """The text with every URL in it redacted and every given secret (raw or percent-encoded) replaced."""
    clean = _URL_IN_TEXT.sub(lambda match: redact_url(match.group()), text)
    for secret in secrets:
        if secret:
            clean = clean.replace(secret, _MARK).replace(quote(secret, safe=""), _MARK)
    return clean


def _split_authority(rest: str) -> tuple[str, str, str]:
    """Split after the host. A password may hold an unencoded `/`: the last `@` before `?` or `#` counts."""
    before_query = re.split(r"[?#]", rest, maxsplit=1)[0]
    at = before_query.rfind("@")
    slash = rest.find("/", at + 1)
    return (rest, "", "") if slash < 0 else (rest[:slash], "/", rest[slash + 1 :])


def _redact_query(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition("?")[0]
    if not parts.query:
        return url
    pairs = [
        (key, _MARK if SECRET_KEYS.search(key) else value)
        for key, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    return urlunsplit(parts._replace(query=urlencode(pairs, safe="*/:,")))
