"""An address that must not be reached, and one that may."""

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from videofleet_api.source import SourcePolicy
from videofleet_worker.sources.reach import Reach

ALLOWED, FORBIDDEN = "127.0.0.1", "127.0.0.2"
ONE_HOST = Reach(SourcePolicy(allowed_cidrs=[f"{ALLOWED}/32"]))


@contextmanager
def nobody_comes(port: int = 0) -> Iterator[int]:
    """A listener at the forbidden address; fails the test when anybody connected."""
    with socket.create_server((FORBIDDEN, port)) as listener:
        yield listener.getsockname()[1]
        assert select.select([listener], [], [], 0)[0] == [], "somebody connected to the forbidden address"
