"""An operator as kopf's documentation writes one: VideoJobs of a namespace in `@kopf.index`.

`python -m tests.bench.control.peers.index_operator NAMESPACE COUNT` prints a line once it has indexed COUNT jobs.
"""

import sys
from typing import Any

import kopf

NAMESPACE, COUNT = sys.argv[1], int(sys.argv[2])
seen: set[str] = set()


@kopf.on.startup()
def started(**_: Any) -> None:
    """With nothing to index it is through at once."""
    if COUNT == 0:
        print("indexed", flush=True)


@kopf.index("videofleet.io", "v1alpha1", "videojobs")  # type: ignore[arg-type] # kopf wants no async twin here
def jobs(namespace: str, name: str, uid: str, spec: Any, status: Any, **_: Any) -> dict[tuple[str, str], Any]:
    """What our own cache keeps: spec and status by name."""
    seen.add(uid)
    if len(seen) == COUNT:
        print("indexed", flush=True)
    return {(namespace, name): (dict(spec), dict(status))}


if __name__ == "__main__":
    kopf.run(standalone=True, namespaces=[NAMESPACE])
