"""`python -m videofleet_worker.drain`: wait until the worker of this container holds no job; its pod's preStop hook.

The operator sees that the pod is being deleted and moves its jobs. The worker goes on until they are gone.
"""

import http.client
import os
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import Final

from videofleet_api.names import WORKER_PLAIN_PORT

_INTERVAL: Final = 0.5
_ANSWER_SECONDS: Final = 5.0


def wait_for_empty(
    held: Callable[[], int], seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> int:
    """Wait until `held` is 0, at most so many seconds; the jobs that were left then.

    Raises OSError where the worker does not answer: it has nothing that would be worth waiting for.
    """
    deadline = clock() + seconds
    while (left := held()) and clock() < deadline:
        sleep(_INTERVAL)
    return left


def main() -> int:
    """Exit code 0 in any case: a hook that fails is an Event that says nothing new."""
    seconds = float(os.environ.get("VIDEOFLEET_DRAIN_SECONDS") or 0)
    port = os.environ.get("VIDEOFLEET_PLAIN_PORT") or WORKER_PLAIN_PORT
    try:
        wait_for_empty(lambda: _held(f"http://127.0.0.1:{port}/jobs"), seconds, time.monotonic, time.sleep)
    except (OSError, http.client.HTTPException, ValueError) as error:
        sys.stderr.write(f"the worker does not answer: {error}\n")
    return 0


def _held(url: str) -> int:
    with urllib.request.urlopen(url, timeout=_ANSWER_SECONDS) as answer:
        return int(answer.read())


if __name__ == "__main__":
    sys.exit(main())
