"""``down``: ends every process of the cluster and removes what it made; the cache stays.

A process is ours when the supervisor recorded its pid and start time, when it lives in our control groups
(containers), or when it is a shim that was given our containerd's socket. Names decide nothing.
"""

import shutil
import signal
from pathlib import Path

from localcluster import cgroups, mounts, network
from localcluster.console import say, step
from localcluster.errors import LocalClusterError
from localcluster.files import exclusive, read_json
from localcluster.layout import Layout
from localcluster.parts import Probe
from localcluster.probes import is_ready
from localcluster.processes import Identity, all_processes, boot_id, send, stop, wait_gone
from localcluster.shell import require_root
from localcluster.status import read_record, supervisor_identity

SUPERVISOR_GRACE_S = 60.0
# Written outside the state directory by the kubelet and the CNI library, whose paths cannot be set.
CONTAINER_LOG_LINKS = Path("/var/log/containers")
CNI_RESULTS = (Path("/var/lib/cni/results"), Path("/var/lib/cni/cache/results"))
CNI_LOCK = Path("/etc/cni/net.d/cni.lock")
DEVICE_SOCKET = Path("/var/lib/kubelet/device-plugins/kubelet.sock")
RUNC_STATE = Path("/run/containerd/runc/k8s.io")
# Made by the same programs; removed where they are left empty.
LEFT_DIRECTORIES = (
    "/etc/cni/net.d",
    "/etc/cni",
    "/run/containerd/runc/k8s.io",
    "/run/containerd/runc",
    "/run/containerd/s",
    "/run/containerd",
    "/var/lib/cni/results",
    "/var/lib/cni",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/usr/libexec/kubernetes/kubelet-plugins/volume/exec",
    "/usr/libexec/kubernetes/kubelet-plugins/volume",
    "/usr/libexec/kubernetes/kubelet-plugins",
    "/usr/libexec/kubernetes",
)


def down(layout: Layout) -> None:
    """Take the cluster down; nothing happens where there is none."""
    require_root("the cluster's processes, mounts and bridge belong to root")
    with exclusive(layout.lock, "take the cluster down"):
        if not layout.state.exists():
            say(f"no cluster in {layout.state}")
            return
        with step("taking the cluster down (usually 10 s)"):
            tear_down(layout)


def tear_down(layout: Layout) -> None:
    """Processes first, then what they held, then the directory that remembers them."""
    if read_json(layout.origin).get("boot_id") == boot_id():
        _stop_parts(layout)
    _kill_containers(layout)
    network.remove_network()
    network.restore_kernel_settings(read_json(layout.origin).get("kernel_settings", {}))
    _remove_outside_traces(layout)
    busy = [str(path) for path in cgroups.remove_cgroups()]
    stuck = mounts.unmount_below(layout.state)
    if stuck or busy:
        raise LocalClusterError(f"could not be removed: {', '.join(stuck + busy)}; run `down` again")
    shutil.rmtree(layout.state)


def _stop_parts(layout: Layout) -> None:
    supervisor = supervisor_identity(layout)
    if supervisor is not None:
        stop(supervisor, SUPERVISOR_GRACE_S)
    # Where the supervisor was dead, or was killed in the middle of it.
    for state in reversed(read_record(layout).values()):
        if state.identity is not None:
            stop(state.identity, 4.0)


def shims(socket: Path, processes: list[tuple[Identity, list[str]]]) -> list[Identity]:
    """The containerd shims among the processes that serve our containerd: known by its socket's path."""
    ours = f"{socket}.ttrpc", str(socket)
    return [
        identity
        for identity, arguments in processes
        if "-address" in arguments[:-1] and arguments[arguments.index("-address") + 1] in ours
    ]


def _kill_containers(layout: Layout) -> None:
    # Shims first: one that is alive reports its container's end and runs runc to clean up.
    for find in (lambda: shims(layout.containerd_socket, list(all_processes())), cgroups.processes):
        found = list(find())
        for identity in found:
            send(identity, signal.SIGKILL)
        left = wait_gone(found, 10.0)
        if left:
            raise LocalClusterError(f"processes {[one.pid for one in left]} do not end; run `down` again")


def _remove_outside_traces(layout: Layout) -> None:
    for bundle in (layout.containerd_state / "io.containerd.runtime.v2.task" / "k8s.io").glob("*/"):
        _remove_container_traces(bundle)
    if CONTAINER_LOG_LINKS.is_dir():
        for link in CONTAINER_LOG_LINKS.iterdir():
            if link.is_symlink() and link.readlink().is_relative_to(layout.state):
                link.unlink()
    for directory in CNI_RESULTS:
        for result in directory.glob("videofleet-*"):
            result.unlink()
    if CNI_LOCK.exists() and list(CNI_LOCK.parent.iterdir()) == [CNI_LOCK]:
        CNI_LOCK.unlink()
    # Only where no other kubelet listens on it.
    if DEVICE_SOCKET.exists() and not is_ready(Probe("unix", str(DEVICE_SOCKET))):
        DEVICE_SOCKET.unlink()
    for name in LEFT_DIRECTORIES:
        if Path(name).is_dir() and not any(Path(name).iterdir()):
            Path(name).rmdir()


def _remove_container_traces(bundle: Path) -> None:
    """The shim's socket and runc's record of one container; ``bundle`` is named by the container's id."""
    remove_shim_socket(bundle)
    shutil.rmtree(RUNC_STATE / bundle.name, ignore_errors=True)
    for directory in CNI_RESULTS:
        (directory / f"cni-loopback-{bundle.name}-lo").unlink(missing_ok=True)


def remove_shim_socket(bundle: Path) -> None:
    """A shim that is killed leaves its socket; the bundle of its container says where that is."""
    address = str(read_json(bundle / "bootstrap.json").get("address", ""))
    if address:
        Path(address.removeprefix("unix://")).unlink(missing_ok=True)
