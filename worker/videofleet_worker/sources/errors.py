"""Why a source ended: the exception that carries one of the contract's codes."""

from videofleet_api.codes import ErrorCode


class SourceError(Exception):
    """A source failed for good in this epoch. `message` is for people and holds no credentials."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
