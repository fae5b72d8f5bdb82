"""Manifests of a worker: its Pod and the Secret with its key pair. Pure builders."""

import base64
import hashlib
import math
from typing import Any

import orjson

from videofleet_api import names
from videofleet_api.archive import ArchiveBucket
from videofleet_api.podtemplate import MEDIA_VOLUME, MODEL_VOLUME
from videofleet_api.workerpool import AcceleratorType, DrainMode, MediaVolume, ModelVolume
from videofleet_operator.domain.isolation import slots_per_worker
from videofleet_operator.domain.model import Pool
from videofleet_operator.domain.pools import Place
from videofleet_operator.services.pki import KeyPair
from videofleet_operator.services.podtemplate import CONTAINER_SECURITY, metadata_with, spec_with

Manifest = dict[str, Any]
_USER_ID = 65532
_GRACE_SECONDS = 30
"""For a worker to seal its results and end."""
_ARCHIVE_CREDENTIALS = "/archive-credentials"
_HOOK_COMMAND = ["python", "-m", "videofleet_worker.drain"]
_GPU = "nvidia.com/gpu"
_GPU_NODES = {"nvidia.com/gpu.present": "true"}
_DEFAULT_REQUESTS = {"cpu": "250m", "memory": "512Mi"}
_DEFAULT_LIMITS = {"memory": "4Gi"}


def worker_pod(pool: Pool, place: Place, default_image: str, trust: bytes) -> Manifest:
    """The Pod of one worker of a pool. `trust`: the certificate of the authority that its key pair is of."""
    name = place.name(pool.name)
    metadata = {
        "name": name,
        "namespace": pool.namespace,
        "labels": {
            "app.kubernetes.io/name": "videofleet-worker",
            "app.kubernetes.io/part-of": "videofleet",
            "app.kubernetes.io/managed-by": "videofleet-operator",
            names.LABEL_POOL: pool.name,
            names.LABEL_ORDINAL: str(place.ordinal),
            names.LABEL_INCARNATION: str(place.incarnation),
        },
        "annotations": {
            names.ANNOTATION_TEMPLATE_DIGEST: template_digest(pool, default_image, trust),
            names.ANNOTATION_FAILURES: str(place.failures),
        },
        "ownerReferences": [owner_of_pool(pool)],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata_with(pool.spec.pod_template, metadata),
        "spec": _pod_spec(pool, name, default_image),
    }


def template_digest(pool: Pool, default_image: str, trust: bytes) -> str:
    """Digest of everything that a worker pod of a pool is made from."""
    metadata = metadata_with(pool.spec.pod_template, {"labels": {}, "annotations": {}})
    document = orjson.dumps([metadata, _pod_spec(pool, "", default_image)], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(document + trust).hexdigest()[:16]


def tls_secret(pool: Pool, pod: str, pair: KeyPair, authority_certificate: bytes) -> Manifest:
    """The Secret that a worker's key pair lies in; the pod mounts it."""
    data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority_certificate}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {
            "name": names.worker_tls_secret_name(pod),
            "namespace": pool.namespace,
            "labels": secret_labels(pool),
            "ownerReferences": [owner_of_pool(pool)],
        },
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def secret_labels(pool: Pool) -> dict[str, str]:
    """By these the Secrets of a pool's workers are known."""
    return {"app.kubernetes.io/managed-by": "videofleet-operator", names.LABEL_POOL: pool.name}


def owner_of_pool(pool: Pool) -> Manifest:
    """Owner reference to the pool."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "WorkerPool",
        "name": pool.name,
        "uid": pool.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def owner_of_pod(pod: Manifest) -> Manifest:
    """Owner reference to an existing pod, for its Secret."""
    metadata = pod["metadata"]
    return {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}


def _pod_spec(pool: Pool, pod_name: str, default_image: str) -> Manifest:
    spec = pool.spec
    optional = {
        "priorityClassName": spec.priority_class_name,
        "runtimeClassName": spec.runtime_class_name,
        "tolerations": [toleration.wire() for toleration in spec.tolerations] or None,
        "imagePullSecrets": [{"name": name} for name in spec.image_pull_secrets] or None,
        "nodeSelector": _node_selector(pool) or None,
        "affinity": spec.affinity,
        "topologySpreadConstraints": _topology_spread(pool) or None,
        "resourceClaims": _claims(pool) or None,
    }
    own = {
        "containers": [_container(pool, default_image)],
        "volumes": _volumes(pool, pod_name),
        "restartPolicy": "Always",
        # The hook's time counts as part of it.
        "terminationGracePeriodSeconds": _GRACE_SECONDS + math.ceil(_drain_seconds(pool)),
        # The worker parses bytes from strangers: it gets no identity of ours at all.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER_ID,
            "runAsGroup": _USER_ID,
            "fsGroup": _USER_ID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **{key: value for key, value in optional.items() if value is not None},
    }
    return spec_with(spec.pod_template, own)


def _container(pool: Pool, default_image: str) -> Manifest:
    spec = pool.spec
    return {
        "name": "worker",
        "image": spec.image or default_image,
        "imagePullPolicy": spec.image_pull_policy,
        "env": _environment(pool),
        "ports": [
            {"name": "api", "containerPort": names.WORKER_API_PORT},
            {"name": "metrics", "containerPort": names.WORKER_PLAIN_PORT},
        ],
        "resources": _resources(pool),
        "securityContext": CONTAINER_SECURITY,
        "startupProbe": _probe("/readyz", period=1, failures=120),
        "readinessProbe": _probe("/readyz", period=5, failures=3),
        "livenessProbe": _probe("/healthz", period=10, failures=3),
        "lifecycle": {"preStop": {"exec": {"command": _HOOK_COMMAND}}},
        "volumeMounts": [
            {"name": "tls", "mountPath": "/tls", "readOnly": True},
            *_archive_mounts(pool),
            {"name": "tmp", "mountPath": "/tmp"},
            *({"name": _volume(one), "mountPath": _mount(one), "readOnly": True} for one in spec.models),
            *(
                {"name": MEDIA_VOLUME + one.name, "mountPath": _media_folder(one), "readOnly": True}
                for one in spec.media_mounts
            ),
        ],
    }


def _drain_seconds(pool: Pool) -> float:
    """How long a worker that is deleted goes on for its streams to move."""
    drain = pool.spec.drain
    return drain.timeout if drain.mode is DrainMode.MAKE_BEFORE_BREAK else 0.0


def _environment(pool: Pool) -> list[Manifest]:
    values = {
        "VIDEOFLEET_CAPACITY": str(slots_per_worker(pool)),
        "VIDEOFLEET_EXECUTION_PROVIDER": pool.spec.execution_provider.value,
        **_archive_environment(pool),
        "VIDEOFLEET_TLS_DIR": "/tls",
        "VIDEOFLEET_DRAIN_SECONDS": f"{_drain_seconds(pool):g}",
        "VIDEOFLEET_OUTPUT_POLICY": orjson.dumps(pool.spec.output_policy.wire()).decode(),
        "VIDEOFLEET_SOURCE_POLICY": orjson.dumps(pool.spec.source_policy.wire()).decode(),
    }
    if pool.spec.media_mounts:
        values["VIDEOFLEET_MEDIA"] = ":".join(_media_folder(one) for one in pool.spec.media_mounts)
    if pool.spec.models:
        values["VIDEOFLEET_MODELS"] = ":".join(model_folder(one) for one in pool.spec.models)
    if digests := {model_folder(one): one.digest for one in pool.spec.models if one.digest is not None}:
        values["VIDEOFLEET_MODEL_DIGESTS"] = ",".join(f"{folder}={digest}" for folder, digest in digests.items())
    worker_id = {"name": "VIDEOFLEET_WORKER_ID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    return [worker_id, *({"name": key, "value": value} for key, value in values.items())]


def _resources(pool: Pool) -> Manifest:
    given = pool.spec.resources
    requests: dict[str, str] = {**_DEFAULT_REQUESTS, **given.requests}
    limits: dict[str, str] = {**_DEFAULT_LIMITS, **given.limits}
    accelerator = pool.spec.accelerator
    claims = [{"name": claim["name"]} for claim in _claims(pool)]
    if accelerator.type is not AcceleratorType.NONE and not claims:
        limits[accelerator.resource_name or _GPU] = str(accelerator.count or 1)
    return {"requests": requests, "limits": limits, **({"claims": claims} if claims else {})}


def _claims(pool: Pool) -> list[Manifest]:
    """The device that each worker claims, by dynamic resource allocation."""
    template = pool.spec.accelerator.resource_claim_template_name
    return [{"name": "accelerator", "resourceClaimTemplateName": template}] if template is not None else []


def _topology_spread(pool: Pool) -> list[Manifest]:
    selector = {"matchLabels": {names.LABEL_POOL: pool.name}}
    return [{**each.wire(), "labelSelector": selector} for each in pool.spec.topology_spread]


def _node_selector(pool: Pool) -> dict[str, str]:
    if pool.spec.node_selector is not None:
        return dict(pool.spec.node_selector)
    # A claim finds its device, and with it the node, by itself.
    wants_gpu = pool.spec.accelerator.type is AcceleratorType.NVIDIA and not _claims(pool)
    return dict(_GPU_NODES) if wants_gpu else {}


def _volumes(pool: Pool, pod_name: str) -> list[Manifest]:
    return [
        {"name": "tls", "secret": {"secretName": names.worker_tls_secret_name(pod_name), "defaultMode": 0o440}},
        _archive_volume(pool),
        {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        *({"name": _volume(one), **_volume_source(one, pool.spec.image_pull_policy)} for one in pool.spec.models),
        *(
            {
                "name": MEDIA_VOLUME + one.name,
                "persistentVolumeClaim": {"claimName": one.claim_name, "readOnly": True},
            }
            for one in pool.spec.media_mounts
        ),
    ]


def _bucket(pool: Pool) -> ArchiveBucket | None:
    return pool.spec.archive.s3 if pool.spec.archive is not None else None


def _archive_volume(pool: Pool) -> Manifest:
    """What results are written to; with a bucket, what it takes to reach that."""
    if bucket := _bucket(pool):
        secret = {"secretName": bucket.credentials_secret_ref.name, "defaultMode": 0o440}
        return {"name": "archive", "secret": secret}
    if pool.spec.archive is not None:
        return {"name": "archive", "persistentVolumeClaim": {"claimName": pool.spec.archive.claim_name}}
    return {"name": "archive", "emptyDir": {}}


def _archive_mounts(pool: Pool) -> list[Manifest]:
    if _bucket(pool):
        return [{"name": "archive", "mountPath": _ARCHIVE_CREDENTIALS, "readOnly": True}]
    return [{"name": "archive", "mountPath": "/archive"}]


def _archive_environment(pool: Pool) -> dict[str, str]:
    bucket = _bucket(pool)
    if bucket is None:
        return {"VIDEOFLEET_ARCHIVE": "/archive"}
    values = {
        "VIDEOFLEET_ARCHIVE": f"s3://{bucket.bucket}/{bucket.prefix}",
        "VIDEOFLEET_ARCHIVE_REGION": bucket.region,
        "VIDEOFLEET_ARCHIVE_CREDENTIALS": _ARCHIVE_CREDENTIALS,
    }
    return values if bucket.endpoint is None else {**values, "VIDEOFLEET_ARCHIVE_ENDPOINT": bucket.endpoint}


def model_folder(model: ModelVolume) -> str:
    """Where a worker finds a model."""
    return _mount(model) if model.path is None else f"{_mount(model)}/{model.path}"


def _media_folder(media: MediaVolume) -> str:
    """Where a worker finds the files that jobs may name."""
    return f"/media/{media.name}"


def _mount(model: ModelVolume) -> str:
    return f"/models/{model.name}"


def _volume(model: ModelVolume) -> str:
    return MODEL_VOLUME + model.name


def _volume_source(model: ModelVolume, pull_policy: str) -> Manifest:
    if model.image is not None:
        return {"image": {"reference": model.image, "pullPolicy": pull_policy}}
    return {"persistentVolumeClaim": {"claimName": model.claim_name, "readOnly": True}}


def _probe(path: str, *, period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "metrics"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 5,
    }
