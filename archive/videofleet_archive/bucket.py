"""An archive in a bucket of S3 or of a store that speaks its protocol."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from obstore.exceptions import BaseError
from obstore.store import S3Store

from videofleet_archive.errors import ArchiveError
from videofleet_archive.store import ObjectArchive, SealTimes, probe

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Credential

ACCESS_KEY: Final = "accessKeyId"
SECRET_KEY: Final = "secretAccessKey"
SESSION_TOKEN: Final = "sessionToken"
AUTHORITY: Final = "ca.crt"
"""Keys of the Secret, which are the names of the files it is mounted as."""

_REQUEST_SECONDS: Final = 10
_CONNECT_SECONDS: Final = 3
_RETRIES: Final = 2
_RETRY_SECONDS: Final = 5
# Each object is a request that is waited for and paid.
_SEALS: Final = SealTimes(recorded=0.2, attended=0.2, unattended=10.0, segment_bytes=1024 * 1024)
# The store asks again for what is valid for less than five minutes more, so this is looked at every minute.
_CREDENTIALS_VALID: Final = timedelta(minutes=6)

Learnt = Callable[[Iterable[str | None]], None]
"""Told of credentials when they have been read, in whatever thread that is."""


class BucketArchive(ObjectArchive):
    """A bucket, below a prefix. Whoever writes a key first is known by the condition If-None-Match."""

    seals = _SEALS
    probe_seconds = 60.0
    # A thousand segments come in some 250 s, and are as many reads and then twice as many deletions of 20 ms: a minute
    # for each log, and about as much is left, since stores are slower at times.
    logs_a_thread = 2

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        endpoint: str | None,
        region: str,
        credentials: Path,
        learnt: Learnt | None = None,
    ) -> None:
        """`credentials` is a folder with the files `accessKeyId`, `secretAccessKey`, and if need be `sessionToken`
        and `ca.crt`. `learnt` is told of them. Raises ArchiveError."""
        self._name = f"s3://{bucket}/{prefix}".rstrip("/")
        client: ClientConfig = {
            "timeout": timedelta(seconds=_REQUEST_SECONDS),
            "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
            "allow_http": endpoint is not None and endpoint.startswith("http://"),
        }
        authority = credentials / AUTHORITY
        retries: RetryConfig = {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)}
        options: dict[str, Any] = {} if endpoint is None else {"endpoint": endpoint}
        try:
            if authority.exists():
                client["root_certificate"] = authority.read_bytes()
            store = S3Store(
                bucket,
                prefix=prefix or None,
                region=region,
                conditional_put="etag",
                client_options=client,
                retry_config=retries,
                credential_provider=credentials_of(credentials, learnt),
                **options,
            )
        except (BaseError, OSError, ValueError) as error:
            raise ArchiveError(f"cannot use {self._name} as the archive: {str(error).partition(chr(10))[0]}") from error
        super().__init__(store)

    def probe(self) -> None:
        """See Archive."""
        probe(self, self._name)

    def clean(self, older_than: float) -> None:
        """See Archive. Objects appear whole or not at all: there is nothing to clean."""


def credentials_of(folder: Path, learnt: Learnt | None = None) -> "Callable[[], S3Credential]":
    """Reads the credentials again and again: the Secret may be replaced while the process runs. `learnt` is told first,
    from any thread."""

    def read() -> "S3Credential":
        found = {name: _content(folder / name) for name in (ACCESS_KEY, SECRET_KEY, SESSION_TOKEN)}
        if learnt is not None:
            learnt(found.values())
        return {
            "access_key_id": _needed(found, ACCESS_KEY),
            "secret_access_key": _needed(found, SECRET_KEY),
            "token": found[SESSION_TOKEN],
            "expires_at": datetime.now(UTC) + _CREDENTIALS_VALID,
        }

    return read


def _content(path: Path) -> str | None:
    try:
        # Written with an editor, a value ends with a line break.
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None


def _needed(found: Mapping[str, str | None], name: str) -> str:
    value = found[name]
    if value is None:
        raise ValueError(f"the Secret with the credentials of the archive has no key {name}")
    return value
