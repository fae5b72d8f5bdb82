"""Files that are read whole, and files that are never overwritten by accident."""

import os
from pathlib import Path

from videofleet_license.errors import LicenceError


def read(path: Path) -> bytes:
    """What is in a file. Raises LicenceError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise LicenceError(f"{path} cannot be read: {error.strerror}") from error


def write(path: Path, content: bytes, *, mode: int, force: bool) -> None:
    """Write a file with these permissions from its first byte on. Raises LicenceError.

    `force`: an existing file is replaced, and so is what its permissions were.
    """
    try:
        if force:
            path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
    except FileExistsError:
        raise LicenceError(f"{path} is there already: name another file, or give --force to replace it") from None
    except OSError as error:
        raise LicenceError(f"{path} cannot be written: {error.strerror}") from error
