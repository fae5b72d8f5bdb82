"""Where sources may be: what the pool's sourcePolicy allows. Pure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from videofleet_api.codes import ErrorCode
from videofleet_api.source import SCHEMES, SourcePolicy
from videofleet_worker.decode.options import scheme_of
from videofleet_worker.sources.errors import SourceError

EVERYTHING: Final = SourcePolicy()
"""What a pool without a policy allows."""


def check_allowed(url: str, policy: SourcePolicy, file_roots: Sequence[Path]) -> None:
    """Whether the address may be opened at all. Raises SourceError."""
    scheme = scheme_of(url)
    if scheme not in (*SCHEMES, "file"):
        raise SourceError(
            ErrorCode.UNSUPPORTED, f"the scheme {scheme!r} is not supported; use one of {', '.join(SCHEMES)}"
        )
    if policy.schemes and scheme not in policy.schemes:
        allowed = ", ".join(policy.schemes)
        raise SourceError(ErrorCode.FORBIDDEN, f"the pool's sourcePolicy allows {allowed}, but not {scheme}")
    if scheme == "file":
        _check_file(Path(unquote(urlsplit(url).path)), file_roots)
    elif not urlsplit(url).hostname:
        raise SourceError(ErrorCode.UNSUPPORTED, "the address has no host")


def _check_file(path: Path, file_roots: Sequence[Path]) -> None:
    real = path.resolve()
    if not any(real.is_relative_to(root.resolve()) for root in file_roots):
        raise SourceError(ErrorCode.FORBIDDEN, f"the file {path} is not below a folder that file sources may use")
