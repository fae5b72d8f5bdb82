"""What can go wrong with an archive."""


class ArchiveError(Exception):
    """The store refused or could not be reached; the same call may succeed later."""


class UnsuitableArchiveError(ArchiveError):
    """The store lacks what an archive needs; no call will succeed later."""


class ArchiveCorruptError(Exception):
    """What lies in the archive contradicts itself; trying again will not help."""


class FencedError(Exception):
    """Another writer owns the end of the log: this one must stop, silently."""


class BelowHorizonError(Exception):
    """The bytes asked for were dropped. `oldest` is the first offset that can still be read."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the results before offset {oldest} were dropped; read from {oldest} on")
        self.oldest = oldest


class BeyondEndError(Exception):
    """The offset asked for is behind the end of a finished log."""

    def __init__(self, offset: int, end: int) -> None:
        super().__init__(f"offset {offset} is behind the end of the results at {end}")
        self.end = end
