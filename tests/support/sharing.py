"""How the processes of a test run (`pytest -n NUMBER`) share its tests: whole files, what takes longest first.

Fixtures of a module are made once that way, and those of a session once in each process.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/cluster/crd/",)
"""Beginnings of paths: of the files below each one process runs all. They share what a cluster has once."""
FIRST = (
    "tests/unit/worker/server/test_worker_faults.py",
    "tests/unit/clip/test_clip_command.py",
    "tests/unit/worker/server/test_worker_decoders.py",
    "tests/unit/worker/server/test_worker_machine.py",
    "tests/unit/gateway/test_v_tasks.py",
    "tests/unit/gateway/web/test_page.py",
    "tests/unit/worker/server/test_worker_direct.py",
    "tests/unit/gateway/test_openapi_documents.py",
    "tests/unit/worker/server/test_worker_isolation.py",
    "tests/unit/gateway/test_streams_survive.py",
    "tests/unit/worker/decode/test_source_health.py",
    "tests/unit/worker/server/test_worker_models.py",
    "tests/unit/worker/server/test_worker_cameras.py",
    "tests/unit/worker/server/test_worker_outputs.py",
    "tests/unit/structure/test_bench_gpu.py",
    "tests/cluster/gateway/test_f_lives.py",
    "tests/cluster/operator/test_operator_schedule.py",
    "tests/cluster/gateway/test_f_views_of_workers.py",
    "tests/cluster/operator/test_operator_source_health.py",
)
"""What takes longest, so that no process is left with one of them in the end."""


class Sharing(LoadScopeScheduling):
    """Gives a process the next group of tests when it is nearly done with its own."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """Of a test, by its id: its file, or the beginning of the paths of files that belong together."""
    path, _, _ = nodeid.partition("::")
    return next((beginning for beginning in TOGETHER if path.startswith(beginning)), path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _place(item.nodeid))


def _place(nodeid: str) -> int:
    group = group_of(nodeid)
    return FIRST.index(group) if group in FIRST else len(FIRST)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    # By number of tests is not by how long they take.
    config.option.loadscopereorder = False
    return Sharing(config, log)
