"""The gateway in the chart: what it is given, what it may do, who reaches it, how it ends."""

import importlib.util
from typing import Any

import pytest
import yaml

from tests.unit.chart.rendering import CHART, NAMESPACE, Json, Rendered, refusal, render
from tests.unit.chart.test_chart_rbac import grants, subjects_of
from videofleet_api.names import LABEL_POOL
from videofleet_gateway.config import load

NAME = "videofleet-gateway"
POSTGRES = {"database": {"urlSecretRef": {"name": "database"}}}
GRANTS = {
    *(("videofleet.io", "videojobs", verb) for verb in ("get", "list", "watch", "create", "patch", "delete")),
    *(("videofleet.io", "workerpools", verb) for verb in ("list", "watch")),
    *(("", "pods", verb) for verb in ("get", "list")),
    *(("", "secrets", verb) for verb in ("get", "create", "patch", "delete")),
}


def with_gateway(gateway: Json | None = None, **values: Any) -> Rendered:
    return render(gateway={"enabled": True, **(gateway or {})}, **values)


def pod_of(rendered: Rendered) -> Json:
    spec: Json = rendered.one("Deployment", NAME)["spec"]["template"]["spec"]
    return spec


def environment(rendered: Rendered) -> dict[str, Any]:
    """None for what a Secret holds."""
    (container,) = pod_of(rendered)["containers"]
    return {entry["name"]: entry.get("value") for entry in container["env"]}


def test_without_being_enabled_nothing_of_it_is_made() -> None:
    assert not [each for each in render().objects if "gateway" in each["metadata"]["name"]]


def test_it_understands_the_environment_that_it_is_given() -> None:
    given = environment(with_gateway({"logLevel": "DEBUG", "drainSeconds": 7}, watchNamespaces=["north"]))
    config = load(given)
    assert config.namespaces == (NAMESPACE, "north")
    assert (config.log_level, config.drain_seconds) == ("DEBUG", 7)
    assert config.database_url == "sqlite+aiosqlite:////data/gateway.db"
    assert given.keys() <= {f"VIDEOFLEET_{name.upper()}" for name in type(config).model_fields}
    assert load(environment(with_gateway())).namespaces == ()


def test_it_listens_where_the_service_and_the_probes_look() -> None:
    rendered = with_gateway()
    (container,) = pod_of(rendered)["containers"]
    config = load(environment(rendered))
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"v": config.v_port, "f": config.f_port, "plain": config.plain_port}
    assert {container[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "liveness", "readiness")} == {"plain"}
    served = {port["name"]: port["port"] for port in rendered.one("Service", NAME)["spec"]["ports"]}
    assert served == {"v": 8080, "f": 18810}


@pytest.mark.acceptance("F1", "A44")
def test_f_is_served_where_its_clients_look_for_it() -> None:
    ports = {port["name"]: port["port"] for port in with_gateway().one("Service", NAME)["spec"]["ports"]}
    assert ports["f"] == 18810


@pytest.mark.acceptance("F41", "F87", "X8")
def test_what_is_set_of_f_is_what_it_goes_by() -> None:
    usual = load(environment(with_gateway()))
    assert (usual.f_anonymous_namespace, usual.f_adopt_foreign, usual.f_settings_file) == ("", False, None)
    assert [step.model for step in usual.f_analytics[0].steps] == ["detect", "track"]
    faces = [{"name": "main", "steps": [{"model": "face"}, {"model": "track"}]}]
    f = {"anonymousNamespace": "video", "adoptForeign": True, "streamSettings": {"play_speed": 1}, "analytics": faces}
    rendered = with_gateway({"f": f, "publicUrl": "https://video.example"})
    config = load(environment(rendered))
    assert (config.f_anonymous_namespace, config.f_adopt_foreign) == ("video", True)
    assert [step.model for step in config.f_analytics[0].steps] == ["face", "track"]
    assert config.public_url == "https://video.example"
    (container,) = pod_of(rendered)["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert str(config.f_settings_file) == f"{mounts['settings']}/video-manager.yaml"
    data = rendered.one("ConfigMap", f"{NAME}-settings")["data"]
    assert yaml.safe_load(data["video-manager.yaml"]) == {"stream_settings": {"play_speed": 1}}


def test_the_operator_makes_the_key_that_it_reads_from_workers_with() -> None:
    rendered = with_gateway()
    volumes = {volume["name"]: volume for volume in pod_of(rendered)["volumes"]}
    secret = volumes["worker-tls"]["secret"]
    assert secret["optional"] is True
    operator = rendered.one("Deployment", "videofleet-operator")["spec"]["template"]["spec"]["containers"][0]
    given = {entry["name"]: entry.get("value") for entry in operator["env"]}
    assert given["VIDEOFLEET_READER_SECRET"] == secret["secretName"]
    rules = rendered.one("Role", "videofleet-operator")["rules"]
    (own,) = [rule for rule in rules if rule.get("resourceNames") == [secret["secretName"]]]
    assert own["verbs"] == ["get", "patch"]
    (container,) = pod_of(rendered)["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert str(load(environment(rendered)).worker_tls) == mounts["worker-tls"]
    without = render().one("Deployment", "videofleet-operator")["spec"]["template"]["spec"]["containers"][0]
    assert "VIDEOFLEET_READER_SECRET" not in {entry["name"] for entry in without["env"]}


def test_with_sqlite_one_replica_has_a_volume_that_outlives_the_release() -> None:
    rendered = with_gateway()
    claim = rendered.one("PersistentVolumeClaim", f"{NAME}-database")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    volumes = {volume["name"]: volume for volume in pod_of(rendered)["volumes"]}
    assert volumes["database"]["persistentVolumeClaim"]["claimName"] == f"{NAME}-database"
    assert volumes["archive"]["persistentVolumeClaim"]["claimName"] == "videofleet-archive"
    assert rendered.one("Deployment", NAME)["spec"]["strategy"] == {"type": "Recreate"}
    assert NAME not in {budget["metadata"]["name"] for budget in rendered.of("PodDisruptionBudget")}
    assert "PostgreSQL" in refusal(gateway={"enabled": True, "replicas": 2})


def test_with_postgresql_replicas_follow_one_another_and_are_spread() -> None:
    rendered = with_gateway({"replicas": 3, **POSTGRES})
    deployment = rendered.one("Deployment", NAME)["spec"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    (container,) = pod_of(rendered)["containers"]
    (url,) = [entry for entry in container["env"] if entry["name"] == "VIDEOFLEET_DATABASE_URL"]
    assert url["valueFrom"]["secretKeyRef"] == {"name": "database", "key": "url"}
    assert not [claim for claim in rendered.of("PersistentVolumeClaim") if "gateway" in claim["metadata"]["name"]]
    assert rendered.one("PodDisruptionBudget", NAME)["spec"]["minAvailable"] == 1
    assert pod_of(rendered)["topologySpreadConstraints"][0]["topologyKey"] == "kubernetes.io/hostname"


def test_without_an_archive_it_is_refused() -> None:
    assert "archive" in refusal(gateway={"enabled": True}, archive={"create": False})


def test_an_archive_in_a_bucket_is_reached_as_the_workers_do() -> None:
    s3 = {"bucket": "results", "prefix": "site/a", "endpoint": "http://store:9000", "credentialsSecret": "store"}
    rendered = with_gateway(archive={"s3": s3})
    config = load(environment(rendered))
    assert (config.archive, config.archive_endpoint) == ("s3://results/site/a", "http://store:9000")
    assert config.archive_region == "us-east-1"
    (container,) = pod_of(rendered)["containers"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "archive"]
    assert mount["mountPath"] == str(config.archive_credentials)
    volumes = {volume["name"]: volume for volume in pod_of(rendered)["volumes"]}
    assert volumes["archive"]["secret"]["secretName"] == "store"


@pytest.mark.acceptance("V26")
def test_it_keeps_videos_in_the_archive_and_workers_fetch_them_by_its_service() -> None:
    rendered = with_gateway()
    config = load(environment(rendered))
    service = rendered.one("Service", NAME)
    (port,) = [each["port"] for each in service["spec"]["ports"] if each["name"] == "v"]
    assert config.staging_url == f"http://{service['metadata']['name']}.{NAMESPACE}.svc:{port}"
    (container,) = pod_of(rendered)["containers"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "archive"]
    assert mount == {"name": "archive", "mountPath": config.archive}, "and it may write there"
    assert pod_of(rendered)["securityContext"]["fsGroup"] == 65532
    given = with_gateway({"stagingUrl": "https://video.example"})
    assert load(environment(given)).staging_url == "https://video.example"


def test_browsers_stay_with_a_replica_where_there_are_several() -> None:
    assert "sessionAffinity" not in with_gateway().one("Service", NAME)["spec"]
    assert with_gateway({"replicas": 2, **POSTGRES}).one("Service", NAME)["spec"]["sessionAffinity"] == "ClientIP"


@pytest.mark.acceptance("V105")
def test_it_has_the_time_to_be_out_of_the_service_before_streams_end() -> None:
    pod = pod_of(with_gateway({"drainSeconds": 20}))
    (container,) = pod["containers"]
    probe = container["readinessProbe"]
    assert load(environment(with_gateway({"drainSeconds": 20}))).drain_seconds == 20
    assert pod["terminationGracePeriodSeconds"] >= 20 + 30
    assert probe["periodSeconds"] * probe["failureThreshold"] <= 5


def test_its_pods_meet_the_restricted_profile() -> None:
    rendered = with_gateway()
    for spec in (pod_of(rendered), rendered.one("Pod", "videofleet-test-gateway")["spec"]):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


def test_it_may_write_jobs_and_secrets_where_it_serves_and_nothing_else() -> None:
    rendered = with_gateway()
    role = rendered.one("ClusterRole", f"{NAMESPACE}-{NAME}")
    assert grants(role["rules"]) == GRANTS
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    assert subjects_of(rendered, "ClusterRole", f"{NAMESPACE}-{NAME}", None) == [account]
    narrowed = with_gateway(watchNamespaces=["north"])
    assert f"{NAMESPACE}-{NAME}" not in {each["metadata"]["name"] for each in narrowed.of("ClusterRole")}
    for namespace in ("north", NAMESPACE):
        (own,) = [each for each in narrowed.of("Role", namespace) if each["metadata"]["name"] == f"{NAMESPACE}-{NAME}"]
        assert grants(own["rules"]) == GRANTS
        assert subjects_of(narrowed, "Role", f"{NAMESPACE}-{NAME}", namespace) == [account]


def test_a_given_account_is_used_and_not_made() -> None:
    rendered = with_gateway({"serviceAccount": {"name": "mine"}})
    assert pod_of(rendered)["serviceAccountName"] == "mine"
    assert not {"mine", NAME} & {account["metadata"]["name"] for account in rendered.of("ServiceAccount")}


def test_service_policy_and_budget_select_it_and_no_operator() -> None:
    rendered = with_gateway({"replicas": 2, **POSTGRES})
    labels = rendered.one("Deployment", NAME)["spec"]["template"]["metadata"]["labels"]
    operator = rendered.one("Deployment", "videofleet-operator")["spec"]["template"]["metadata"]["labels"]
    for selector in (
        rendered.one("Deployment", NAME)["spec"]["selector"]["matchLabels"],
        rendered.one("Service", NAME)["spec"]["selector"],
        rendered.one("NetworkPolicy", NAME)["spec"]["podSelector"]["matchLabels"],
        rendered.one("PodDisruptionBudget", NAME)["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
        assert not selector.items() <= operator.items()


def test_who_may_talk_to_it_can_be_narrowed_and_metrics_are_apart() -> None:
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
    clients, workers, plain = with_gateway({"clients": [peer]}).one("NetworkPolicy", NAME)["spec"]["ingress"]
    ports = [{"port": port, "protocol": "TCP"} for port in (8080, 18810)]
    assert clients == {"ports": ports, "from": [peer]}
    assert workers["ports"] == ports[:1], "where videos that came in requests are"
    (pods,) = workers["from"]
    assert pods["podSelector"] == {"matchExpressions": [{"key": LABEL_POOL, "operator": "Exists"}]}
    everybody, _ = with_gateway().one("NetworkPolicy", NAME)["spec"]["ingress"]
    assert everybody == {"ports": ports}
    assert plain == {"ports": [{"port": 8090, "protocol": "TCP"}]}
    assert NAME not in {
        each["metadata"]["name"] for each in with_gateway(networkPolicy={"enabled": False}).of("NetworkPolicy")
    }


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ({"replicas": "two"}, "/gateway/replicas"),
        ({"drainSeconds": -1}, "/gateway/drainSeconds"),
        ({"database": {"size": "big"}}, "/gateway/database/size"),
        ({"service": {"type": "ExternalName"}}, "/gateway/service/type"),
        ({"stagingUrl": "video.example"}, "/gateway/stagingUrl"),
        ({"port": 1}, "port"),
    ],
)
def test_bad_values_are_refused_by_name(gateway: Json, said: str) -> None:
    assert said in refusal(gateway=gateway)


@pytest.mark.parametrize(
    ("status", "body", "wrong"),
    [
        (401, b'{"error": {"code": "unauthorized", "message": "no key"}}', None),
        (200, b'{"data": []}', "HTTP status 200 with a body that is not {error: {code, message}}"),
        (502, b"<html>", "HTTP status 502 with a body that is not {error: {code, message}}"),
        (
            500,
            b'{"error": {"code": "internal", "message": "broken"}}',
            "HTTP status 500, internal: broken, and not 401",
        ),
    ],
)
def test_how_helm_test_judges_an_answer(
    monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, wrong: str | None
) -> None:
    monkeypatch.setenv("GATEWAY_ADDRESS", "http://gateway:8080")
    spec = importlib.util.spec_from_file_location("ask_gateway", CHART / "files/ask_gateway.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.verdict(status, body) == wrong
