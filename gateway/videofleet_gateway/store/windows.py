"""How often somebody asked lately, counted over all replicas: a sliding window."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import delete, func, insert, select

from videofleet_gateway.errors import Failure, GatewayError
from videofleet_gateway.store.database import Database, one_at_a_time
from videofleet_gateway.store.tables import RequestRow

WINDOW: Final = 60.0
"""Seconds."""


class Windows:
    """`clock` gives Unix seconds."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def check(self, subject: str, limit: int) -> None:
        """Count one more request of the subject. Raises GatewayError, RATE_LIMITED."""
        wait = await self.admit(subject, limit)
        if wait is not None:
            raise GatewayError(Failure.RATE_LIMITED, f"more than {limit} requests in a minute", retry_after=wait)

    async def admit(self, subject: str, limit: int) -> float | None:
        """Count one more request of the subject within the last minute; None: it is within the limit.

        Otherwise it is not counted, and the answer is after how many seconds there is room again.
        """
        now = self._clock()
        mine = RequestRow.subject == subject
        async with self._database.begin() as connection:
            # Two replicas that count at once would both find room for the last one.
            await one_at_a_time(connection, subject)
            await connection.execute(delete(RequestRow).where(mine, RequestRow.at <= now - WINDOW))
            counted = select(func.count(), func.min(RequestRow.at)).select_from(RequestRow).where(mine)
            row = (await connection.execute(counted)).one()
            if row[0] >= limit:
                return max(0.0, float(row[1]) + WINDOW - now)
            # Nothing is given back: a running replica's statement stays good when a newer one widens the number.
            await connection.execute(insert(RequestRow).inline().values(subject=subject, at=now))
        return None
