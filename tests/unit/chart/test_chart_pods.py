"""The pods of the chart: the restricted profile of the Pod Security Standards, probes, resources."""

import pytest

from tests.unit.chart.rendering import Json, render
from videofleet_operator.config import load


def pod_specs() -> list[Json]:
    """The operator's pod and the one of `helm test`."""
    rendered = render()
    return [rendered.pod_spec(), rendered.one("Pod", "videofleet-test")["spec"]]


@pytest.mark.parametrize("index", [0, 1], ids=["operator", "test"])
def test_pods_meet_the_restricted_profile(index: int) -> None:
    spec = pod_specs()[index]
    security = spec["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == 65532
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert all(set(volume) & {"configMap", "emptyDir"} for volume in spec["volumes"])


@pytest.mark.parametrize("index", [0, 1], ids=["operator", "test"])
def test_containers_have_requests_and_a_memory_limit(index: int) -> None:
    for container in pod_specs()[index]["containers"]:
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]


def test_the_operator_is_probed_on_its_plain_port() -> None:
    container = render().container()
    assert container["ports"] == [{"name": "metrics", "containerPort": 8080}]
    paths = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert paths == {
        "startup": {"path": "/healthz", "port": "metrics"},
        "liveness": {"path": "/healthz", "port": "metrics"},
        "readiness": {"path": "/readyz", "port": "metrics"},
    }


def test_the_operator_understands_the_environment_that_it_is_given() -> None:
    rendered = render(
        watchNamespaces=["north"],
        licence={"required": True},
        operator={"logLevel": "DEBUG", "sourceStarts": {"burst": 100, "perSecond": 50.5}},
    )
    filled_in = {"VIDEOFLEET_IDENTITY": "videofleet-operator-x", "VIDEOFLEET_NAMESPACE": "site"}
    environment = {name: value or filled_in.get(name, "") for name, value in rendered.environment().items()}
    config = load(environment)
    assert config.namespaces == ("site", "north")
    assert config.licence_required is True
    assert config.log_level == "DEBUG"
    assert (config.source_start_burst, config.source_starts_per_second) == (100, 50.5)
    assert config.worker_image == "localhost/videofleet-worker:0.1.0"
    assert config.identity == "videofleet-operator-x"
    known = {f"VIDEOFLEET_{name.upper()}" for name in type(config).model_fields}
    assert environment.keys() <= known


def test_the_licence_keys_are_where_the_operator_looks() -> None:
    pem = "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n"
    rendered = render(licence={"publicKeys": {"vendor.pem": pem}})
    mounts = {mount["name"]: mount["mountPath"] for mount in rendered.container()["volumeMounts"]}
    assert mounts["licence-keys"] == rendered.environment()["VIDEOFLEET_LICENCE_PUBLIC_KEYS"]
    assert rendered.one("ConfigMap", "videofleet-licence-keys")["data"] == {"vendor.pem": pem}


def test_new_licence_keys_restart_the_operator() -> None:
    def digest(**keys: str) -> str:
        rendered = render(licence={"publicKeys": {f"{name}.pem": text for name, text in keys.items()}})
        template = rendered.one("Deployment", "videofleet-operator")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/licence-keys"])

    assert digest() != digest(a="-----BEGIN PUBLIC KEY-----")


def test_images_take_a_tag_a_digest_or_the_charts_version() -> None:
    digest = "sha256:" + "a" * 64
    image = {"repository": "registry.example/op"}
    assert render(operator={"image": image}).container()["image"] == "registry.example/op:0.1.0"
    assert render(operator={"image": image | {"tag": "7"}}).container()["image"] == "registry.example/op:7"
    given = image | {"tag": "7", "digest": digest}
    assert render(operator={"image": given}).container()["image"] == f"registry.example/op@{digest}"


def test_two_operators_are_spread_and_evicted_one_at_a_time() -> None:
    rendered = render()
    assert rendered.one("Deployment", "videofleet-operator")["spec"]["replicas"] == 2
    (budget,) = rendered.of("PodDisruptionBudget")
    labels = rendered.one("Deployment", "videofleet-operator")["spec"]["template"]["metadata"]["labels"]
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert budget["spec"]["minAvailable"] == 1
    assert rendered.pod_spec()["topologySpreadConstraints"][0]["topologyKey"] == "kubernetes.io/hostname"


def test_one_operator_alone_can_be_evicted() -> None:
    rendered = render(operator={"replicas": 1})
    assert not rendered.of("PodDisruptionBudget")
    assert "topologySpreadConstraints" not in rendered.pod_spec()


def test_service_deployment_and_policy_select_the_operator() -> None:
    rendered = render()
    deployment = rendered.one("Deployment", "videofleet-operator")["spec"]
    labels = deployment["template"]["metadata"]["labels"].items()
    service = rendered.one("Service", "videofleet-operator")["spec"]
    policy = rendered.one("NetworkPolicy", "videofleet-operator")["spec"]
    assert deployment["selector"]["matchLabels"].items() <= labels
    assert service["selector"].items() <= labels
    assert policy["podSelector"]["matchLabels"].items() <= labels
    workers = rendered.one("NetworkPolicy", "videofleet-workers")["spec"]
    assert workers["ingress"][0]["from"][0]["podSelector"]["matchLabels"].items() <= labels
