"""What a pool adds to its pods, and that it cannot touch what is the operator's."""

from typing import Any

import pytest

from tests.support.domain import pool
from videofleet_api import names
from videofleet_operator.domain.pools import Place
from videofleet_operator.services import podspec

SECURITY = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def pod(**fields: Any) -> dict[str, Any]:
    return podspec.worker_pod(pool("gpu", **fields), Place(0, 0), "localhost/worker:1", b"authority")


def templated(**spec: Any) -> dict[str, Any]:
    """The spec of a pod whose pool has this podTemplate.spec."""
    return dict(pod(podTemplate={"spec": spec})["spec"])


def test_labels_and_annotations_are_added_and_ours_stay() -> None:
    given = {"labels": {"team": "roads", names.LABEL_POOL: "other"}, "annotations": {"scrape": "true"}}
    metadata = pod(podTemplate={"metadata": given})["metadata"]
    assert metadata["labels"]["team"] == "roads"
    assert metadata["labels"][names.LABEL_POOL] == "gpu"
    assert metadata["annotations"]["scrape"] == "true"
    assert names.ANNOTATION_TEMPLATE_DIGEST in metadata["annotations"]


def test_the_worker_gets_environment_and_volumes() -> None:
    spec = templated(
        volumes=[{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}],
        containers=[
            {
                "name": "worker",
                "env": [
                    {"name": "OMP_NUM_THREADS", "value": "2"},
                    {"name": "VIDEOFLEET_TLS_DIR", "value": "/elsewhere"},
                ],
                "volumeMounts": [{"name": "models", "mountPath": "/models", "readOnly": True}],
            }
        ],
    )
    (worker,) = spec["containers"]
    environment = [(each["name"], each.get("value")) for each in worker["env"]]
    assert ("OMP_NUM_THREADS", "2") in environment
    assert [value for name, value in environment if name == "VIDEOFLEET_TLS_DIR"] == ["/tls"], "ours stays, once"
    assert worker["image"] == "localhost/worker:1"
    assert worker["volumeMounts"][-1] == {"name": "models", "mountPath": "/models", "readOnly": True}
    assert [volume["name"] for volume in spec["volumes"]] == ["tls", "archive", "tmp", "models"]


def test_containers_beside_the_worker_are_restricted_like_it() -> None:
    shipper = {"name": "shipper", "image": "registry.example/shipper:1", "args": ["--all"]}
    prepare = {"name": "prepare", "image": "registry.example/prepare:1", "restartPolicy": "Always"}
    spec = templated(containers=[shipper], initContainers=[prepare], dnsPolicy="None", dnsConfig={"nameservers": ["1"]})
    assert spec["containers"][1] == {**shipper, "securityContext": SECURITY}
    assert spec["initContainers"] == [{**prepare, "securityContext": SECURITY}]
    assert (spec["dnsPolicy"], spec["dnsConfig"]) == ("None", {"nameservers": ["1"]})


def test_what_is_refused_does_not_reach_a_pod_even_if_the_server_let_it_through() -> None:
    """An older definition of the resource may lack the rules."""
    spec = templated(
        hostNetwork=True,
        hostPID=True,
        serviceAccountName="admin",
        automountServiceAccountToken=True,
        securityContext={"runAsUser": 0},
        nodeName="master",
        volumes=[{"name": "host", "hostPath": {"path": "/"}, "emptyDir": {}}],
        containers=[
            {
                "name": "side",
                "image": "i",
                "securityContext": {"privileged": True},
                "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
                "envFrom": [{"secretRef": {"name": "s"}}],
            }
        ],
    )
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert not {"hostNetwork", "hostPID", "serviceAccountName", "nodeName"} & spec.keys()
    assert spec["volumes"][-1] == {"name": "host", "emptyDir": {}}
    assert spec["containers"][1] == {
        "name": "side",
        "image": "i",
        "env": [{"name": "A", "valueFrom": {}}],
        "securityContext": SECURITY,
    }


def test_affinity_and_spread() -> None:
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
    spec = pod(affinity=affinity, topologySpread=[{"topologyKey": "topology.kubernetes.io/zone"}])["spec"]
    assert spec["affinity"] == affinity
    assert spec["topologySpreadConstraints"] == [
        {
            "topologyKey": "topology.kubernetes.io/zone",
            "maxSkew": 1,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {names.LABEL_POOL: "gpu"}},
        }
    ]


class TestAccelerator:
    @pytest.mark.parametrize(
        ("accelerator", "limits"),
        [
            ({}, {"nvidia.com/gpu": "1"}),
            ({"count": 2}, {"nvidia.com/gpu": "2"}),
            ({"resourceName": "nvidia.com/mig-1g.10gb"}, {"nvidia.com/mig-1g.10gb": "1"}),
            ({"resourceName": "nvidia.com/gpu.shared"}, {"nvidia.com/gpu.shared": "1"}),
            ({"resourceName": "vendor.example/npu", "count": 4}, {"vendor.example/npu": "4"}),
            ({"type": "none"}, {}),
        ],
        ids=["a GPU", "two", "a MIG slice", "a time slice", "another vendor's", "none"],
    )
    def test_it_asks_for_exactly_that(self, accelerator: dict[str, Any], limits: dict[str, str]) -> None:
        resources = pod(accelerator=accelerator)["spec"]["containers"][0]["resources"]
        assert {name: value for name, value in resources["limits"].items() if "/" in name} == limits
        assert "claims" not in resources

    def test_a_device_is_claimed(self) -> None:
        spec = pod(accelerator={"resourceClaimTemplateName": "one-gpu"})["spec"]
        assert spec["resourceClaims"] == [{"name": "accelerator", "resourceClaimTemplateName": "one-gpu"}]
        resources = spec["containers"][0]["resources"]
        assert resources["claims"] == [{"name": "accelerator"}]
        assert not [name for name in resources["limits"] if "/" in name]
        assert "nodeSelector" not in spec, "the claim finds the node"


@pytest.mark.parametrize(
    "change",
    [
        {"podTemplate": {"metadata": {"labels": {"team": "roads"}}}},
        {"podTemplate": {"spec": {"schedulerName": "other"}}},
        {"affinity": {"podAntiAffinity": {}}},
        {"topologySpread": [{"topologyKey": "zone"}]},
        {"accelerator": {"resourceClaimTemplateName": "one-gpu"}},
        {"isolation": "pod"},
    ],
)
def test_each_makes_another_template(change: dict[str, Any]) -> None:
    base = podspec.template_digest(pool(), "image", b"authority")
    assert podspec.template_digest(pool(**change), "image", b"authority") != base
