"""The edges of the lifecycle, against the table that users read."""

import pytest

from videofleet_api.phases import EDGES, Phase, allowed

TABLE = """
AWAITING NOT_STARTED MISCONFIGURED DISCONNECTED TOO_MANY_CAMERAS -> STARTING
AWAITING NOT_STARTED MISCONFIGURED DISCONNECTED -> TOO_MANY_CAMERAS
STARTING INPROGRESS -> TOO_MANY_CAMERAS
TOO_MANY_CAMERAS -> AWAITING
STARTING -> INPROGRESS
STARTING INPROGRESS DISCONNECTED -> COMPLETED
STARTING DISCONNECTED -> NOT_STARTED
STARTING DISCONNECTED -> MISCONFIGURED
INPROGRESS DISCONNECTED -> INTERRUPTED
STARTING INPROGRESS -> DISCONNECTED
DISCONNECTED -> STARTING INPROGRESS
DISCONNECTED -> AWAITING
STARTING INPROGRESS -> AWAITING
COMPLETED INTERRUPTED NOT_STARTED -> AWAITING
MISCONFIGURED -> AWAITING
DISABLED -> AWAITING
"""


def documented() -> set[tuple[Phase, Phase]]:
    """Every edge of the table, and from each phase to DISABLED."""
    edges = {(phase, Phase.DISABLED) for phase in Phase if phase is not Phase.DISABLED}
    for line in TABLE.strip().splitlines():
        sources, _, targets = line.partition("->")
        edges |= {(Phase(source), Phase(target)) for source in sources.split() for target in targets.split()}
    return edges


@pytest.mark.acceptance("F65", "F66", "F67")
@pytest.mark.parametrize("old", Phase)
@pytest.mark.parametrize("new", Phase)
def test_every_pair(old: Phase, new: Phase) -> None:
    assert allowed(old, new) == (old is new or (old, new) in documented())


@pytest.mark.acceptance("A5")
def test_every_phase_can_be_left() -> None:
    assert all(EDGES[phase] for phase in Phase)
