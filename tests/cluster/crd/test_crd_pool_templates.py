"""What the API server refuses of a WorkerPool's pods, and the sentence that a person then reads."""

from typing import Any

import pytest

from tests.cluster.crd.server import Json, Server

SECURITY = "securityContext cannot be set: the operator makes worker pods by the restricted profile"
ACCOUNTS = "service accounts cannot be set: worker pods have no access to the API server"
HOST = "namespaces of the host, and one for all processes, cannot be set for worker pods"
VOLUMES = (
    "a volume is one of configMap, emptyDir, downwardAPI, persistentVolumeClaim or ephemeral; "
    "no other kind is let into worker pods"
)
EXCLUSIVE = "resourceClaimTemplateName asks for the device by itself: give either it, or resourceName and count"
CLAIMED_NONE = (
    "workers with an accelerator of type none claim no device: take resourceClaimTemplateName or the type away"
)
OWN = "the volumes tls, archive, tmp and those whose names begin with model- or media- are the operator's"
SPEC = "spec.podTemplate.spec"


def template(**spec: Any) -> Json:
    """A pool with this podTemplate.spec."""
    return {"podTemplate": {"spec": spec}}


def volume(**source: Any) -> Json:
    """A pool with one volume."""
    return template(volumes=[{"name": "v", **source}])


def container(**fields: Any) -> Json:
    """A pool with one container beside the worker."""
    return template(containers=[{"name": "side", "image": "i", **fields}])


REFUSED: dict[str, tuple[Json, tuple[str, str]]] = {
    "a security context": (template(securityContext={"runAsUser": 0}), (SPEC, SECURITY)),
    "a service account": (template(serviceAccountName="admin"), (SPEC, ACCOUNTS)),
    "a token": (template(automountServiceAccountToken=True), (SPEC, ACCOUNTS)),
    "the host's network": (template(hostNetwork=True), (SPEC, HOST)),
    "the host's processes": (template(hostPID=True), (SPEC, HOST)),
    "the host's memory": (template(hostIPC=True), (SPEC, HOST)),
    "shared processes": (template(shareProcessNamespace=True), (SPEC, HOST)),
    "a folder of the host": (volume(hostPath={"path": "/"}), (f"{SPEC}.volumes[0]", VOLUMES)),
    "a Secret as a volume": (volume(secret={"secretName": "s"}), (f"{SPEC}.volumes[0]", VOLUMES)),
    "a token as a volume": (volume(projected={"sources": []}), (f"{SPEC}.volumes[0]", VOLUMES)),
    "a volume of two kinds": (volume(emptyDir={}, configMap={"name": "c"}), (f"{SPEC}.volumes[0]", VOLUMES)),
    "a volume of no kind": (volume(), (f"{SPEC}.volumes[0]", VOLUMES)),
    "the worker's own volume": (
        template(volumes=[{"name": "tls", "emptyDir": {}}]),
        (
            f"{SPEC}.volumes[0]",
            OWN,
        ),
    ),
    "a volume of the pool's models": (
        template(volumes=[{"name": "model-yolo", "emptyDir": {}}]),
        (f"{SPEC}.volumes[0]", OWN),
    ),
    "a privileged container": (
        container(securityContext={"privileged": True}),
        (f"{SPEC}.containers[0]", SECURITY),
    ),
    "another image for the worker": (
        template(containers=[{"name": "worker", "image": "mine"}]),
        (
            f"{SPEC}.containers[0]",
            "only env and volumeMounts can be added to the container worker: image and resources are the pool's",
        ),
    ),
    "a container without an image": (
        template(initContainers=[{"name": "side"}]),
        (f"{SPEC}.initContainers[0]", "a container needs an image (the pool's own container is named worker)"),
    ),
    "the worker's key in another container": (
        container(volumeMounts=[{"name": "tls", "mountPath": "/tls"}]),
        (f"{SPEC}.containers[0]", "the volume tls holds the worker's key and is not for other containers"),
    ),
    "a Secret in the environment": (
        container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
        (
            f"{SPEC}.containers[0].env[0].valueFrom",
            "env may come from a value, a ConfigMap or the pod's own fields, not from a Secret: "
            "a worker reads data from strangers",
        ),
    ),
    "a label of ours": (
        {"podTemplate": {"metadata": {"labels": {"videofleet.io/pool": "other"}}}},
        ("spec.podTemplate.metadata", "labels of videofleet.io and app.kubernetes.io are the operator's"),
    ),
    "a claim and a resource": (
        {"accelerator": {"resourceClaimTemplateName": "c", "resourceName": "nvidia.com/gpu"}},
        ("spec.accelerator", EXCLUSIVE),
    ),
    "a claim and a count": (
        {"accelerator": {"resourceClaimTemplateName": "c", "count": 2}},
        ("spec.accelerator", EXCLUSIVE),
    ),
    "a claim of nothing": (
        {"accelerator": {"type": "none", "resourceClaimTemplateName": "c"}},
        ("spec.accelerator", CLAIMED_NONE),
    ),
    "capacity hints that do not exist": (
        {"capacityHints": "never"},
        ("spec.capacityHints", 'Unsupported value: "never": supported values: "fallback", "always", "ignore"'),
    ),
    "an isolation that does not exist": (
        {"isolation": "vm"},
        ("spec.isolation", 'Unsupported value: "vm": supported values: "process", "pod"'),
    ),
}


@pytest.mark.parametrize(("spec", "cause"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_for_a_pool_to_say_is_refused(server: Server, spec: Json, cause: tuple[str, str]) -> None:
    assert server.refusal("WorkerPool", spec).causes == {cause}


def test_a_kind_of_volume_that_is_not_known_is_named(server: Server) -> None:
    assert "spec.podTemplate.spec.volumes[0].nfs" in server.refusal("WorkerPool", volume(nfs={"server": "s"})).text


def test_what_may_be_added_is_taken_and_kept(server: Server) -> None:
    spec = {
        "podTemplate": {
            "metadata": {"labels": {"team": "roads"}},
            "spec": {
                "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}],
                "containers": [
                    {
                        "name": "worker",
                        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}],
                        "volumeMounts": [{"name": "models", "mountPath": "/models"}],
                    }
                ],
                "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["camera"]}],
            },
        },
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}},
        "topologySpread": [{"topologyKey": "kubernetes.io/hostname"}],
    }
    taken = server.create("WorkerPool", spec, "templated")["spec"]
    assert taken["podTemplate"] == spec["podTemplate"]
    assert taken["affinity"] == spec["affinity"]
    assert taken["topologySpread"][0]["whenUnsatisfiable"] == "ScheduleAnyway"
