"""Why a source ended: a closed set of codes, and the exception that carries one."""

from enum import StrEnum


class ErrorCode(StrEnum):
    """Why a source failed. The values appear in status, events and metrics as they are."""

    AUTH = "AUTH"
    NOT_FOUND = "NOT_FOUND"
    TIMEOUT = "TIMEOUT"
    TLS = "TLS"
    CODEC = "CODEC"
    NETWORK = "NETWORK"
    STALLED = "STALLED"
    UNSUPPORTED = "UNSUPPORTED"
    FORBIDDEN = "FORBIDDEN"
    EMPTY = "EMPTY"
    INTERNAL = "INTERNAL"


# What may pass by itself. INTERNAL is in it because another worker, or the same one later, may do better.
RETRIABLE = frozenset(
    {
        ErrorCode.AUTH,
        ErrorCode.NOT_FOUND,
        ErrorCode.TIMEOUT,
        ErrorCode.TLS,
        ErrorCode.NETWORK,
        ErrorCode.STALLED,
        ErrorCode.EMPTY,
        ErrorCode.INTERNAL,
    }
)


class SourceError(Exception):
    """A source failed for good in this epoch. `message` is for people and holds no credentials."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @property
    def retriable(self) -> bool:
        """Whether the same source may work when it is tried again unchanged."""
        return self.code in RETRIABLE
