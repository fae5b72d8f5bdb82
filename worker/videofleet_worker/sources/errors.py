"""Why a source ended: the exception that carries one of the contract's codes."""

from enum import StrEnum

from videofleet_api.codes import ErrorCode


class SourceError(Exception):
    """A source failed for good in this epoch. `message` is for people and holds no credentials."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Lost(StrEnum):
    """How a decoder was lost."""

    CRASH = "crash"
    HANG = "hang"
    MEMORY = "memory"


class DecoderLostError(SourceError):
    """The process that decoded is gone or useless, not the source: another one can go on where it was."""

    def __init__(self, how: Lost, message: str, code: ErrorCode = ErrorCode.INTERNAL) -> None:
        super().__init__(code, message)
        self.how = how


def out_of_memory() -> DecoderLostError:
    """A decoder was refused the memory that it asked for."""
    return DecoderLostError(Lost.MEMORY, "the decoder ran out of memory")
