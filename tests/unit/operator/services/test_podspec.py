"""Manifests of worker pods and their Secrets."""

import base64
import json
from typing import Any

import pytest

from tests.support.domain import pool
from videofleet_api import names
from videofleet_operator.domain.pools import Place
from videofleet_operator.services import podspec
from videofleet_operator.services.pki import KeyPair

TRUST = b"authority"


def spec(**fields: Any) -> dict[str, Any]:
    return dict(podspec.worker_pod(pool(**fields), Place(2, 5), "localhost/worker:1", TRUST)["spec"])


def container(**fields: Any) -> dict[str, Any]:
    return dict(spec(**fields)["containers"][0])


def test_name_labels_and_owner() -> None:
    metadata = podspec.worker_pod(pool("gpu"), Place(2, 5, 3), "localhost/worker:1", TRUST)["metadata"]
    assert (metadata["namespace"], metadata["name"]) == ("default", "gpu-2-5")
    labels = metadata["labels"]
    assert labels[names.LABEL_POOL] == "gpu"
    assert (labels[names.LABEL_ORDINAL], labels[names.LABEL_INCARNATION]) == ("2", "5")
    assert metadata["annotations"][names.ANNOTATION_FAILURES] == "3"
    assert metadata["ownerReferences"][0]["uid"] == "uid-gpu"
    assert metadata["ownerReferences"][0]["controller"] is True


def test_an_isolated_worker_takes_one_job() -> None:
    environment = {each["name"]: each.get("value") for each in container(isolation="pod", capacityPerWorker=8)["env"]}
    assert environment["VIDEOFLEET_CAPACITY"] == "1"


def test_the_pod_meets_the_restricted_profile() -> None:
    pod, worker = spec(), container()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert worker["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {volume for each in pod["volumes"] for volume in each} <= {"name", "secret", "emptyDir"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


def test_models_are_mounted_read_only_and_named_to_the_worker() -> None:
    digest = f"sha256:{64 * 'a'}"
    models: list[dict[str, Any]] = [
        {"name": "yolo", "image": "registry.example/yolo:11", "path": "models/yolo11n", "digest": digest},
        {"name": "own", "claimName": "models"},
    ]
    pod, worker = spec(models=models, imagePullPolicy="Always"), container(models=models)
    assert pod["volumes"][-2:] == [
        {"name": "model-yolo", "image": {"reference": "registry.example/yolo:11", "pullPolicy": "Always"}},
        {"name": "model-own", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
    ]
    assert worker["volumeMounts"][-2:] == [
        {"name": "model-yolo", "mountPath": "/models/yolo", "readOnly": True},
        {"name": "model-own", "mountPath": "/models/own", "readOnly": True},
    ]
    environment = {each["name"]: each.get("value") for each in worker["env"]}
    assert environment["VIDEOFLEET_MODELS"] == "/models/yolo/models/yolo11n:/models/own"
    assert environment["VIDEOFLEET_MODEL_DIGESTS"] == f"/models/yolo/models/yolo11n={digest}"
    assert not {"VIDEOFLEET_MODELS", "VIDEOFLEET_MODEL_DIGESTS"} & {each["name"] for each in container()["env"]}


def test_the_worker_has_no_identity_in_the_cluster() -> None:
    assert spec()["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in spec()
    assert spec()["enableServiceLinks"] is False


def test_a_gpu_is_asked_for_by_the_limit_of_its_resource() -> None:
    assert container()["resources"]["limits"]["nvidia.com/gpu"] == "1"
    other = container(accelerator={"resourceName": "nvidia.com/mig-1g.10gb", "count": 2})
    assert other["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == "2"
    assert "nvidia.com/gpu" not in container(accelerator={"type": "none"})["resources"]["limits"]


def test_given_resources_go_before_the_defaults() -> None:
    given = container(resources={"requests": {"cpu": "2"}, "limits": {"memory": "1Gi"}})["resources"]
    assert given["requests"] == {"cpu": "2", "memory": "512Mi"}
    assert given["limits"]["memory"] == "1Gi"


@pytest.mark.parametrize(
    ("fields", "selector"),
    [
        ({}, {"nvidia.com/gpu.present": "true"}),
        ({"nodeSelector": {"zone": "a"}}, {"zone": "a"}),
        ({"nodeSelector": {}}, None),
        ({"accelerator": {"type": "none"}}, None),
    ],
)
def test_node_selector(fields: dict[str, Any], selector: dict[str, str] | None) -> None:
    assert spec(**fields).get("nodeSelector") == selector


def test_the_archive_is_a_claim_or_goes_with_the_pod() -> None:
    def archive(**fields: Any) -> dict[str, Any]:
        return next(each for each in spec(**fields)["volumes"] if each["name"] == "archive")

    assert archive() == {"name": "archive", "emptyDir": {}}
    claimed = archive(archive={"claimName": "results"})
    assert claimed == {"name": "archive", "persistentVolumeClaim": {"claimName": "results"}}
    assert {"name": "archive", "mountPath": "/archive"} in container()["volumeMounts"]


def test_a_bucket_is_named_and_its_credentials_are_mounted() -> None:
    bucket = {"bucket": "results", "prefix": "site/a", "credentialsSecretRef": {"name": "store"}}
    pool: dict[str, Any] = {"archive": {"s3": bucket | {"endpoint": "https://store:9000", "region": "eu-west-1"}}}
    assert {"name": "archive", "secret": {"secretName": "store", "defaultMode": 0o440}} in spec(**pool)["volumes"]
    mounts = [each for each in container(**pool)["volumeMounts"] if each["name"] == "archive"]
    assert mounts == [{"name": "archive", "mountPath": "/archive-credentials", "readOnly": True}]
    environment = {each["name"]: each.get("value") for each in container(**pool)["env"]}
    assert {name: value for name, value in environment.items() if "ARCHIVE" in name} == {
        "VIDEOFLEET_ARCHIVE": "s3://results/site/a",
        "VIDEOFLEET_ARCHIVE_ENDPOINT": "https://store:9000",
        "VIDEOFLEET_ARCHIVE_REGION": "eu-west-1",
        "VIDEOFLEET_ARCHIVE_CREDENTIALS": "/archive-credentials",
    }


def test_files_for_jobs_are_mounted_read_only() -> None:
    pool: dict[str, Any] = {"mediaMounts": [{"name": "clips", "claimName": "recordings"}]}
    volume = {"name": "media-clips", "persistentVolumeClaim": {"claimName": "recordings", "readOnly": True}}
    assert volume in spec(**pool)["volumes"]
    assert {"name": "media-clips", "mountPath": "/media/clips", "readOnly": True} in container(**pool)["volumeMounts"]
    environment = {each["name"]: each.get("value") for each in container(**pool)["env"]}
    assert environment["VIDEOFLEET_MEDIA"] == "/media/clips"
    assert "VIDEOFLEET_MEDIA" not in {each["name"] for each in container()["env"]}


def test_settings_reach_the_worker() -> None:
    pool = container(capacityPerWorker=9, sourcePolicy={"schemes": ["rtsp"]}, outputPolicy={"schemes": ["https"]})
    environment = {each["name"]: each.get("value") for each in pool["env"]}
    assert environment["VIDEOFLEET_CAPACITY"] == "9"
    assert json.loads(environment["VIDEOFLEET_SOURCE_POLICY"])["schemes"] == ["rtsp"]
    assert json.loads(environment["VIDEOFLEET_OUTPUT_POLICY"])["schemes"] == ["https"]
    assert container()["image"] == "localhost/worker:1"
    assert container(image="registry.example/worker:2", imagePullPolicy="Always")["imagePullPolicy"] == "Always"
    assert container(image="registry.example/worker:2")["image"] == "registry.example/worker:2"
    scheduled = spec(
        tolerations=[{"key": "gpu", "operator": "Exists"}],
        imagePullSecrets=["pull"],
        priorityClassName="high",
        runtimeClassName="nvidia",
    )
    assert scheduled["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert scheduled["imagePullSecrets"] == [{"name": "pull"}]
    assert (scheduled["priorityClassName"], scheduled["runtimeClassName"]) == ("high", "nvidia")


@pytest.mark.parametrize(
    "change",
    [
        {"capacityPerWorker": 5},
        {"image": "localhost/worker:2"},
        {"nodeSelector": {"zone": "b"}},
        {"archive": {"claimName": "results"}},
        {"executionProvider": "cpu"},
        {"resources": {"limits": {"memory": "8Gi"}}},
        {"accelerator": {"count": 2}},
    ],
)
def test_the_template_digest_changes_with_the_pod(change: dict[str, Any]) -> None:
    base = podspec.template_digest(pool(), "localhost/worker:1", TRUST)
    assert podspec.template_digest(pool(**change), "localhost/worker:1", TRUST) != base


def test_the_template_digest_stays_where_the_pod_stays() -> None:
    base = podspec.template_digest(pool(), "localhost/worker:1", TRUST)
    assert podspec.template_digest(pool(maxWorkers=9, scaleDownDelay=1), "localhost/worker:1", TRUST) == base
    assert podspec.template_digest(pool(), "localhost/worker:2", TRUST) != base, "the default image"
    assert podspec.template_digest(pool(), "localhost/worker:1", b"other") != base, "another authority"
    annotations = podspec.worker_pod(pool(), Place(3, 7), "localhost/worker:1", TRUST)["metadata"]["annotations"]
    assert annotations[names.ANNOTATION_TEMPLATE_DIGEST] == base, "the same for every place"


def test_the_secret_of_a_worker() -> None:
    secret = podspec.tls_secret(pool("gpu"), "gpu-0-0", KeyPair(b"certificate", b"key"), b"authority")
    assert secret["metadata"]["name"] == "gpu-0-0-tls"
    mounted = next(each for each in spec()["volumes"] if each["name"] == "tls")
    assert mounted["secret"]["secretName"] == "p-2-5-tls"
    decoded = {key: base64.b64decode(value) for key, value in secret["data"].items()}
    assert decoded == {"tls.crt": b"certificate", "tls.key": b"key", "ca.crt": b"authority"}
