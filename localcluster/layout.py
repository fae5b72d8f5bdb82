"""Where everything lies, and the addresses of the cluster."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import LocalClusterError

GO_MODULES = Path(__file__).resolve().parent / "go"

NODE_NAME = "videofleet-node"
BRIDGE = "videofleet0"
# The bridge's address doubles as the node's: the API server and the kubelet listen on it alone, so pods and
# the host reach them, and nothing is opened to other machines.
BRIDGE_IP = "10.244.0.1"
POD_CIDR = "10.244.0.0/24"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"
API_PORT = 6443
ETCD_PORT = 23790
ETCD_PEER_PORT = 23800
KUBELET_PORT = 10250
COREDNS_READY_PORT = 18181
COREDNS_HEALTH_PORT = 18180
PAUSE_IMAGE = "localhost/videofleet-pause:1"
# The parent of all pods' control groups, so that `down` finds every process of a pod without guessing.
CGROUP = "videofleet-localcluster"
STATE_VARIABLE = "VIDEOFLEET_LOCALCLUSTER_DIR"
DEFAULT_STATE = "/var/lib/videofleet-localcluster"


def kubernetes_version(go_mod: str) -> str:
    """The release that go.mod requires, without its v: the only place where it is written."""
    found = re.search(r"^\s*(?:require\s+)?k8s\.io/kubernetes v(\d+\.\d+\.\d+)", go_mod, re.MULTILINE)
    if found is None:
        raise LocalClusterError("localcluster/go/kubernetes/go.mod does not require k8s.io/kubernetes vX.Y.Z")
    return found.group(1)


@dataclass(frozen=True)
class Layout:
    """The cache (kept) and the state (removed by ``down``) of one cluster."""

    cache: Path
    state: Path
    version: str

    @property
    def bin(self) -> Path:
        """Built programs of this Kubernetes release."""
        return self.cache / f"kubernetes-{self.version}" / "bin"

    @property
    def build_logs(self) -> Path:
        """One log a build."""
        return self.cache / "logs"

    @property
    def images(self) -> Path:
        """Archives and records of built images."""
        return self.cache / "images"

    @property
    def lock(self) -> Path:
        """Held while a command changes the cluster; outside the state, which such a command may remove."""
        return self.cache / "locks" / (str(self.state).strip("/").replace("/", "-") + ".lock")

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def config(self) -> Path:
        """Configuration files of the parts."""
        return self.state / "config"

    @property
    def logs(self) -> Path:
        """One log a part."""
        return self.state / "logs"

    @property
    def pids(self) -> Path:
        """One pid file a part."""
        return self.state / "pids"

    @property
    def plan(self) -> Path:
        """What the supervisor has to keep running."""
        return self.state / "plan.json"

    @property
    def record(self) -> Path:
        """What the supervisor saw."""
        return self.state / "state.json"

    @property
    def origin(self) -> Path:
        """What the machine was like before ``up``: boot id, kernel settings."""
        return self.state / "origin.json"

    @property
    def containerd_root(self) -> Path:
        """Images and snapshots."""
        return self.state / "containerd"

    @property
    def containerd_state(self) -> Path:
        """Running containers."""
        return self.state / "run"

    @property
    def containerd_socket(self) -> Path:
        """Our own containerd's socket, never the system's."""
        return self.containerd_state / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        """The kubelet's root directory."""
        return self.state / "kubelet"

    @property
    def admin_kubeconfig(self) -> Path:
        """For the user."""
        return self.state / "admin.kubeconfig"


def cache_dir(env: Mapping[str, str]) -> Path:
    """``${XDG_CACHE_HOME:-~/.cache}/videofleet``."""
    base = env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME", "~")).expanduser() / ".cache")
    return Path(base) / "videofleet"


def state_dir(env: Mapping[str, str]) -> Path:
    """The directory named by VIDEOFLEET_LOCALCLUSTER_DIR, or the default."""
    path = Path(env.get(STATE_VARIABLE) or DEFAULT_STATE)
    # A unix socket's path may have 107 characters, and the longest below the state has about 30.
    if not path.is_absolute() or len(str(path)) > 70:
        raise LocalClusterError(f"{STATE_VARIABLE}={path}: give an absolute path of at most 70 characters")
    return path


def current_layout(env: Mapping[str, str] = os.environ) -> Layout:
    """The layout that the environment asks for."""
    version = kubernetes_version((GO_MODULES / "kubernetes" / "go.mod").read_text())
    return Layout(cache_dir(env), state_dir(env), version)
