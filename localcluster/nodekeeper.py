"""Keeps the node looking like one with GPUs: labels of GPU Feature Discovery and an advertised resource.

The kubelet writes its own view of the capacity when it registers anew, which drops what no device plugin
announced; this small process puts it back.
"""

import http.client
import signal
import sys
import time
from pathlib import Path
from typing import Any

from localcluster.apiclient import ApiClient
from localcluster.errors import LocalClusterError
from localcluster.layout import NODE_NAME

GPU_RESOURCE = "nvidia.com/gpu"
GPU_COUNT = "4"
GPU_LABELS = {
    "nvidia.com/gpu.present": "true",
    "nvidia.com/gpu.product": "NVIDIA-L4",
    "nvidia.com/gpu.count": GPU_COUNT,
    "nvidia.com/gpu.memory": "23034",
    "nvidia.com/gpu.family": "ada-lovelace",
}
NODE_PATH = f"/api/v1/nodes/{NODE_NAME}"
INTERVAL_S = 3.0


def label_patch(node: dict[str, Any]) -> dict[str, Any] | None:
    """What has to be written to the node's labels; None where nothing has."""
    present = node["metadata"].get("labels", {})
    missing = {key: value for key, value in GPU_LABELS.items() if present.get(key) != value}
    return {"metadata": {"labels": missing}} if missing else None


def status_patch(node: dict[str, Any]) -> dict[str, Any] | None:
    """What has to be written to the node's status; None where nothing has."""
    status = node.get("status", {})
    fields = [field for field in ("capacity", "allocatable") if status.get(field, {}).get(GPU_RESOURCE) != GPU_COUNT]
    return {"status": {field: {GPU_RESOURCE: GPU_COUNT} for field in fields}} if fields else None


def keep(api: ApiClient) -> bool:
    """One look at the node; True when something had to be written."""
    node = api.get(NODE_PATH)
    if node is None or "capacity" not in node.get("status", {}):
        return False  # the kubelet has not registered yet
    labels, status = label_patch(node), status_patch(node)
    if labels:
        api.merge_patch(NODE_PATH, labels)
    if status:
        api.merge_patch(f"{NODE_PATH}/status", status)
    return bool(labels or status)


def main(argv: list[str]) -> int:
    """Run until told to end; an API server that is away is waited for."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    api = ApiClient(Path(argv[0]))
    while True:
        try:
            if keep(api):
                print(f"{time.strftime('%H:%M:%S')} labels or {GPU_RESOURCE}={GPU_COUNT} written", flush=True)
        except (OSError, http.client.HTTPException, LocalClusterError) as away:
            print(f"{time.strftime('%H:%M:%S')} {away}", flush=True)
        time.sleep(INTERVAL_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
