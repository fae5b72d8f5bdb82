"""Values of the chart: what they make, and which are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.chart.rendering import CHART, NAMESPACE, ROOT, Json, refusal, render, run_helm
from videofleet_api.workerpool import WorkerPoolSpec


def test_lint_is_strictly_clean() -> None:
    result = run_helm("lint", "--strict", str(CHART))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "[WARNING]" not in result.stdout
    assert "[ERROR]" not in result.stdout


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"operater": {}}, "operater"),
        ({"operator": {"replicas": "two"}}, "/operator/replicas"),
        ({"operator": {"replicas": -1}}, "/operator/replicas"),
        ({"operator": {"logLevel": "loud"}}, "/operator/logLevel"),
        ({"operator": {"sourceStarts": {"burst": 0}}}, "/operator/sourceStarts/burst"),
        ({"operator": {"sourceStarts": {"perSecond": 0}}}, "/operator/sourceStarts/perSecond"),
        ({"operator": {"image": {"repository": ""}}}, "/operator/image/repository"),
        ({"operator": {"image": {"digest": "sha1:abc"}}}, "/operator/image/digest"),
        ({"operator": {"image": {"pullPolicy": "Sometimes"}}}, "/operator/image/pullPolicy"),
        ({"watchNamespaces": "north"}, "/watchNamespaces"),
        ({"watchNamespaces": ["North"]}, "/watchNamespaces/0"),
        ({"watchNamespaces": ["north", "north"]}, "/watchNamespaces"),
        ({"workerPools": {"Default": {}}}, "Default"),
        ({"workerPools": {"default": {"maxWorker": 2}}}, "maxWorker"),
        ({"archive": {"size": "big"}}, "/archive/size"),
        ({"archive": {"accessModes": []}}, "/archive/accessModes"),
        ({"licence": {"publicKeys": {"a.pem": "nonsense"}}}, "/licence/publicKeys/a.pem"),
        ({"test": {"source": "rtsp://camera/x"}}, "/test/source"),
        ({"test": {"timeoutSeconds": 1}}, "/test/timeoutSeconds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_values_are_refused_by_name(values: Json, said: str) -> None:
    assert said in refusal(**values)


def test_every_value_is_in_the_schema_with_a_description() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    missing = list(_undescribed(schema, values, ""))
    assert not missing


def _undescribed(schema: Json, values: Json, at: str) -> list[str]:
    found: list[str] = []
    for key, value in values.items():
        described = schema.get("properties", {}).get(key)
        if described is None:
            found += [] if isinstance(schema.get("additionalProperties"), dict) else [f"{at}/{key}"]
        elif not described.get("description"):
            found.append(f"{at}/{key}")
        elif isinstance(value, dict):
            found += _undescribed(described, value, f"{at}/{key}")
    return found


def test_the_schema_knows_the_fields_of_a_pool() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    pool = schema["properties"]["workerPools"]["additionalProperties"]
    fields = {field.alias or name for name, field in WorkerPoolSpec.model_fields.items()}
    assert set(pool["propertyNames"]["enum"]) == fields


def test_the_crds_are_the_generated_ones() -> None:
    generated = {path.name: path.read_text() for path in (ROOT / "crds").glob("*.yaml")}
    assert {path.name: path.read_text() for path in (CHART / "crds").iterdir()} == generated
    assert len(generated) == 3


def test_the_default_pool_writes_to_the_charts_archive() -> None:
    rendered = render()
    pool = rendered.one("WorkerPool", "default")
    (claim,) = rendered.of("PersistentVolumeClaim")
    assert pool["spec"] == {"archive": {"claimName": claim["metadata"]["name"]}}
    assert pool["metadata"]["namespace"] == NAMESPACE
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert "storageClassName" not in claim["spec"]


def test_a_pool_may_be_taken_away_and_others_added() -> None:
    spec = {"accelerator": {"type": "none"}, "maxWorkers": 4, "archive": {"claimName": "mine"}}
    rendered = render(workerPools={"default": None, "cpu": spec})
    assert {pool["metadata"]["name"]: pool["spec"] for pool in rendered.of("WorkerPool")} == {"cpu": spec}


@pytest.mark.parametrize(
    ("archive", "claims", "pool"),
    [
        ({"existingClaim": "mine"}, 0, {"archive": {"claimName": "mine"}}),
        ({"create": False}, 0, {}),
        ({"keep": False}, 1, {"archive": {"claimName": "videofleet-archive"}}),
    ],
    ids=["existing", "none", "not kept"],
)
def test_the_archive_is_made_taken_or_left_out(archive: Json, claims: int, pool: Json) -> None:
    rendered = render(archive=archive)
    assert rendered.one("WorkerPool", "default")["spec"] == pool
    assert len(rendered.of("PersistentVolumeClaim")) == claims
    assert all("annotations" not in claim["metadata"] for claim in rendered.of("PersistentVolumeClaim"))


@pytest.mark.parametrize("name", ["", "fast"], ids=["no class", "a class"])
def test_a_storage_class_is_passed_on(name: str) -> None:
    (claim,) = render(archive={"storageClassName": name}).of("PersistentVolumeClaim")
    assert claim["spec"]["storageClassName"] == name


def test_workers_answer_the_operator_and_readers_only() -> None:
    ingress = render().one("NetworkPolicy", "videofleet-workers")["spec"]["ingress"]
    assert [rule["ports"][0]["port"] for rule in ingress] == [8443, 8080]
    operator, reader = ingress[0]["from"]
    assert operator["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": NAMESPACE}
    assert reader["podSelector"]["matchLabels"] == {"videofleet.io/reader": "true"}
    assert "from" not in ingress[1]


def test_network_policies_stand_in_every_served_namespace_or_nowhere() -> None:
    rendered = render(watchNamespaces=["north"])
    workers = [item for item in rendered.of("NetworkPolicy") if item["metadata"]["name"] == "videofleet-workers"]
    assert {item["metadata"]["namespace"] for item in workers} == {NAMESPACE, "north"}
    assert not render(networkPolicy={"enabled": False}).of("NetworkPolicy")


def test_metrics_can_be_kept_to_some() -> None:
    peer = {"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}
    rendered = render(networkPolicy={"metricsFrom": [peer]})
    for name in ("videofleet-workers", "videofleet-operator"):
        (rule,) = [
            rule for rule in rendered.one("NetworkPolicy", name)["spec"]["ingress"] if rule["ports"][0]["port"] == 8080
        ]
        assert rule["from"] == [peer]


def test_the_test_pod_serves_the_charts_clip_unless_a_source_is_given() -> None:
    def source(**values: Any) -> str:
        (container,) = render(**values).one("Pod", "videofleet-test")["spec"]["containers"]
        return str(next(item["value"] for item in container["env"] if item["name"] == "VIDEOFLEET_TEST_SOURCE"))

    assert source() == ""
    assert source(test={"source": "https://files.example/a.mp4"}) == "https://files.example/a.mp4"
    files = render().one("ConfigMap", "videofleet-test")
    assert files["data"]["run_job.py"] == (CHART / "files/run_job.py").read_text()
    assert "clip.mp4" in files["binaryData"]


def test_the_charts_clip_fits_a_release() -> None:
    """Helm keeps a release, the chart in it, in one Secret of at most 1 MiB."""
    assert Path(CHART / "files/clip.mp4").stat().st_size < 100_000
