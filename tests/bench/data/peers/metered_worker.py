"""A worker whose sessions are counted: `python metered_worker.py METER`, into METER."""

import sys
from pathlib import Path

import metering


def main() -> int:
    """As `python -m videofleet_worker`."""
    metering.install(Path(sys.argv[1]))
    from videofleet_worker.__main__ import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
