"""What stands in a cluster's way: another Kubernetes, a taken port, the network of a cluster that is gone."""

import socket

from localcluster.console import say
from localcluster.errors import LocalClusterError
from localcluster.layout import Layout
from localcluster.network import foreign_cluster_rules, left_by_ours, remove_network
from localcluster.parts import all_parts


def refuse_neighbours(layout: Layout) -> None:
    """Another cluster's packet filter rules and ports; what a cluster of ours left without a folder is removed."""
    if layout.origin.exists():
        return
    taken = _taken_port(layout)
    rules = foreign_cluster_rules()
    if rules and (taken or not left_by_ours(rules)):
        raise LocalClusterError(
            f"another Kubernetes has packet filter rules on this machine ({', '.join(sorted(rules)[:3])}, ...): "
            "stop it first, or use another machine"
        )
    if taken:
        raise LocalClusterError(taken)
    if rules:
        say("removing the network of an earlier local cluster, whose processes and folder are gone")
        remove_network()


def _taken_port(layout: Layout) -> str:
    """Which part finds its port held by another process; empty where none does."""
    for part in all_parts(layout):
        address = part.probe.target.split("/")[0]
        if part.probe.kind in ("unix", "process") or not address.startswith("127."):
            continue
        host, port = address.rsplit(":", 1)
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind((host, int(port)))
            except OSError as taken:
                return f"{part.name} needs {address}, which another process holds: {taken}"
    return ""
