"""The bridge, the kernel settings and the packet filter rules of the cluster, and their removal."""

import json
from pathlib import Path

from localcluster import iptables
from localcluster.layout import BRIDGE, BRIDGE_IP, POD_CIDR, SERVICE_CIDR
from localcluster.shell import run, succeeds

# A fixed address: the bridge would otherwise take the lowest one of its ports and change it as pods come and go.
BRIDGE_MAC = "0a:58:0a:f4:00:01"
SYSCTLS_WANTED = {
    "net/ipv4/ip_forward": "1",
    # So that a reply between two pods on the bridge passes the rules that turned a Service's address into a pod's.
    "net/bridge/bridge-nf-call-iptables": "1",
}
# Written by the kubelet and kube-proxy; remembered here so that `down` can put them back.
SYSCTLS_TOUCHED = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
)
FORWARD_CHAIN = "VIDEOFLEET-FORWARD"
_PROC_SYS = Path("/proc/sys")


def kernel_settings() -> dict[str, str]:
    """Present values of everything that the cluster changes; settings that this kernel lacks are left out."""
    names = [*SYSCTLS_WANTED, *SYSCTLS_TOUCHED]
    return {name: (_PROC_SYS / name).read_text().strip() for name in names if (_PROC_SYS / name).exists()}


def restore_kernel_settings(before: dict[str, str]) -> None:
    """Write back what ``kernel_settings`` had read, where it differs now."""
    for name, value in before.items():
        path = _PROC_SYS / name
        if path.exists() and path.read_text().strip() != value:
            path.write_text(value)


def foreign_cluster_rules() -> set[str]:
    """Chains of a cluster, where kube-proxy's are among them before ours runs: another Kubernetes on this machine."""
    found = iptables.chains(run(["iptables-save"], check=False))
    return found if any(name.startswith("KUBE-") for name in found) else set()


def left_by_ours(rules: set[str]) -> bool:
    """Whether a cluster of this program made them: it adds a chain of its own, which no other Kubernetes has."""
    return FORWARD_CHAIN in rules


def ensure_network() -> None:
    """Make the bridge, the kernel settings and our rules; may be repeated."""
    if not Path(f"/sys/class/net/{BRIDGE}").exists():
        run(["ip", "link", "add", "name", BRIDGE, "address", BRIDGE_MAC, "type", "bridge"])
    if not _has_address():
        run(["ip", "address", "add", f"{BRIDGE_IP}/{POD_CIDR.split('/')[1]}", "dev", BRIDGE])
    run(["ip", "link", "set", "dev", BRIDGE, "up"])
    if not (_PROC_SYS / "net/bridge").exists():
        run(["modprobe", "br_netfilter"])
    for name, value in SYSCTLS_WANTED.items():
        (_PROC_SYS / name).write_text(value)
    # What is still addressed to a Service once kube-proxy has had its turn is addressed to one that is gone. It would
    # leave the machine by the default route, and whoever is there would answer.
    unclaimed = ["-d", SERVICE_CIDR, "-j", "REJECT"]
    _ensure_chain("filter", "OUTPUT", "VIDEOFLEET-OUTPUT", [unclaimed])
    passing = [["-i", BRIDGE, "-j", "ACCEPT"], ["-o", BRIDGE, "-j", "ACCEPT"]]
    _ensure_chain("filter", "FORWARD", FORWARD_CHAIN, [unclaimed, *passing])
    leaving = ["-s", POD_CIDR, "!", "-d", POD_CIDR, "!", "-o", BRIDGE, "-j", "MASQUERADE"]
    _ensure_chain("nat", "POSTROUTING", "VIDEOFLEET-POSTROUTING", [leaving])


def _has_address() -> bool:
    shown = json.loads(run(["ip", "-json", "address", "show", "dev", BRIDGE]))
    return any(entry.get("local") == BRIDGE_IP for link in shown for entry in link.get("addr_info", []))


def _ensure_chain(table: str, parent: str, chain: str, rules: list[list[str]]) -> None:
    base = ["iptables", "--wait", "--table", table]
    if not succeeds([*base, "--list", chain, "--numeric"]):
        run([*base, "--new-chain", chain])
    run([*base, "--flush", chain])
    for rule in rules:
        run([*base, "--append", chain, *rule])
    if not succeeds([*base, "--check", parent, "--jump", chain]):
        run([*base, "--insert", parent, "--jump", chain])


def remove_network() -> None:
    """Remove the bridge with what hangs on it, and all rules of the cluster."""
    if Path(f"/sys/class/net/{BRIDGE}").exists():
        run(["ip", "link", "delete", BRIDGE])
    for family in ("iptables", "ip6tables"):
        script = iptables.removal(run([f"{family}-save"], check=False))
        if script:
            run([f"{family}-restore", "--noflush"], stdin=script)
