"""What a WorkerPool may add to its pods, and what is refused there.

The operator builds pods from the fields that it knows to be harmless, and from nothing else; those that are only here
to be refused exist for the sake of the sentence that a person then reads.
"""

from typing import Annotated, Any, Final

from pydantic import Field, JsonValue, WithJsonSchema

from videofleet_api.model import Document
from videofleet_api.rules import rules
from videofleet_api.videojob import LabelMap

WORKER_CONTAINER: Final = "worker"
OWN_VOLUMES: Final = ("tls", "archive", "tmp")
"""Volumes that every worker pod has. `tls` holds the worker's key and is mounted into no other container."""
MODEL_VOLUME: Final = "model-"
"""What the names of the volumes with the pool's models begin with."""
MEDIA_VOLUME: Final = "media-"
"""And those with files for jobs."""
VOLUME_KINDS: Final = ("configMap", "emptyDir", "downwardAPI", "persistentVolumeClaim", "ephemeral")
"""What a volume may be. The rest reaches into the node, or at what the pool's author may not read."""

_OPEN: Final[dict[str, Any]] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
Open = Annotated[dict[str, JsonValue], WithJsonSchema(_OPEN)]
"""An object of Kubernetes as it is; the API server checks it when the pod is made."""

_SECURITY: Final = "securityContext cannot be set: the operator makes worker pods by the restricted profile"
_NO_SECRET: Final = (
    "env may come from a value, a ConfigMap or the pod's own fields, not from a Secret: "
    "a worker reads data from strangers"
)
_KINDS_TOLD: Final = f"{', '.join(VOLUME_KINDS[:-1])} or {VOLUME_KINDS[-1]}"


class EnvSource(Document):
    """v1.EnvVarSource without Secrets."""

    model_config = rules(("!has(self.secretKeyRef)", _NO_SECRET))

    field_ref: Open | None = Field(None, description="A field of the pod.")
    resource_field_ref: Open | None = Field(None, description="A resource of a container.")
    config_map_key_ref: Open | None = Field(None, description="A key of a ConfigMap.")
    secret_key_ref: Open | None = Field(None, description="Refused.")


class EnvVar(Document):
    """v1.EnvVar."""

    name: str = Field(min_length=1, max_length=253, description="Name of the variable.")
    value: str | None = Field(None, max_length=8192, description="Its value.")
    value_from: EnvSource | None = Field(None, description="Where its value comes from.")


class VolumeMount(Document):
    """v1.VolumeMount."""

    name: str = Field(min_length=1, max_length=63, description="Name of the volume.")
    mount_path: str = Field(min_length=1, max_length=1024, description="Where it is seen.")
    sub_path: str | None = Field(None, max_length=1024, description="Folder or file of the volume.")
    read_only: bool | None = Field(None, description="Whether it cannot be written.")


class TemplateContainer(Document):
    """An addition to the worker's container, or a container beside it."""

    model_config = rules(
        ("!has(self.securityContext)", _SECURITY),
        (
            f"self.name != '{WORKER_CONTAINER}' || !(has(self.image) || has(self.command) || has(self.args) "
            "|| has(self.resources) || has(self.restartPolicy))",
            "only env and volumeMounts can be added to the container worker: image and resources are the pool's",
        ),
        (
            f"self.name == '{WORKER_CONTAINER}' || has(self.image)",
            "a container needs an image (the pool's own container is named worker)",
        ),
        (
            f"self.name == '{WORKER_CONTAINER}' || !has(self.volumeMounts) "
            "|| self.volumeMounts.all(mount, mount.name != 'tls')",
            "the volume tls holds the worker's key and is not for other containers",
        ),
    )

    name: str = Field(min_length=1, max_length=63, description="worker: the pool's own container; else one beside it.")
    image: str | None = Field(None, min_length=1, max_length=1024, description="Image.")
    command: list[Annotated[str, Field(max_length=4096)]] | None = Field(None, max_length=64, description="Program.")
    args: list[Annotated[str, Field(max_length=4096)]] | None = Field(None, max_length=64, description="Arguments.")
    env: list[EnvVar] = Field(
        default_factory=list, max_length=64, description="Environment; what the operator sets itself stays."
    )
    volume_mounts: list[VolumeMount] = Field(default_factory=list, max_length=16, description="Volumes seen in it.")
    resources: Open | None = Field(None, description="Requests and limits.")
    restart_policy: str | None = Field(
        None,
        description="Always makes an init container one that runs beside the worker.",
        json_schema_extra={"enum": ["Always"]},
    )
    security_context: Open | None = Field(None, description="Refused.")


class TemplateVolume(Document):
    """A volume of one of the allowed kinds."""

    model_config = rules(
        (
            f"[{', '.join(f'has(self.{kind})' for kind in VOLUME_KINDS)}].filter(given, given).size() == 1 "
            "&& !has(self.hostPath) && !has(self.secret) && !has(self.projected)",
            f"a volume is one of {_KINDS_TOLD}; no other kind is let into worker pods",
        ),
        (
            f"!(self.name in {list(OWN_VOLUMES)}) && !self.name.startsWith('{MODEL_VOLUME}') "
            f"&& !self.name.startsWith('{MEDIA_VOLUME}')",
            f"the volumes {', '.join(OWN_VOLUMES)} and those whose names begin with {MODEL_VOLUME} or {MEDIA_VOLUME} "
            "are the operator's",
        ),
    )

    name: str = Field(min_length=1, max_length=63, description="Name of the volume.")
    config_map: Open | None = Field(None, description="v1.ConfigMapVolumeSource.")
    empty_dir: Open | None = Field(None, description="v1.EmptyDirVolumeSource.")
    downward_api: Open | None = Field(None, alias="downwardAPI", description="v1.DownwardAPIVolumeSource.")
    persistent_volume_claim: Open | None = Field(None, description="v1.PersistentVolumeClaimVolumeSource.")
    ephemeral: Open | None = Field(None, description="v1.EphemeralVolumeSource.")
    host_path: Open | None = Field(None, description="Refused.")
    secret: Open | None = Field(None, description="Refused.")
    projected: Open | None = Field(None, description="Refused.")


class TemplateSpec(Document):
    """What may be added to a worker pod's spec."""

    model_config = rules(
        ("!has(self.securityContext)", _SECURITY),
        (
            "!has(self.serviceAccountName) && !has(self.serviceAccount) && !has(self.automountServiceAccountToken)",
            "service accounts cannot be set: worker pods have no access to the API server",
        ),
        (
            "!has(self.hostNetwork) && !has(self.hostPID) && !has(self.hostIPC) && !has(self.hostUsers) "
            "&& !has(self.shareProcessNamespace)",
            "namespaces of the host, and one for all processes, cannot be set for worker pods",
        ),
    )

    containers: list[TemplateContainer] = Field(
        default_factory=list, max_length=8, description="Additions to the container worker, and containers beside it."
    )
    init_containers: list[TemplateContainer] = Field(
        default_factory=list, max_length=8, description="Containers that run before it."
    )
    volumes: list[TemplateVolume] = Field(default_factory=list, max_length=16, description="Further volumes.")
    dns_policy: str | None = Field(None, max_length=32, description="v1.PodSpec.dnsPolicy.")
    dns_config: Open | None = Field(None, description="v1.PodDNSConfig.")
    host_aliases: list[Open] = Field(default_factory=list, max_length=64, description="v1.HostAlias.")
    scheduler_name: str | None = Field(None, max_length=253, description="Another scheduler than the cluster's own.")
    security_context: Open | None = Field(None, description="Refused.")
    service_account_name: str | None = Field(None, max_length=253, description="Refused.")
    service_account: str | None = Field(None, max_length=253, description="Refused.")
    automount_service_account_token: bool | None = Field(None, description="Refused.")
    host_network: bool | None = Field(None, description="Refused.")
    host_pid: bool | None = Field(None, alias="hostPID", description="Refused.")
    host_ipc: bool | None = Field(None, alias="hostIPC", description="Refused.")
    host_users: bool | None = Field(None, description="Refused.")
    share_process_namespace: bool | None = Field(None, description="Refused.")


def _not_ours(field: str) -> str:
    prefixes = " || ".join(f"key.startsWith('{prefix}/')" for prefix in ("videofleet.io", "app.kubernetes.io"))
    return f"!has(self.{field}) || self.{field}.all(key, !({prefixes}))"


class TemplateMetadata(Document):
    """What may be added to a worker pod's metadata."""

    model_config = rules(
        (_not_ours("labels"), "labels of videofleet.io and app.kubernetes.io are the operator's"),
        (_not_ours("annotations"), "annotations of videofleet.io and app.kubernetes.io are the operator's"),
    )

    labels: LabelMap = Field(default_factory=dict, description="Further labels.")
    annotations: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32)] = Field(
        default_factory=dict, description="Further annotations."
    )


class PodTemplate(Document):
    """Additions to the pods of a pool."""

    metadata: TemplateMetadata = Field(default_factory=TemplateMetadata, description="Labels and annotations.")
    spec: TemplateSpec = Field(default_factory=TemplateSpec, description="Containers, volumes, names.")


class TopologySpread(Document):
    """v1.TopologySpreadConstraint over the workers of the pool."""

    topology_key: str = Field(min_length=1, max_length=316, description="Node label, kubernetes.io/hostname say.")
    max_skew: int = Field(1, ge=1, le=10000, description="By how many workers two places may differ.")
    when_unsatisfiable: str = Field(
        "ScheduleAnyway",
        description="ScheduleAnyway or DoNotSchedule.",
        json_schema_extra={"enum": ["ScheduleAnyway", "DoNotSchedule"]},
    )
