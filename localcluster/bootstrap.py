"""Objects that the cluster itself needs, applied at every ``up``: rights and the Service of CoreDNS."""

from collections.abc import Iterator
from typing import Any

from localcluster.apiclient import ApiClient
from localcluster.layout import BRIDGE_IP, DNS_SERVICE_IP

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_DNS_PORTS = (("dns", "UDP"), ("dns-tcp", "TCP"))


def objects() -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and content of each object."""
    yield f"{_RBAC}/clusterroles/system:coredns", _coredns_role()
    yield f"{_RBAC}/clusterrolebindings/system:coredns", _coredns_binding()
    yield "/api/v1/namespaces/kube-system/services/kube-dns", _dns_service()
    yield "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns-host", _dns_endpoints()


def apply_objects(api: ApiClient) -> None:
    """Create or update all of them."""
    for path, content in objects():
        api.apply(path, content)


def _coredns_role() -> dict[str, Any]:
    read = ["list", "watch"]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "system:coredns"},
        "rules": [
            {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": read},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
        ],
    }


def _coredns_binding() -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "system:coredns"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "system:coredns"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "system:coredns"}],
    }


def _dns_service() -> dict[str, Any]:
    # No selector: CoreDNS is a process on the node, listening on the bridge.
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
        "spec": {
            "clusterIP": DNS_SERVICE_IP,
            "ports": [{"name": name, "port": 53, "protocol": protocol} for name, protocol in _DNS_PORTS],
        },
    }


def _dns_endpoints() -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kube-dns-host",
            "namespace": "kube-system",
            "labels": {
                "kubernetes.io/service-name": "kube-dns",
                "endpointslice.kubernetes.io/managed-by": "localcluster",
            },
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [BRIDGE_IP], "conditions": {"ready": True}}],
        "ports": [{"name": name, "port": 53, "protocol": protocol} for name, protocol in _DNS_PORTS],
    }
