"""`videofleet-archive check`: whether an archive keeps its laws."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from videofleet_archive.check import check_log, logs_below
from videofleet_archive.errors import ArchiveError
from videofleet_archive.location import USUAL_REGION, Location


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 where all is well, 1 where something is wrong, 2 where the archive cannot be read."""
    given = _parser().parse_args(arguments)
    where = Location(given.archive, given.endpoint, given.region, given.credentials)
    try:
        return _check(where, given.prefix.strip("/"))
    except ArchiveError as error:
        print(error, file=sys.stderr)
        return 2


def _check(where: Location, prefix: str) -> int:
    store = where.open()
    logs = logs_below(store, prefix)
    if not logs:
        print(f"there is no log below {prefix or where.address}", file=sys.stderr)
        return 2
    wrong = 0
    for log in logs:
        for finding in check_log(store, log):
            wrong += 1
            print(finding)
    print(f"{len(logs)} logs, {wrong} wrong")
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="videofleet-archive", description="Looks after an archive of results.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="say what is wrong with the logs, and where")
    check.add_argument("prefix", nargs="?", default="", help="NAMESPACE/UID/RUN/ANALYTICS or a part; all without it")
    check.add_argument("--archive", default="/archive", help="a folder, or s3://BUCKET/PREFIX (%(default)s)")
    check.add_argument("--endpoint", help="address of the store that has the bucket; without it Amazon's")
    check.add_argument("--region", default=USUAL_REGION, help="region of the bucket (%(default)s)")
    check.add_argument(
        "--credentials", type=Path, default=Path("/archive-credentials"), help="folder with a file for each credential"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
