"""The configuration files of the parts, as text: pure functions of the layout."""

import base64
import json
from collections.abc import Sequence

from localcluster import layout as at
from localcluster.layout import Layout


def kubeconfig(layout: Layout, user: str) -> str:
    """A kubeconfig with everything inside, so that the file can be copied."""

    def inline(name: str) -> str:
        return base64.b64encode((layout.pki / name).read_bytes()).decode()

    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: videofleet
  cluster:
    server: https://{at.BRIDGE_IP}:{at.API_PORT}
    certificate-authority-data: {inline("ca.crt")}
users:
- name: {user}
  user:
    client-certificate-data: {inline(f"{user}.crt")}
    client-key-data: {inline(f"{user}.key")}
contexts:
- name: videofleet
  context:
    cluster: videofleet
    user: {user}
current-context: videofleet
"""


def containerd(layout: Layout, snapshotter: str) -> str:
    """containerd with our own directories; ``restrict_oom_score_adj`` lets it work without CAP_SYS_RESOURCE.

    The shim is named by its path, since an older containerd of the machine may have put its own on PATH. Plugins of
    NRI lie in folders of the machine and share one socket, so there are none.
    """
    return f"""\
version = 4
root = "{layout.containerd_root}"
state = "{layout.containerd_state}"
[plugins."io.containerd.server.v1.grpc"]
  address = "{layout.containerd_socket}"
[plugins."io.containerd.server.v1.ttrpc"]
  address = "{layout.containerd_socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{layout.state}/opt"
[plugins."io.containerd.nri.v1.nri"]
  disable = true
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "{snapshotter}"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{at.PAUSE_IMAGE}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "{layout.config}/cni"
  max_conf_num = 1
[plugins."io.containerd.cri.v1.runtime".containerd]
  default_runtime_name = "runc"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  runtime_path = "{layout.bin}/containerd-shim-runc-v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = false
"""


def cni(layout: Layout) -> str:
    """Bridge, addresses and host ports of the pods. Masquerading is ours, once for all pods (network.py)."""
    bridge = {
        "type": "bridge",
        "bridge": at.BRIDGE,
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(layout.state / "cni-addresses"),
            "ranges": [[{"subnet": at.POD_CIDR, "gateway": at.BRIDGE_IP}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return json.dumps({"cniVersion": "0.4.0", "name": "videofleet", "plugins": [bridge, ports]}, indent=1)


def kubelet(layout: Layout) -> str:
    """The kubelet: works on both cgroup versions, never evicts for a full disk, never removes an image.

    Images cannot be pulled again here (there is no registry), so their collection is off (100).
    """
    disk = ("imagefs.available", "nodefs.available", "imagefs.inodesFree", "nodefs.inodesFree")
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": at.BRIDGE_IP,
            "port": at.KUBELET_PORT,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(layout.pki / "kubelet-server.crt"),
            "tlsPrivateKeyFile": str(layout.pki / "kubelet-server.key"),
            "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{at.CGROUP}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": [],
            "evictionHard": {"memory.available": "50Mi", **dict.fromkeys(disk, "0%")},
            "imageGCHighThresholdPercent": 100,
            "clusterDNS": [at.DNS_SERVICE_IP],
            "clusterDomain": at.CLUSTER_DOMAIN,
            "resolvConf": str(layout.config / "resolv.conf"),
            "makeIPTablesUtilChains": False,
            "volumePluginDir": str(layout.kubelet / "volume-plugins"),
            "podLogsDir": str(layout.state / "pod-logs"),
            "shutdownGracePeriod": "0s",
            "nodeStatusUpdateFrequency": "10s",
            "syncFrequency": "30s",
            "maxPods": 110,
            "serializeImagePulls": False,
        },
        indent=1,
    )


def kube_proxy(layout: Layout) -> str:
    """kube-proxy on iptables; conntrack sizes are left as the machine has them."""
    return json.dumps(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(layout.config / "kube-proxy.kubeconfig")},
            "clusterCIDR": at.POD_CIDR,
            "hostnameOverride": at.NODE_NAME,
            "mode": "iptables",
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
        },
        indent=1,
    )


def corefile(layout: Layout, nameservers: Sequence[str]) -> str:
    """Names of the cluster, everything else to the machine's own name servers."""
    forward = (
        "    forward . " + " ".join(nameservers) + " {\n        max_concurrent 1000\n    }\n" if nameservers else ""
    )
    return f"""\
.:53 {{
    bind {at.BRIDGE_IP}
    errors
    health 127.0.0.1:{at.COREDNS_HEALTH_PORT}
    ready 127.0.0.1:{at.COREDNS_READY_PORT}
    kubernetes {at.CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {layout.config}/coredns.kubeconfig videofleet
        pods insecure
        fallthrough in-addr.arpa
        ttl 5
    }}
{forward}    cache 5
    loop
    reload
}}
"""


def nameservers(resolv_conf: str) -> list[str]:
    """Addresses of the ``nameserver`` lines."""
    lines = (line.split() for line in resolv_conf.splitlines())
    return [words[1] for words in lines if len(words) >= 2 and words[0] == "nameserver"]


def pod_resolv_conf(resolv_conf: str) -> str:
    """resolv.conf for pods with dnsPolicy Default: a loopback address means nothing inside a pod."""
    usable = [address for address in nameservers(resolv_conf) if not address.startswith("127.") and address != "::1"]
    return "".join(f"nameserver {address}\n" for address in usable or [at.BRIDGE_IP])
