"""`helm test`: run a VideoJob to its end, print its phases, and fail unless it completed with analysed frames.

Without VIDEOFLEET_TEST_SOURCE it serves the clip of the chart from this pod, so that nothing outside is needed.
"""

import functools
import os
import sys
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kubernetes import client, config

GROUP, VERSION, PLURAL = "videofleet.io", "v1alpha1", "videojobs"
CLIP_FOLDER = "/clip"
CLIP_PORT = 8000
POLL_SECONDS = 0.5


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a line for each request: the output is for phases."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def serve_clip() -> str:
    """Serve the chart's clip and return its address."""
    handler = functools.partial(QuietHandler, directory=CLIP_FOLDER)
    server = ThreadingHTTPServer(("", CLIP_PORT), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = os.environ["POD_IP"]
    return f"http://{f'[{host}]' if ':' in host else host}:{CLIP_PORT}/clip.mp4"


def manifest(name: str, url: str) -> dict[str, Any]:
    """A VideoJob that detects and tracks, once through."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "VideoJob",
        "metadata": {"name": name},
        "spec": {
            "source": {"url": url, "kind": "recorded"},
            "singlePass": True,
            "restart": {"maxAttempts": 3},
            "analytics": [{"steps": [{"model": "detect"}, {"model": "track"}]}],
        },
    }


def follow(api: client.CustomObjectsApi, namespace: str, name: str, deadline: float) -> dict[str, Any]:
    """Print every phase until the job is over or the deadline (monotonic) has passed; return its last status."""
    began, seen = time.monotonic(), None
    while True:
        job: Any = api.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)
        status: dict[str, Any] = job.get("status") or {}
        shown = (status.get("phase"), status.get("reason"), status.get("message"))
        if shown != seen:
            seen = shown
            words = "  ".join(part for part in shown if part) or "waiting for an operator"
            print(f"{time.monotonic() - began:6.1f} s  {words}", flush=True)
        if is_over(status) or time.monotonic() >= deadline:
            return status
        time.sleep(POLL_SECONDS)


def is_over(status: dict[str, Any]) -> bool:
    """Whether nothing more can be expected of the job."""
    hopeless = status.get("phase") == "MISCONFIGURED" or status.get("reason") == "RetriesExhausted"
    return hopeless or bool(status.get("finished"))


def verdict(status: dict[str, Any]) -> str | None:
    """What is wrong with how the job ended; None: nothing."""
    if status.get("phase") != "COMPLETED":
        return f"the job is {status.get('phase', 'not looked at by any operator')} and not COMPLETED"
    frames = (status.get("progress") or {}).get("processedFrames", 0)
    return None if frames > 0 else "the job completed without having analysed a frame"


def main() -> int:
    """Make the job, follow it, remove it."""
    namespace, name = os.environ["POD_NAMESPACE"], os.environ["POD_NAME"]
    seconds = float(os.environ["VIDEOFLEET_TEST_TIMEOUT"])
    config.load_incluster_config()
    api = client.CustomObjectsApi()
    url = os.environ.get("VIDEOFLEET_TEST_SOURCE") or serve_clip()
    print(f"VideoJob {namespace}/{name}: at most {seconds:.0f} s", flush=True)
    api.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, manifest(name, url))
    try:
        status = follow(api, namespace, name, time.monotonic() + seconds)
    finally:
        api.delete_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)
    wrong = verdict(status)
    frames = (status.get("progress") or {}).get("processedFrames", 0)
    print(f"failed: {wrong}" if wrong else f"passed: {frames} frames analysed", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
