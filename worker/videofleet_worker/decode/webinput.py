"""What FFmpeg opens of the web: a file, or a playlist with all that it names."""

import io
from collections.abc import Callable, Mapping

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.aes import decrypted
from videofleet_worker.decode.kinds import LONGEST_BEGINNING
from videofleet_worker.decode.playlist import MARK, is_closed, placed
from videofleet_worker.decode.web import WebClient
from videofleet_worker.decode.webfile import WebFile
from videofleet_worker.sources.errors import SourceError

# Segments that cannot be had, one after the other, until a playlist counts as broken.
_MOST_MISSING = 3
# How FFmpeg names a segment that it has the key of.
_ENCRYPTED = "crypto+"
_LARGEST = 64 * 2**20
_LARGEST_PLAYLIST = 16 * 2**20
_CHUNK = 2**20


class WebInput:
    """FFmpeg's way to the web.

    An exception out of its callbacks would end FFmpeg where it could go on: it sees an end instead, and what was wrong
    is kept here. `first`: what failed first. `last`: what failed last, None once something was read again. `closed`:
    nothing will be added to the playlist that was read last. `head`: how that begins which was opened first.
    """

    def __init__(self, client: WebClient) -> None:
        self._client = client
        self._opened = 0
        self._missing = 0
        self._main: WebStream | None = None
        self.first: SourceError | None = None
        self.last: SourceError | None = None
        self.closed = False
        self.head = b""
        self._playlists = 0

    @property
    def is_playlist_alone(self) -> bool:
        """Whether a playlist was opened, and nothing that it names: FFmpeg did not take it for one."""
        return self._opened == self._playlists == 1

    @property
    def why(self) -> SourceError | None:
        """Why it could not be opened, as far as is known here."""
        if self.first is None and self._main is not None and self._main.ended and not self._main.got_any:
            return SourceError(ErrorCode.EMPTY, "the source is empty")
        return self.first

    @property
    def ended(self) -> bool:
        """Whether what was opened first, and is no playlist, was read to its end."""
        return self._main is not None and not self._playlists and self._main.ended

    @property
    def seekable(self) -> bool:
        """Whether any place of what was opened first can be read."""
        return self._main is not None and self._main.seekable()

    def open(self, url: str, flags: int, options: Mapping[str, str]) -> "WebStream | io.BytesIO":
        """As `io_open` of PyAV. Raises SourceError.

        A segment that cannot be had is empty, so that FFmpeg goes on with the next one, unless there are many.
        """
        begins, self._opened = not self._opened, self._opened + 1
        try:
            if url.startswith(_ENCRYPTED):
                opened: WebStream | io.BytesIO = io.BytesIO(self._plain(url.removeprefix(_ENCRYPTED), options))
            else:
                opened = WebStream(self._file(url, options), self._note)
                self._main = self._main or opened
        except SourceError as error:
            self._note(error)
            self._missing += 1
            if begins or error.code is ErrorCode.FORBIDDEN or self._missing >= _MOST_MISSING:
                raise
            return WebStream(None, self._note)
        self._missing = 0
        self.last = None
        return opened

    def _file(self, url: str, options: Mapping[str, str]) -> "WebFile | io.BytesIO":
        """A playlist as a whole, anything else as it is read."""
        file = WebFile(self._client, url, _part(options))
        head = file.head(LONGEST_BEGINNING)
        self.head = self.head or head
        if not head.startswith(MARK):
            return file
        text = _whole(file, _LARGEST_PLAYLIST, "a playlist")
        self._playlists, self.closed = self._playlists + 1, is_closed(text)
        return io.BytesIO(text if file.url == url else placed(text, file.url))

    def _plain(self, url: str, options: Mapping[str, str]) -> bytes:
        """A segment that is encrypted, as a whole."""
        data = _whole(WebFile(self._client, url, _part(options)), _LARGEST, "an encrypted segment")
        try:
            key, start = (bytes.fromhex(options.get(name, "")) for name in ("key", "iv"))
            return decrypted(data, key, start)
        except ValueError as error:
            raise SourceError(ErrorCode.UNSUPPORTED, f"a segment cannot be decrypted: {error}") from None

    def _note(self, error: SourceError) -> None:
        self.first = self.first or error
        self.last = error


class WebStream:
    """A file that ends where it cannot be read any more; without a file it is empty."""

    def __init__(self, file: WebFile | io.BytesIO | None, note: Callable[[SourceError], None]) -> None:
        self._file = file
        self._note = note
        self.ended = self.got_any = False
        """Whether it was read to its end, and whether there was anything."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        try:
            data = self._file.read(size) if self._file is not None else b""
        except SourceError as error:
            self._fail(error)
            return b""
        self.ended, self.got_any = not data, self.got_any or bool(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """The new position; below 0 where that cannot be had."""
        try:
            return self._file.seek(offset, whence) if self._file is not None else -1
        except SourceError as error:
            self._fail(error)
            return -1

    def tell(self) -> int:
        """The position."""
        return self._file.tell() if self._file is not None else 0

    def seekable(self) -> bool:
        """Whether any place can be read."""
        return self._file is not None and self._file.seekable()

    def close(self) -> None:
        """Done with."""
        if self._file is not None:
            self._file.close()

    def _fail(self, error: SourceError) -> None:
        self._note(error)
        self.close()
        self._file = None


def _whole(file: WebFile, most: int, what: str) -> bytes:
    """Raises SourceError, also where it is larger than so many bytes."""
    data = bytearray()
    while piece := file.read(_CHUNK):
        data += piece
        if len(data) > most:
            raise SourceError(ErrorCode.UNSUPPORTED, f"{what} is larger than {most // 2**20} MiB")
    file.close()
    return bytes(data)


def _part(options: Mapping[str, str]) -> tuple[int, int] | None:
    """The bytes of a file that a playlist names as a segment."""
    offset, end = int(options.get("offset", "0")), int(options.get("end_offset", "0"))
    return (offset, end) if end > offset else None
