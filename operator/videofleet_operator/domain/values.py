"""Values that a plan makes by the ten thousand."""

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:

    def value(*, frozen: bool, slots: bool):
        """A dataclass that the type checker keeps anyone from changing, and nobody while the program runs.

        What `frozen` adds then costs a call for each field of each object: eight times what making a record costs.
        """
        return dataclasses.dataclass(slots=slots, unsafe_hash=frozen)


__all__ = ["value"]
