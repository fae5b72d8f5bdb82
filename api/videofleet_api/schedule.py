"""Hours in which a job runs."""

from enum import StrEnum

from pydantic import Field

from videofleet_api.model import Document
from videofleet_api.rules import rules


class Day(StrEnum):
    """A day of the week, in the order in which Python counts them."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class ScheduleWindow(Document):
    """Hours in which a job runs, by the clock of a time zone."""

    model_config = rules(
        (
            "self.from != self.to",
            "from and to must differ: the whole day is from 00:00 to 24:00",
        ),
    )

    days: list[Day] = Field(
        default_factory=list,
        max_length=7,
        description="Days on which the window begins: mon, tue, wed, thu, fri, sat, sun; none: every day.",
    )
    from_: str = Field(
        alias="from", max_length=5, pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", description="Begin, HH:MM."
    )
    to: str = Field(
        max_length=5,
        pattern="^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
        description="End, HH:MM up to 24:00; earlier than from: on the day after.",
    )
    time_zone: str = Field(
        "UTC", min_length=1, max_length=64, description="Time zone by its IANA name, such as Europe/Berlin."
    )
