"""``up``: from nothing, from a running cluster or from what a crash left, to a cluster that is ready."""

import http.client
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from localcluster import bootstrap, configs, nodekeeper
from localcluster.apiclient import ApiClient
from localcluster.cgroups import ensure_cgroups
from localcluster.console import Step, say, step
from localcluster.errors import LocalClusterError
from localcluster.files import exclusive, read_json, write_atomically, write_json
from localcluster.gobuild import CLUSTER_PROGRAMS, ensure_built
from localcluster.images.containerd import ImageStore
from localcluster.images.pause import write_pause_archive
from localcluster.layout import PAUSE_IMAGE, Layout
from localcluster.mounts import overlay_works
from localcluster.neighbours import refuse_neighbours
from localcluster.network import ensure_network, kernel_settings
from localcluster.packages import ensure_packages
from localcluster.parts import Part, all_parts
from localcluster.pki import ensure_pki
from localcluster.processes import Identity, boot_id, identify, is_alive, send, wait_gone
from localcluster.shell import require_root, tail
from localcluster.status import explain_trouble, is_up, read_record, supervisor_identity
from localcluster.supervision import PartState, code_signature, signature
from localcluster.teardown import tear_down

# On a machine that is busy with other things, too.
SUPERVISOR_TIMEOUT_S = 60.0
PARTS_TIMEOUT_S = 300.0
NODE_TIMEOUT_S = 300.0
# A part that ended so often while `up` waited for it will not come up by waiting longer.
HOPELESS_ENDS = 5
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def up(layout: Layout) -> None:
    """Bring the cluster up; whatever is there and right is left as it is."""
    require_root("a cluster needs a bridge, mounts and containers")
    with exclusive(layout.lock, "change the cluster"):
        ensure_packages(layout)
        _recover_from_other_boot(layout)
        # What stands in the way is said before the long build, and looked for again after it.
        refuse_neighbours(layout)
        ensure_built(layout, CLUSTER_PROGRAMS)
        _remember_origin(layout)
        _write_everything(layout)
        _ensure_running(layout)
        # containerd for the image of pauses: one that was replaced just now may come up after the API server.
        _await_parts(layout, ["containerd", "kube-apiserver"], "API server (usually 8 s)")
        # CoreDNS is ready only once it may read Services, so its rights come before the wait for it.
        bootstrap.apply_objects(ApiClient(layout.pki))
        _load_pause_image(layout)
        _await_parts(layout, [part.name for part in all_parts(layout)], "other parts (usually 5 s)")
        _await_node(layout)
    say(f"Kubernetes {layout.version} is up: export KUBECONFIG={layout.admin_kubeconfig}")


def snapshotter(layout: Layout) -> str:
    """How containerd keeps file systems; chosen once, by trying, and kept as long as the cluster lives."""
    origin = read_json(layout.origin)
    return str(origin.get("snapshotter", "native"))


def _recover_from_other_boot(layout: Layout) -> None:
    recorded = read_json(layout.origin).get("boot_id")
    if recorded is None or recorded == boot_id():
        return
    # etcd does not sync its writes, so its data may be torn; pids, mounts and namespaces are gone anyway.
    say("the machine was started anew since the cluster came up: starting the cluster afresh")
    tear_down(layout)


def _remember_origin(layout: Layout) -> None:
    if layout.origin.exists():
        return
    refuse_neighbours(layout)
    layout.state.mkdir(parents=True, exist_ok=True, mode=0o755)
    chosen = "overlayfs" if overlay_works(layout.state) else "native"
    write_json(layout.origin, {"boot_id": boot_id(), "kernel_settings": kernel_settings(), "snapshotter": chosen})


def _write_everything(layout: Layout) -> None:
    ensure_network()
    ensure_cgroups()
    ensure_pki(layout.pki)
    for directory in (layout.logs, layout.pids, layout.config, layout.kubelet, layout.state / "pod-logs"):
        directory.mkdir(parents=True, exist_ok=True)
    for user in ("kubelet", "controller-manager", "scheduler", "kube-proxy", "coredns"):
        write_atomically(layout.config / f"{user}.kubeconfig", configs.kubeconfig(layout, user), 0o600)
    write_atomically(layout.admin_kubeconfig, configs.kubeconfig(layout, "admin"), 0o600)
    _write_configs(layout)


def _write_configs(layout: Layout) -> None:
    resolv_conf = Path("/etc/resolv.conf").read_text() if Path("/etc/resolv.conf").exists() else ""
    texts = {
        "containerd.toml": configs.containerd(layout, snapshotter(layout)),
        "cni/10-videofleet.conflist": configs.cni(layout),
        "kubelet.json": configs.kubelet(layout),
        "kube-proxy.json": configs.kube_proxy(layout),
        "Corefile": configs.corefile(layout, configs.nameservers(resolv_conf)),
        "resolv.conf": configs.pod_resolv_conf(resolv_conf),
    }
    for name, text in texts.items():
        write_atomically(layout.config / name, text)


def _ensure_running(layout: Layout) -> None:
    parts = [part.to_json() for part in all_parts(layout)]
    changed = read_json(layout.plan).get("parts") != _as_read(parts)
    if changed:
        write_json(layout.plan, {"parts": parts})
    running = _current_supervisor(layout)
    if running is None:
        _start_supervisor(layout)
    elif changed or not all(is_up(state) for state in read_record(layout).values()):
        say("restarting the parts that are down or whose settings have changed")
        send(running, signal.SIGHUP)


def _current_supervisor(layout: Layout) -> Identity | None:
    """The running supervisor, where it runs the code of this checkout; one of other code is made to leave."""
    running = supervisor_identity(layout)
    if running is not None and read_json(layout.record)["supervisor"].get("code") != code_signature():
        send(running, signal.SIGUSR1)
        if wait_gone([running], SUPERVISOR_TIMEOUT_S):
            raise LocalClusterError(f"the supervisor, process {running.pid}, does not leave; run `down` and `up`")
        return None
    return running


def _as_read(parts: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{key: list(value) if isinstance(value, tuple) else value for key, value in part.items()} for part in parts]


def _start_supervisor(layout: Layout) -> None:
    argv = [sys.executable, "-m", "localcluster.supervisor", str(layout.state)]
    with (layout.logs / "supervisor.log").open("ab") as log:
        child = subprocess.Popen(
            argv,
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    write_atomically(layout.pids / "supervisor.pid", f"{child.pid}\n")
    started = identify(child.pid)
    _await(
        lambda: _has_written(layout, started),
        SUPERVISOR_TIMEOUT_S,
        lambda: f"the supervisor does not run:\n{tail(layout.logs / 'supervisor.log')}",
    )


def _has_written(layout: Layout, started: Identity | None) -> bool:
    if not is_alive(started):
        raise LocalClusterError(f"the supervisor ended at once:\n{tail(layout.logs / 'supervisor.log')}")
    return supervisor_identity(layout) == started


def _await(
    done: Callable[[], bool], timeout_s: float, complaint: Callable[[], str], current: Step | None = None
) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline:
            raise LocalClusterError(complaint())
        if current is not None:
            current.tick()
        time.sleep(0.1)


def _await_parts(layout: Layout, names: Sequence[str], title: str) -> None:
    parts = [part for part in all_parts(layout) if part.name in names]

    def missing() -> list[str]:
        return missing_parts(parts, read_record(layout))

    if not missing():
        return
    began = time.time()
    with step(title) as current:

        def done() -> bool:
            left = missing()
            current.detail = "waiting for " + ", ".join(left[:3])
            looping = hopeless(read_record(layout), began)
            if left and looping:
                raise LocalClusterError(explain_trouble(layout, looping))
            return not left

        _await(done, PARTS_TIMEOUT_S, lambda: explain_trouble(layout, missing()[:1]), current)


def missing_parts(parts: Sequence[Part], states: Mapping[str, PartState]) -> list[str]:
    """Names of those that are not up as they are planned: one that the supervisor has yet to replace still answers."""
    return [part.name for part in parts if not _is_up_as_planned(part, states.get(part.name))]


def _is_up_as_planned(part: Part, state: PartState | None) -> bool:
    return state is not None and is_up(state) and state.signature == signature(part)


def hopeless(states: Mapping[str, PartState], since: float) -> list[str]:
    """Parts that are down and have ended too often since then; any of them may be what the others wait for."""
    return [name for name, state in states.items() if not is_up(state) and _ends(state, since) >= HOPELESS_ENDS]


def _ends(state: PartState, since: float) -> int:
    return sum(entry["at"] >= since for entry in state.exits)


def _load_pause_image(layout: Layout) -> None:
    archive = layout.images / "pause.tar"
    machine = platform.machine()
    image_id = write_pause_archive(layout.bin / "pause", archive, ARCHITECTURES.get(machine, machine))
    ImageStore(layout, snapshotter(layout)).load(PAUSE_IMAGE, image_id, archive)


def _await_node(layout: Layout) -> None:
    api = ApiClient(layout.pki)
    if _node_is_ready(api):
        return
    with step("node (usually 10 s)") as current:
        _await(
            lambda: _node_is_ready(api),
            NODE_TIMEOUT_S,
            lambda: explain_trouble(layout, ["kubelet", "node-keeper"]),
            current,
        )


def _node_is_ready(api: ApiClient) -> bool:
    try:
        node = api.get(nodekeeper.NODE_PATH)
        account = api.get("/api/v1/namespaces/default/serviceaccounts/default")
    except (OSError, http.client.HTTPException):
        return False
    if node is None or account is None:
        return False
    ready = any(
        entry["type"] == "Ready" and entry["status"] == "True" for entry in node["status"].get("conditions", [])
    )
    return ready and nodekeeper.label_patch(node) is None and nodekeeper.status_patch(node) is None
