"""The state of a namespace with everything masked that may differ between two runs of one workload."""

from __future__ import annotations

import re
from typing import Any

Json = dict[str, Any]

_WORKER = re.compile(r"\bpool-\d+-\d+\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)")
_NUMBERED_NAMESPACE = re.compile(r"\bfaults-[0-9a-f]{6}-[0-9a-z]+\b")
_UID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


def masked_text(text: str) -> str:
    """A message without the names of workers and namespaces, uids and times."""
    for pattern, word in ((_WORKER, "WORKER"), (_TIME, "TIME"), (_NUMBERED_NAMESPACE, "NAMESPACE"), (_UID, "UID")):
        text = pattern.sub(word, text)
    return text


def job_state(job: Json, *, runs: bool = True) -> Json:
    """What of a VideoJob must not depend on the way that it has come. `runs`: the number of runs too."""
    status = job.get("status") or {}
    error = status.get("lastError")
    return {
        "spec": job["spec"],
        "generation": job["metadata"]["generation"],
        "phase": status.get("phase"),
        "reason": status.get("reason"),
        "message": masked_text(status.get("message", "")),
        "observedGeneration": status.get("observedGeneration"),
        "source": status.get("source"),
        "assigned": "worker" in status,
        "moving": "move" in status,
        "waits": "nextRetryTime" in status,
        "finished": status.get("finished", False),
        "progress": status.get("progress"),
        "lastError": error and [error["code"], masked_text(error["message"])],
        "analytics": [each["name"] for each in status.get("analytics", [])],
        "conditions": _conditions(status),
        **({"run": status.get("run")} if runs else {}),
    }


def pool_state(pool: Json) -> Json:
    """What of a WorkerPool must not depend on the way that it has come."""
    status = pool.get("status") or {}
    kept = ("observedGeneration", "replicas", "selector", "workers", "slots", "provider", "models")
    told = {key: status.get(key) for key in kept}
    return {"spec": pool["spec"], **told, "conditions": _conditions(status)}


def _conditions(status: Json) -> dict[str, list[str]]:
    """Status, reason and message by type."""
    return {
        each["type"]: [each["status"], each.get("reason", ""), masked_text(each.get("message", ""))]
        for each in status.get("conditions", [])
    }


def without_runs(state: Json) -> Json:
    """An end state without the numbers of runs, which depend on when an edit came."""
    jobs = {name: {key: value for key, value in job.items() if key != "run"} for name, job in state["jobs"].items()}
    return {**state, "jobs": jobs}


def differences(found: Any, expected: Any, path: str = "") -> list[str]:
    """Where two states differ, in sentences."""
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = sorted(found.keys() | expected.keys())
        return [each for key in keys for each in differences(found.get(key), expected.get(key), f"{path}/{key}")]
    return [] if found == expected else [f"{path} is {found!r}, undisturbed {expected!r}"]
