"""Older bytes of logs, kept for a while: who joins late reads what others have read just before."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

BLOCK_BYTES: Final = 256 * 1024
_MOST_BYTES: Final = 64 * BLOCK_BYTES


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes of a log from `begin` on, at most up to the next multiple of BLOCK_BYTES."""

    begin: int
    data: bytes

    @property
    def end(self) -> int:
        """Offset after the last byte."""
        return self.begin + len(self.data)


class Blocks:
    """The blocks that were read last, of all logs, up to a number of bytes."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._blocks: OrderedDict[tuple[str, int], Block] = OrderedDict()
        self.bytes = 0

    def find(self, prefix: str, offset: int) -> Block | None:
        """One with the byte at this offset."""
        key = prefix, offset // BLOCK_BYTES
        found = self._blocks.get(key)
        if found is None or not found.begin <= offset < found.end:
            return None
        self._blocks.move_to_end(key)
        return found

    def keep(self, prefix: str, block: Block) -> None:
        """Instead of what was known of the same place; the ones that were not asked for longest make room."""
        key = prefix, block.begin // BLOCK_BYTES
        earlier = self._blocks.pop(key, None)
        self.bytes += len(block.data) - (len(earlier.data) if earlier else 0)
        self._blocks[key] = block
        while self.bytes > self._most_bytes:
            _, dropped = self._blocks.popitem(last=False)
            self.bytes -= len(dropped.data)
