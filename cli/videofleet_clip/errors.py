"""What ends the command, with which exit code, and what to do about it."""

from typing import Final

from videofleet_api.codes import ErrorCode

FAILED: Final = 1
WRONG_USE: Final = 2
INTERRUPTED: Final = 130
"""128 and the number of SIGINT, as shells have it."""

ADVICE: Final[dict[ErrorCode, str]] = {
    ErrorCode.AUTH: "give --user NAME, and the password in the variable VIDEOFLEET_PASSWORD",
    ErrorCode.NOT_FOUND: "check the path or the address",
    ErrorCode.TIMEOUT: "is the host up, and reachable from this machine?",
    ErrorCode.NETWORK: "is the host up, and reachable from this machine?",
    ErrorCode.CODEC: "encode it anew, for example: ffmpeg -i VIDEO -c:v libx264 NEW.mp4",
    ErrorCode.FORBIDDEN: "of this machine, only the file or address that is named is read",
    ErrorCode.EMPTY: "is there video in it, and does --range lie within it?",
    ErrorCode.UNKNOWN_MODEL: "models of your own come with --models FOLDER",
}


class ClipError(Exception):
    """Told in one line: it names what is wrong and what would be right."""

    def __init__(self, message: str, code: int = WRONG_USE) -> None:
        super().__init__(message)
        self.code = code


def explained(code: ErrorCode, message: str) -> str:
    """An error of the worker with what to do about it, where something can be done."""
    advice = ADVICE.get(code)
    return f"{code.value}: {message}" + (f" ({advice})" if advice else "")
