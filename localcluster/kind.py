"""The same commands on kind, where Docker and kind are installed."""

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from localcluster import nodekeeper
from localcluster.console import say, step
from localcluster.errors import LocalClusterError
from localcluster.files import exclusive
from localcluster.gobuild import ensure_built
from localcluster.images.store import check_name, full_name, has_tag
from localcluster.layout import Layout
from localcluster.shell import POLL_S, run, run_logged, succeeds

NAME = "videofleet"
NODE = f"{NAME}-control-plane"
CONFIG = Path(__file__).resolve().parent.parent / "kind-config.yaml"
API_TIMEOUT_S = 180.0


def is_usable() -> bool:
    """kind is installed and a Docker daemon answers; the client alone is not enough."""
    return shutil.which("kind") is not None and succeeds(["docker", "info"])


def why_not_created(log: str) -> str:
    """What kind and kubeadm gave as the reason, which in a log of theirs stands far above its end, and how to see more.

    kind removes the node of a cluster that did not come up, and with it what the kubelet said.
    """
    reasons = [line for line in log.splitlines() if line.lower().startswith("error:")]
    retained = f"kind create cluster --name {NAME} --config {CONFIG.name} --retain"
    return "\n".join(
        [
            *reasons,
            f"To look into the node: `{retained}`, then `docker exec {NODE} journalctl -u kubelet -u containerd`",
        ]
    )


class KindBackend:
    """A cluster in a Docker container."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._kubeconfig = layout.cache / "kind.kubeconfig"

    def _exists(self) -> bool:
        return NAME in run(["kind", "get", "clusters"]).split()

    def up(self) -> None:
        """Create the cluster where it is missing, start it where it has stopped, and advertise its GPUs."""
        if not is_usable():
            raise LocalClusterError(
                "VIDEOFLEET_CLUSTER=kind needs kind on PATH and a Docker daemon that answers `docker info`"
            )
        self._layout.cache.mkdir(parents=True, exist_ok=True)
        with exclusive(self._layout.cache / "locks" / "kind.lock", "change the cluster"):
            if not self._exists():
                self._create()
            self._start_what_stopped()
            run(["kind", "export", "kubeconfig", "--name", NAME, "--kubeconfig", str(self._kubeconfig)])
            self._await_api_server()
            self._advertise_gpus()

    def _create(self) -> None:
        argv = ["kind", "create", "cluster", "--name", NAME, "--config", str(CONFIG), "--wait", "180s"]
        log = self._layout.build_logs / "kind-create.log"
        try:
            with step("kind cluster (usually 60 s, longer where its image is not here yet)") as current:
                run_logged(argv, log, current)
        except LocalClusterError as error:
            raise LocalClusterError(f"{error}\n{why_not_created(log.read_text(errors='replace'))}") from error

    def _stopped_nodes(self) -> list[str]:
        nodes = run(["kind", "get", "nodes", "--name", NAME]).split()
        running = run(["docker", "ps", "--format", "{{.Names}}"]).split()
        return [node for node in nodes if node not in running]

    def _start_what_stopped(self) -> None:
        """kind starts no node again after the machine or Docker was stopped."""
        stopped = self._stopped_nodes()
        if stopped:
            say(f"starting {', '.join(stopped)} again")
            run(["docker", "start", *stopped])

    def _await_api_server(self) -> None:
        ready = [str(self.tool("kubectl")), "--kubeconfig", str(self._kubeconfig), "get", "--raw", "/readyz"]
        if succeeds(ready):
            return
        with step("API server (usually 15 s)") as current:
            while not succeeds(ready):
                if current.elapsed() > API_TIMEOUT_S:
                    raise LocalClusterError(f"it does not answer: see `docker logs {NODE}`, or `down` and `up`")
                current.tick()
                time.sleep(POLL_S)

    def _kubectl(self, *words: str) -> str:
        return run([str(self.tool("kubectl")), "--kubeconfig", str(self._kubeconfig), *words])

    def _advertise_gpus(self) -> None:
        labels = [f"{key}={value}" for key, value in nodekeeper.GPU_LABELS.items()]
        self._kubectl("label", "node", NODE, "--overwrite", *labels)
        amounts = {nodekeeper.GPU_RESOURCE: nodekeeper.GPU_COUNT}
        patch = json.dumps({"status": {"capacity": amounts, "allocatable": amounts}})
        self._kubectl("patch", "node", NODE, "--subresource=status", "--type=merge", "--patch", patch)

    def down(self) -> None:
        """Delete the cluster."""
        with step("deleting the kind cluster"):
            run(["kind", "delete", "cluster", "--name", NAME])
        self._kubeconfig.unlink(missing_ok=True)

    def status(self) -> tuple[str, bool]:
        """What kubectl says of the node."""
        if not self._exists():
            return "no kind cluster named videofleet; create it with: python3 -m localcluster up", False
        if stopped := self._stopped_nodes():
            return f"{', '.join(stopped)} is stopped; start it again with: python3 -m localcluster up", False
        said = self._kubectl("get", "nodes", "--no-headers")
        return said, " Ready " in said

    def kubeconfig(self) -> Path:
        """Path of the kubeconfig that ``up`` exported."""
        if not self._kubeconfig.exists():
            raise LocalClusterError("there is no cluster; create it with: python3 -m localcluster up")
        return self._kubeconfig

    def tool(self, name: str) -> Path:
        """The installed program, else a built one."""
        installed = shutil.which(name)
        if installed is not None:
            return Path(installed)
        if shutil.which("go") is None and not (self._layout.bin / name).exists():
            raise LocalClusterError(f"{name} is not on PATH: install it, or Go 1.26 or newer, which builds it here")
        ensure_built(self._layout, [name])
        return self._layout.bin / name

    def build_image(self, name: str, dockerfile: Path, context: Path, build_args: Mapping[str, str]) -> str:
        """Build with docker, whose own cache knows what has changed.

        With the builder that docker takes by itself: asked for BuildKit, a docker without buildx refuses.
        """
        check_name(name)
        tag = name if has_tag(name) else f"{name}:latest"
        argv = ["docker", "build", "--tag", tag, "--file", str(dockerfile)]
        for key, value in sorted(build_args.items()):
            argv += ["--build-arg", f"{key}={value}"]
        log = self._layout.build_logs / f"docker-{name.replace('/', '_').replace(':', '_')}.log"
        with step(f"building {name}") as current:
            run_logged([*argv, str(context)], log, current)
        full = full_name(name, run(["docker", "image", "inspect", "--format", "{{.Id}}", tag]).strip())
        run(["docker", "tag", tag, full])
        return full

    def load_image(self, name: str) -> None:
        """Copy the image from Docker into the node."""
        log = self._layout.build_logs / "kind-load.log"
        with step(f"loading {name}") as current:
            run_logged(["kind", "load", "docker-image", name, "--name", NAME], log, current)
