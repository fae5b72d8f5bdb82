"""`make demo`: everything from nothing to tracked people, and a fault that heals. Safe to run again."""

import sys
import time
from pathlib import Path

from examples.demo import deploy, phases, report, tools
from examples.demo.console import DemoError, clock, fail, say, step
from examples.demo.tools import ROOT, Json

NAMESPACE = "videofleet-demo"
RELEASE = "videofleet"
# On a machine that is busy with other things, too, two small streams are no reason to wait.
POOL: Json = {"minWorkers": 1, "maxWorkers": 2, "capacityPerWorker": 8, "capacityHints": "ignore"}


def main(arguments: list[str]) -> int:
    """Run the demo, or take it down with --down."""
    if arguments not in ([], ["--down"]):
        print("usage: python3 -m examples.demo [--down]", file=sys.stderr)
        return 2
    try:
        if arguments:
            down()
        else:
            demo()
    except (DemoError, OSError) as error:
        return fail(error)
    except KeyboardInterrupt:
        say("\ndemo: stopped; `make demo` goes on from here, `make demo-down` removes it")
        return 130
    return 0


def demo() -> None:
    """All steps in order."""
    with step("1/8 a real Kubernetes on this machine (the first time it is built: about 10 minutes on two cores)"):
        tools.localcluster("up")
    with step("2/8 images of operator, worker and camera simulator (the first time: about 4 minutes)"):
        images = deploy.build_images()
    with step("3/8 videofleet, from its Helm chart"):
        deploy.namespace(NAMESPACE)
        deploy.archive_volume(NAMESPACE)
        deploy.install_chart(RELEASE, NAMESPACE, deploy.chart_values(NAMESPACE, images, POOL))
    with step("4/8 cameras: an RTSP server and a file server that know the same street scene"):
        deploy.start_cameras(NAMESPACE, images)
    with step("5/8 four VideoJobs: a clip, a camera, a camera that does not answer, and a mistake"):
        _apply_examples()
    with step("6/8 phases as they move"):
        _show_phases()
        _show_provider()
    with step("   what the clip showed"):
        _show_results()
    with step("7/8 the camera's worker pod is taken away"):
        _kill_worker()
    say("\n[8/8] it is all still running. Look around:")
    _show_next()


def _apply_examples() -> None:
    tools.run("kubectl", "delete", "videojob.videofleet.io/file", "-n", NAMESPACE, "--ignore-not-found")
    for name in ("file.yaml", "camera.yaml", "broken.yaml"):
        for line in tools.must("kubectl", "apply", "-f", str(ROOT / "examples" / name)).splitlines():
            say(f"    {line}")
    refused = tools.run("kubectl", "apply", "-f", str(ROOT / "examples" / "bad.yaml"))
    if refused.returncode == 0:
        raise DemoError("examples/bad.yaml was accepted; it holds a password in its URL and must be refused")
    say("    bad.yaml is refused by the API server:")
    for line in refused.stderr.strip().splitlines():
        say(f"      {line}")


def _show_phases() -> None:
    def enough(statuses: dict[str, Json]) -> bool:
        phase = {name: status.get("phase") for name, status in statuses.items()}
        return (
            phase.get("file") == "COMPLETED"
            and phase.get("camera") == "INPROGRESS"
            and statuses.get("broken", {}).get("lastError") is not None
        )

    phases.follow(NAMESPACE, ["file", "camera", "broken"], enough, patience=180)


def _show_provider() -> None:
    pool = tools.get("workerpools.videofleet.io", "default", NAMESPACE)
    status = (pool or {}).get("status", {})
    say(f"    models run on: {status.get('provider', '?')}")
    if status.get("fallback"):
        say(f"    {status['fallback']}")


def _show_results() -> None:
    job = tools.get("videojobs.videofleet.io", "file", NAMESPACE)
    if job is None:
        raise DemoError("VideoJob file is gone; run `make demo` again")
    folder = deploy.archive_folder(NAMESPACE) / Path(job["status"]["analytics"][0]["results"])
    report.tracks(folder / "results.json")
    say(f"    results:           {folder / 'results.json'}")
    say(f"    annotated picture: {folder / 'snapshot.jpg'}")


def _kill_worker() -> None:
    before = _camera()
    pod, epoch = before["worker"]["name"], before["epoch"]
    say(f"    kubectl delete pod {pod} (the camera runs there, epoch {epoch})")
    began = time.monotonic()
    tools.must("kubectl", "delete", "pod", pod, "-n", NAMESPACE, "--wait=false")

    def back(statuses: dict[str, Json]) -> bool:
        camera = statuses.get("camera", {})
        return camera.get("phase") == "INPROGRESS" and camera.get("epoch", 0) > epoch

    phases.follow(NAMESPACE, ["camera"], back, patience=120)
    say(f"    the stream is back after {time.monotonic() - began:.1f} s, on {_camera()['worker']['name']}")


def _camera() -> Json:
    job = tools.get("videojobs.videofleet.io", "camera", NAMESPACE)
    if job is None or "worker" not in job.get("status", {}):
        raise DemoError("VideoJob camera has no worker; run `make demo` again")
    status: Json = job["status"]
    return status


def _show_next() -> None:
    say("    export KUBECONFIG=$(make kubeconfig) PATH=$(dirname $(make kubectl)):$PATH")
    say(f"    kubectl get videojobs -n {NAMESPACE} -o wide --watch")
    say(f"    kubectl describe videojob camera -n {NAMESPACE}")
    say(f"    kubectl get workerpools -n {NAMESPACE} -o wide")
    say("    kubectl explain videojob.spec")
    say("    make demo-down      # removes all of it; the caches stay")
    say(f"[{clock()}] done")


def down() -> None:
    """Remove the cluster and the results; the caches stay."""
    with step("taking the demo down"):
        tools.localcluster("down")
        deploy.remove_archives()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
