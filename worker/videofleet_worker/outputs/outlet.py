"""Delivery to one receiver: a message at a time, tried again, and what is given up is counted."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from videofleet_api.codes import OutputHealth
from videofleet_worker.outputs.sender import LostError, Message, Sender

_LOGGER: Final = logging.getLogger(__name__)
RETRY_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Pauses between the attempts at one message; the last one again and again."""
MOST_ANSWERS: Final = 10
"""A message that a receiver answers so often with an error of its own holds up the others: it is given up."""


class Outlet:
    """Delivers to one receiver. Nothing waits for it but those who have something for the same receiver."""

    def __init__(self, name: str, sender: Sender, retry_seconds: tuple[float, ...] | None = None) -> None:
        self.name = name
        self.posted = 0
        self.lost: Counter[str] = Counter()
        """Messages by cause: too_old, too_many, archive_away, forbidden, redirect, refused, failed, no_picture."""
        self.without_frame = 0
        """Best shots that went without the frame that they come from, because that is not there."""
        self.trouble: tuple[str, str] | None = None
        """Cause and message of the last attempt, while it did not succeed."""
        self.health = OutputHealth.DELIVERED
        self._sender = sender
        self._retry_seconds = RETRY_SECONDS if retry_seconds is None else retry_seconds
        self._turn = asyncio.Lock()
        self._told: set[str] = set()

    def use(self, sender: Sender) -> None:
        """Send another way from now on."""
        former, self._sender = self._sender, sender
        former.close()

    async def deliver(self, message: Message, given_up: Callable[[], str | None]) -> None:
        """Returns when it is delivered, or lost: for good, or because `given_up` names a cause before an attempt."""
        attempt = answers = 0
        while True:
            if cause := given_up():
                self.lose(cause, "it was not delivered in time")
                return
            try:
                async with self._turn:
                    await self._sender.send(message)
            except LostError as error:
                answers += error.cause == "failed"
                if error.final or answers >= MOST_ANSWERS:
                    self.lose(error.cause, str(error))
                    return
                self._say(error.cause, str(error))
                self.trouble, self.health = (error.cause, str(error)), OutputHealth.WAITING
            else:
                self.posted += 1
                self.trouble, self.health = None, OutputHealth.DELIVERED
                return
            await asyncio.sleep(self._retry_seconds[min(attempt, len(self._retry_seconds) - 1)])
            attempt += 1

    def lose(self, cause: str, message: str) -> None:
        """A message is given up."""
        self.lost[cause] += 1
        self.trouble, self.health = (cause, message), OutputHealth.GIVEN_UP
        self._say(cause, message)

    def close(self) -> None:
        """Leave the receiver."""
        self._sender.close()

    def _say(self, cause: str, message: str) -> None:
        # Once for each cause: of a receiver that is away nothing new can be said.
        if cause not in self._told:
            self._told.add(cause)
            fields = {"output": self.name, "host": self._sender.host, "cause": cause}
            _LOGGER.warning("a message is not delivered: %s", message, extra=fields)
