"""Files as sources: only below the folders that the pool has mounted for them."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from videofleet_api.codes import ErrorCode
from videofleet_worker.sources.errors import SourceError


def open_file(url: str, roots: Sequence[Path]) -> int:
    """A descriptor of the file. What counts is where it really is: links are followed first, then looked at.

    Raises SourceError with FORBIDDEN, NOT_FOUND or EMPTY.
    """
    # A file may have a name that is no UTF-8.
    path = os.fsdecode(unquote_to_bytes(urlsplit(url).path))
    if not any(Path(os.path.normpath(path)).is_relative_to(root) for root in roots):
        # Before it is touched: whether something else exists is nobody's business.
        raise _outside(path)
    try:
        # A pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(ErrorCode.NOT_FOUND, f"there is no file {_shown(path)}") from None
    except OSError as error:
        raise SourceError(ErrorCode.FORBIDDEN, f"the file cannot be read: {(error.strerror or '').lower()}") from None
    try:
        _check(descriptor, path, roots)
    except SourceError:
        os.close(descriptor)
        raise
    return descriptor


def _check(descriptor: int, path: str, roots: Sequence[Path]) -> None:
    real = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    if not any(real.is_relative_to(root.resolve()) for root in roots):
        raise _outside(path)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(ErrorCode.FORBIDDEN, f"{_shown(path)} is not a file")
    if status.st_size == 0:
        raise SourceError(ErrorCode.EMPTY, "the file is empty")


def _outside(path: str) -> SourceError:
    return SourceError(ErrorCode.FORBIDDEN, f"the file {_shown(path)} is not below a folder of the pool's mediaMounts")


def _shown(path: str) -> str:
    """As documents and terminals can have it."""
    return os.fsencode(path).decode(errors="replace")
