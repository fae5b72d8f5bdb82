"""What dialects are built on."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from videofleet_gateway.config import Config
from videofleet_gateway.jobs.pools import PoolCache
from videofleet_gateway.jobs.secrets import JobSecrets
from videofleet_gateway.jobs.service import Jobs
from videofleet_gateway.jobs.urls import UrlPolicy
from videofleet_gateway.metrics import Metrics
from videofleet_gateway.results.archive import Archive
from videofleet_gateway.store.keys import Keys
from videofleet_gateway.store.windows import Windows
from videofleet_gateway.vision.fleet import Fleet
from videofleet_gateway.workers import Workers


@dataclass(frozen=True)
class Context:
    """One gateway's parts. `clock` gives Unix seconds."""

    config: Config
    jobs: Jobs
    secrets: JobSecrets
    workers: Workers
    fleet: Fleet
    pools: PoolCache
    urls: UrlPolicy
    keys: Keys
    windows: Windows
    archive: Archive
    metrics: Metrics = field(default_factory=Metrics)
    clock: Callable[[], float] = time.time
