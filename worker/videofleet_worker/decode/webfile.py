"""A file on a web server, read as FFmpeg reads files: from any place, and through connections that break."""

import http.client
import io
import re
import time
from typing import Final

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.web import Reply, ThrottledError, WebClient
from videofleet_worker.sources.errors import SourceError

_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
# A file is read no faster than it is analysed, and a server loses patience with whoever reads slowly (nginx after 60
# seconds without room for a byte). Where it serves ranges, reading goes on at the same byte, after so many seconds.
_RESUMED_AFTER: Final = (0.0, 1.0, 3.0)
# So far ahead it is quicker to read on than to ask anew.
_NEAR: Final = 256 * 1024


class WebFile:
    """One file. Raises SourceError from every method that needs the server."""

    def __init__(self, client: WebClient, url: str, part: tuple[int, int] | None = None) -> None:
        """Asks for the file at once, so that what is wrong with it is known. `part`: only from one byte to another."""
        self._client = client
        self._url = url
        self._start = part[0] if part else 0
        self._end = part[1] if part else None
        self._position = 0
        self._reached = 0
        self._size: int | None = None if self._end is None else self._end - self._start
        self._ranged = False
        self._reply: Reply | None = None
        # Looked at already, and what comes next all the same.
        self._head = b""
        self.url = url
        """Where it was found last, after redirects."""
        self._begin()

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end."""
        said = SourceError(ErrorCode.NETWORK, "the connection broke")
        for delay in (*_RESUMED_AFTER, None):
            try:
                data = self._read(size)
                if data or self._at_end:
                    return data
            except ThrottledError as error:
                said = error
            except TimeoutError:
                raise SourceError(ErrorCode.STALLED, "no data came any more") from None
            except (http.client.HTTPException, OSError):
                # Broken, and not at its end, also where the size is not known.
                pass
            if delay is None or not self._ranged:
                break
            self._stop()
            time.sleep(delay)
        raise said

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """The new position. Raises OSError where the server does not serve parts."""
        if not self.seekable():
            raise io.UnsupportedOperation("the server serves no ranges")
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size or 0}[whence]
        # FFmpeg asks for the size by going to the end and back: nothing is fetched before it reads there.
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def seekable(self) -> bool:
        """Whether the server serves parts of a file whose size it has told."""
        return self._ranged and self._size is not None

    def head(self, size: int) -> bytes:
        """Its first bytes, before anything was read; they are read again."""
        head = b""
        while len(head) < size and (piece := self.read(size - len(head))):
            head += piece
        self._head = head
        self._position = self._reached = 0
        return head

    def close(self) -> None:
        """Done with; the connection serves others where it can."""
        self._stop()

    @property
    def _at_end(self) -> bool:
        """Whether no more is to come, as far as is known: without a size the end is where the server ends."""
        return self._size is None or self._position >= self._size

    def _read(self, size: int) -> bytes:
        self._go()
        if self._reply is None:
            if self._size is not None and self._at_end:
                return b""
            self._begin()
        data = self._take(size)
        self._position += len(data)
        return data

    def _go(self) -> None:
        """From where the answer has been read to, to where reading goes on: by reading, or by asking anew."""
        if not 0 <= self._position - self._reached <= _NEAR:
            self._stop()
        while self._reply is not None and self._reached < self._position:
            if not self._take(self._position - self._reached):
                self._stop()

    def _take(self, size: int) -> bytes:
        """What comes next in the answer."""
        assert self._reply is not None, "there is one"
        left = size if self._size is None else min(size, self._size - self._reached)
        if self._head:
            data, self._head = self._head[:left], self._head[left:]
        else:
            data = self._reply.response.read1(left) if left > 0 else b""
        self._reached += len(data)
        return data

    def _begin(self) -> None:
        wanted = self._start + self._position
        last = "" if self._end is None else self._end - 1
        reply = self._client.get(self._url, {"Range": f"bytes={wanted}-{last}"})
        found = _RANGE.fullmatch(reply.response.headers.get("Content-Range", ""))
        if reply.response.status == 206 and found is not None:
            self._ranged = True
            begins, whole = int(found[1]), None if found[2] == "*" else int(found[2])
        else:
            self._ranged = self._ranged or reply.response.headers.get("Accept-Ranges") == "bytes"
            begins, whole = 0, reply.response.length
        if begins != wanted:
            self._client.release(reply)
            raise SourceError(ErrorCode.NETWORK, "the server does not go on where it was asked to")
        if self._end is None:
            self._size = whole
        self._reply, self._reached, self.url = reply, self._position, reply.url

    def _stop(self) -> None:
        self._head = b""
        if self._reply is not None:
            self._client.release(self._reply)
            self._reply = None
