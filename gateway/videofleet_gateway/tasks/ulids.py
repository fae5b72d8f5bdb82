"""Ids of tasks: vt_ and a ULID. Pure."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from videofleet_gateway.jobs.naming import foreign_ulid, ulid, ulid_milliseconds

_PREFIX: Final = "vt_"
TASK_ID: Final = re.compile(r"vt_[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_task_id(now: float, randomness: Callable[[int], bytes]) -> str:
    """The id of a task made at this Unix time."""
    return _PREFIX + ulid(int(now * 1000), randomness(10))


def task_id_of_foreign(created: datetime, uid: str) -> str:
    """The id of a job that was not made through V."""
    return _PREFIX + foreign_ulid(int(created.timestamp() * 1000), uid)


def time_of(task_id: str) -> datetime:
    """When it was made, to the millisecond."""
    return datetime.fromtimestamp(ulid_milliseconds(task_id.removeprefix(_PREFIX)) / 1000, UTC)
