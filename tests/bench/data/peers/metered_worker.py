"""A worker whose sessions and whose archive's calls are counted: `python metered_worker.py METER STORE`, into these."""

import sys
from pathlib import Path

import counted_store
import metering


def main() -> int:
    """As `python -m videofleet_worker`."""
    metering.install(Path(sys.argv[1]))
    counted_store.install(Path(sys.argv[2]))
    from videofleet_worker.__main__ import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
