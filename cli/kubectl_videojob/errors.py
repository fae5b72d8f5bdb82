"""What ends a command, and with which exit code."""

from typing import Final

DONE: Final = 0
ERROR: Final = 1
"""The command could not do its work; 2 is a wrong use of it."""
NOT_COMPLETED: Final = 3
"""The job that was waited for ended in another way than COMPLETED."""
TIMED_OUT: Final = 4


class UserError(Exception):
    """Told in one line: it names what is wrong and what would be right."""

    def __init__(self, message: str, code: int = ERROR) -> None:
        super().__init__(message)
        self.code = code


class ServerError(UserError):
    """The API server, or what answers behind it, refused; `status` is that of HTTP, 0 where nobody answered."""

    def __init__(self, message: str, status: int, body: bytes = b"") -> None:
        super().__init__(message)
        self.status = status
        self.body = body
