"""What one worker should run, as small as can be: there is one for each stream of the fleet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from videofleet_api.protocol import Entry, JobSpec

Identity = tuple[int, str, str, bool]
"""Epoch, digest of the spec, digest of the settings, whether the job leaves."""


class Given(Protocol):
    """What a worker runs a job with."""

    def payload(self) -> JobSpec | None:
        """Built from the Secrets as they are; None where they are not what they were when it was gathered."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One job that the worker should run; see protocol.Entry."""

    namespace: str
    name: str
    run: int
    epoch: int
    digest: str
    settings: str
    given: Given | None
    """None while what was given out cannot be built again (a Secret is away): the worker keeps what it has."""
    instance: str
    """The process that the job was given to. Another one in the same pod gets it with its next epoch only."""
    takes_over: bool = False
    leaves: bool = False

    @property
    def identity(self) -> Identity:
        """What a worker that has acknowledged it need not be told again."""
        return self.epoch, self.digest, self.settings, self.leaves

    def entry(self, uid: str, with_spec: bool) -> Entry:
        """As it is sent."""
        return Entry(
            uid=uid,
            namespace=self.namespace,
            name=self.name,
            run=self.run,
            epoch=self.epoch,
            digest=self.digest,
            settings=self.settings,
            takes_over=self.takes_over,
            leaves=self.leaves,
            spec=self.given.payload() if with_spec and self.given is not None else None,
        )

    @property
    def outdated(self) -> bool:
        """Whether something that it is built from has changed since it was gathered."""
        return self.given is not None and self.given.payload() is None


def same(before: Mapping[str, Wanted], after: Mapping[str, Wanted]) -> bool:
    """Whether a worker would be told the same."""
    return before.keys() == after.keys() and all(
        before[uid].identity == item.identity and (before[uid].given is None) == (item.given is None)
        for uid, item in after.items()
    )
