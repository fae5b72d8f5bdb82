"""Names that the parts share: the API group, labels, ports, paths."""

from typing import Final, NamedTuple

GROUP: Final = "videofleet.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

LABEL_POOL: Final = f"{GROUP}/pool"
"""On a worker pod: the name of its WorkerPool."""
LABEL_ORDINAL: Final = f"{GROUP}/ordinal"
"""On a worker pod: its place in the pool, counted from 0."""
LABEL_INCARNATION: Final = f"{GROUP}/incarnation"
"""On a worker pod: how often this place was filled anew."""
ANNOTATION_TEMPLATE_DIGEST: Final = f"{GROUP}/template-digest"
"""On a worker pod: digest of the pod template it was made from."""
ANNOTATION_FAILURES: Final = f"{GROUP}/failures"
"""On a worker pod: how often in a row its place had failed before it was made."""
ANNOTATION_DRAIN: Final = f"{GROUP}/drain"
"""On a worker pod or a WorkerPool, with the value "true": it gets no new jobs, and those that it has go elsewhere."""
DRAIN_WANTED: Final = "true"

LICENSE_NAME: Final = "default"
"""The one VideoLicense that counts."""

WORKER_API_PORT: Final = 8443
"""Mutual TLS: assignments, events, results, pictures."""
WORKER_PLAIN_PORT: Final = 8080
"""Plain HTTP: /healthz, /readyz, /metrics."""

OPERATOR_CLIENT_NAME: Final = "videofleet-operator"
"""Common name of the client certificate that may assign and drain."""
READER_CLIENT_NAME: Final = "videofleet-reader"
"""Common name of a client certificate that may only read results and pictures."""


def worker_pod_name(pool: str, ordinal: int, incarnation: int) -> str:
    """The deterministic name of a worker pod, so that a retry adopts a pod and never doubles it."""
    return f"{pool}-{ordinal}-{incarnation}"


def budget_name(pool: str) -> str:
    """The PodDisruptionBudget of a pool."""
    return f"{pool}-workers"


def worker_tls_secret_name(pod: str) -> str:
    """The Secret with the key pair of one worker pod."""
    return f"{pod}-tls"


def worker_server_name(namespace: str, pod: str) -> str:
    """The DNS name in a worker's certificate, checked when the operator dials its pod IP."""
    return f"{pod}.{namespace}.worker.videofleet.internal"


def archive_prefix(namespace: str, uid: str, run: int, analytics: str) -> str:
    """Where in the archive the results of one run of one analytics lie."""
    return f"{namespace}/{uid}/{run}/{analytics}"


class ArchivePlace(NamedTuple):
    """What a log in the archive is of."""

    namespace: str
    uid: str
    run: int
    analytics: str


def archive_place(prefix: str) -> ArchivePlace:
    """What `archive_prefix` made the prefix from. Raises ValueError where it did not."""
    namespace, uid, run, analytics = prefix.split("/")
    return ArchivePlace(namespace, uid, int(run), analytics)
