"""Where an archive is: a folder, or a bucket."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from videofleet_archive.bucket import BucketArchive, Learnt
from videofleet_archive.errors import ArchiveError
from videofleet_archive.store import Archive, FolderArchive

_BUCKET: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")
USUAL_REGION: Final = "us-east-1"


@dataclass(frozen=True, slots=True)
class Location:
    """`address` is a folder or s3://BUCKET/PREFIX; the rest is for a bucket.

    `credentials` is a folder with the files of a mounted Secret (bucket.py has their names); `endpoint` the address of
    a store that is not Amazon's; `learnt` is told of the credentials whenever they are read.
    """

    address: str
    endpoint: str | None = None
    region: str = USUAL_REGION
    credentials: Path = Path("/archive-credentials")
    learnt: Learnt | None = None

    def open(self) -> Archive:
        """The archive. Raises ArchiveError where it cannot be used as it is written; reaches no network."""
        if "://" not in self.address:
            return FolderArchive(Path(self.address))
        found = _BUCKET.fullmatch(self.address)
        if found is None:
            raise ArchiveError(f"the archive {self.address} is neither a folder nor s3://BUCKET/PREFIX")
        bucket, prefix = found.groups()
        return BucketArchive(
            bucket,
            (prefix or "").strip("/"),
            endpoint=self.endpoint,
            region=self.region,
            credentials=self.credentials,
            learnt=self.learnt,
        )
