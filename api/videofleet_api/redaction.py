"""Take credentials out of text that people or logs may see."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

_MARK: Final = "***"
_URL_IN_TEXT: Final = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>]+")
_SHOWN_SCHEMES: Final = frozenset({"file", "test"})
_SHORTEST_TOKEN: Final = 8
SHORTEST_LOGIN: Final = 4
"""Shorter ones stand in too many words to be hidden wherever they are; in addresses they are hidden all the same."""
_IN_A_SCHEME: Final = r"[a-zA-Z0-9+.-]*://"
_IN_AN_ADDRESS: Final = r"[^\s'\"<>]"
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


def secret_words(url: str) -> frozenset[str]:
    """What must not be shown of an address that may be secret as a whole: itself, its user and password, its path and
    its query, raw and unquoted. Its host may be shown, and so may a file's address: who reads it needs the name.

    Short parts are left out: they stand in many texts, and no token is so short.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() in _SHOWN_SCHEMES:
        return frozenset()
    authority, _, place = _split_authority(rest)
    user, _, password = authority.rpartition("@")[0].partition(":")
    path, _, query = place.partition("#")[0].partition("?")
    values = [value for key, value in parse_qsl(query) if SECRET_KEYS.search(key)]
    tokens = [part for part in (f"/{path}", query, f"/{path}?{query}", *values) if len(part) >= _SHORTEST_TOKEN]
    login = [part for part in (user, password) if len(part) >= SHORTEST_LOGIN]
    return frozenset(word for each in (url, redact_url(url), *login, *tokens) for word in (each, unquote(each)))


def redact_text(text: str, *secrets: str | None) -> str:
    """The text with every URL in it redacted and every given secret (raw or percent-encoded) replaced."""
    return redact_words(text, forms_of(secrets))


def forms_of(secrets: Iterable[str | None]) -> tuple[str, ...]:
    """How these secrets may stand in a text, for `redact_words`.

    The longest first: of one that holds another the rest would be left.
    """
    forms = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""))}
    return tuple(sorted(forms, key=len, reverse=True))


def redact_words(text: str, forms: Iterable[str]) -> str:
    """The text with every URL in it redacted and every one of these forms replaced, in their order."""
    for form in forms:
        if form in text:
            # Without its scheme, or where it begins, an address would not be known as one.
            behind = _IN_AN_ADDRESS if "://" in form else _IN_A_SCHEME
            text = re.sub(f"{re.escape(form)}(?!{behind})", _MARK, text)
    return _URL_IN_TEXT.sub(lambda match: redact_url(match.group()), text)


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
