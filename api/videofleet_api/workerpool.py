"""WorkerPool: worker pods of one kind."""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from videofleet_api.archive import ArchiveVolume
from videofleet_api.conditions import Condition
from videofleet_api.model import Document
from videofleet_api.outputs import OutputPolicy
from videofleet_api.podtemplate import Open, PodTemplate, TopologySpread
from videofleet_api.rules import rules
from videofleet_api.source import SourcePolicy
from videofleet_api.videojob import LabelMap


class AcceleratorType(StrEnum):
    """Kind of accelerator."""

    NVIDIA = "nvidia"
    NONE = "none"


class Accelerator(Document):
    """The accelerator that each worker asks for: by an extended resource, or by a claim."""

    model_config = rules(
        (
            "!has(self.resourceClaimTemplateName) || (!has(self.resourceName) && !has(self.count))",
            "resourceClaimTemplateName asks for the device by itself: give either it, or resourceName and count",
        ),
        (
            "!has(self.type) || self.type != 'none' || !has(self.resourceClaimTemplateName)",
            "workers with an accelerator of type none claim no device: take resourceClaimTemplateName or the type away",
        ),
    )

    type: AcceleratorType = Field(AcceleratorType.NVIDIA, description="nvidia, or none for workers on CPU.")
    resource_name: str | None = Field(
        None,
        min_length=1,
        max_length=253,
        description="Extended resource that a worker asks for, nvidia.com/gpu where nothing is given: also a part of "
        "a GPU (nvidia.com/mig-1g.10gb) or a shared one (nvidia.com/gpu.shared), as the nodes offer it.",
    )
    count: int | None = Field(None, ge=1, le=64, description="How many of it; 1 where nothing is given.")
    resource_claim_template_name: str | None = Field(
        None,
        min_length=1,
        max_length=253,
        description="ResourceClaimTemplate in the pool's namespace that each worker claims a device by "
        "(dynamic resource allocation, resource.k8s.io/v1).",
    )


class ExecutionProvider(StrEnum):
    """Where models run."""

    AUTO = "auto"
    TENSORRT = "tensorrt"
    CUDA = "cuda"
    CPU = "cpu"


class Packing(StrEnum):
    """How jobs are laid on workers."""

    BINPACK = "binpack"
    SPREAD = "spread"


class CapacityHints(StrEnum):
    """When a worker takes no more slots than it finds that it holds."""

    FALLBACK = "fallback"
    ALWAYS = "always"
    IGNORE = "ignore"


class Isolation(StrEnum):
    """What keeps jobs apart."""

    PROCESS = "process"
    POD = "pod"


class Preemption(StrEnum):
    """Who gives way when a job of higher priority finds no place."""

    NEVER = "never"
    LOWER = "lower"


class NamespaceShare(Document):
    """What jobs of one namespace get of the pool."""

    namespace: str = Field(min_length=1, max_length=63, description="Namespace of the jobs.")
    weight: int = Field(
        1,
        ge=1,
        le=1000,
        description="Of jobs with equal priority those start first whose namespace uses the fewest slots for its "
        "weight. A namespace without an entry has the weight 1.",
    )
    max: int | None = Field(None, ge=1, le=1000000, description="Most slots of the pool that it may hold.")


class DrainMode(StrEnum):
    """How streams leave a worker that is taken away."""

    MAKE_BEFORE_BREAK = "makeBeforeBreak"
    STOP = "stop"


class Drain(Document):
    """How a worker is emptied before it is taken away."""

    mode: DrainMode = Field(
        DrainMode.MAKE_BEFORE_BREAK,
        description="makeBeforeBreak: a stream stops when another worker has its first frame. stop: it stops first.",
    )
    timeout: float = Field(
        60, ge=0, le=3600, description="Seconds that a worker pod which is deleted goes on for its streams to move."
    )


class Toleration(Document):
    """v1.Toleration."""

    key: str | None = Field(None, max_length=316, description="Taint key.")
    operator: str | None = Field(None, description="Exists or Equal.", json_schema_extra={"enum": ["Exists", "Equal"]})
    value: str | None = Field(None, max_length=256, description="Taint value.")
    effect: str | None = Field(
        None,
        description="NoSchedule, PreferNoSchedule or NoExecute.",
        json_schema_extra={"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
    )
    toleration_seconds: int | None = Field(None, description="How long NoExecute is tolerated.")


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


# As everywhere in Kubernetes, `cpu: 2` may be written without quotes.
Quantity = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(max_length=32),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "maxLength": 32}),
]
Quantities = Annotated[dict[str, Quantity], Field(max_length=16)]


def _are_quantities(field: str) -> str:
    """The CEL rule that every value of the map is a quantity."""
    value = f"self.{field}[name]"
    return f"!has(self.{field}) || self.{field}.all(name, type({value}) == int || isQuantity({value}))"


class Resources(Document):
    """Requests and limits of a worker; the accelerator is added."""

    model_config = rules(
        (_are_quantities("requests"), "requests must be quantities, for example 500m or 2Gi"),
        (_are_quantities("limits"), "limits must be quantities, for example 2 or 4Gi"),
    )

    requests: Quantities = Field(default_factory=dict, description="Requests, for example cpu: 500m.")
    limits: Quantities = Field(default_factory=dict, description="Limits, for example memory: 2Gi.")


class ModelVolume(Document):
    """A folder of models that every worker of the pool gets, read-only."""

    model_config = rules(("has(self.image) != has(self.claimName)", "a model comes from an image or from a claimName"))

    name: str = Field(
        max_length=40, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", description="Name of the volume in the pods."
    )
    image: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description="OCI image that holds the folder; pulled with the pool's imagePullSecrets.",
    )
    claim_name: str | None = Field(
        None, min_length=1, max_length=253, description="PersistentVolumeClaim in the pool's namespace; read-only."
    )
    path: str | None = Field(
        None,
        min_length=1,
        max_length=512,
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$",
        description="Folder in the volume: a model's own (with a model.yaml), or one that has a folder for each model. "
        "Without it the whole volume.",
    )
    digest: str | None = Field(
        None,
        pattern="^sha256:[0-9a-f]{64}$",
        max_length=71,
        description="The folder holds one model of this digest (docs/models.md); a worker with another does not start.",
    )


class MediaVolume(Document):
    """A volume with files that jobs may name as their source; every worker of the pool gets it, read-only."""

    name: str = Field(
        max_length=40,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        description="Name of the volume in the pods; its files are file:///media/NAME/PATH.",
    )
    claim_name: str = Field(
        min_length=1, max_length=253, description="PersistentVolumeClaim in the pool's namespace; read-only."
    )


class WorkerPoolSpec(Document):
    """What the workers are, and how many."""

    model_config = rules(
        ("self.minWorkers <= self.maxWorkers", "minWorkers must not be larger than maxWorkers"),
        (
            "!has(self.workers) || (self.workers >= 0 && self.workers <= self.maxWorkers)",
            "workers must not be larger than maxWorkers",
        ),
        (
            "self.preemption != 'lower' || self.isolation != 'pod'",
            "preemption: lower needs isolation: process, because a worker pod of one job is not used again after it",
        ),
    )

    labels: LabelMap = Field(
        default_factory=dict, description="What the workers can do; a job's workerSelector matches these."
    )
    job_labels: LabelMap = Field(
        default_factory=dict, description="Takes only jobs that carry all of these labels; empty: any job."
    )
    capacity_per_worker: int = Field(16, ge=1, le=1024, description="Slots of each worker.")
    capacity_hints: CapacityHints = Field(
        CapacityHints.FALLBACK,
        description="When a worker takes no more slots than it has found at its start that it holds. fallback: when "
        "its models run on the processor although an accelerator was asked for. always: also when they run on what "
        "was asked for. ignore: never. capacityPerWorker is the most in any case.",
    )
    min_workers: int = Field(1, ge=0, le=10000, description="Workers that are always there.")
    max_workers: int = Field(1, ge=1, le=10000, description="Most workers; more than minWorkers start by demand.")
    # The scale subresource can only be read where this has a value.
    workers: int = Field(
        0,
        ge=0,
        le=10000,
        description="Floor set by kubectl scale or an autoscaler; never written by the operator. An autoscaler "
        "takes 0 for switched off: begin with 1.",
    )
    scale_down_delay: float = Field(
        300, ge=0, le=86400, description="Seconds that a worker must be idle before it is taken away."
    )
    max_unavailable: int = Field(
        1,
        ge=0,
        le=10000,
        description="Workers that may be evicted at once, as by kubectl drain: the operator keeps a "
        "PodDisruptionBudget for them. 0: none may.",
    )
    allowed_namespaces: list[Annotated[str, Field(max_length=63)]] = Field(
        default_factory=list,
        max_length=256,
        description="Namespaces whose jobs are taken; empty: the pool's own; '*': all.",
    )
    node_selector: LabelMap | None = Field(
        None,
        description="Node labels; nvidia.com/gpu.present=true for nvidia where nothing is given or claimed.",
    )
    tolerations: list[Toleration] = Field(default_factory=list, max_length=32, description="Tolerated taints.")
    affinity: Open | None = Field(None, description="v1.Affinity of the pods.")
    topology_spread: list[TopologySpread] = Field(
        default_factory=list, max_length=8, description="How the workers are spread over nodes and zones."
    )
    accelerator: Accelerator = Field(default_factory=Accelerator, description="Accelerator of each worker.")
    execution_provider: ExecutionProvider = Field(
        ExecutionProvider.AUTO, description="Where models run; auto: TensorRT, CUDA, CPU, the first that works."
    )
    image: str | None = Field(None, min_length=1, max_length=1024, description="Worker image; the chart's default.")
    image_pull_policy: str = Field(
        "IfNotPresent",
        description="Always, IfNotPresent or Never.",
        json_schema_extra={"enum": ["Always", "IfNotPresent", "Never"]},
    )
    image_pull_secrets: list[Annotated[str, Field(max_length=253)]] = Field(
        default_factory=list, max_length=8, description="Secrets for pulling the image."
    )
    resources: Resources = Field(default_factory=Resources, description="Requests and limits of a worker.")
    priority_class_name: str | None = Field(None, max_length=253, description="PriorityClass of the pods.")
    runtime_class_name: str | None = Field(None, max_length=253, description="RuntimeClass of the pods.")
    pod_template: PodTemplate | None = Field(
        None, description="Labels, annotations, containers and volumes that are added to the pods."
    )
    packing: Packing = Field(
        Packing.SPREAD, description="spread: to the emptiest worker. binpack: to the fullest that has room."
    )
    preemption: Preemption = Field(
        Preemption.NEVER,
        description="never: what runs here stays. lower: where a job of higher priority finds no place, or no slot of "
        "the licence, the newest jobs of the lowest priority give theirs, only as many as needed.",
    )
    namespace_shares: list[NamespaceShare] = Field(
        default_factory=list,
        max_length=256,
        description="How the pool is shared between namespaces; none: by waiting time alone.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["namespace"]},
    )
    isolation: Isolation = Field(
        Isolation.PROCESS,
        description="process: jobs share workers, each source is read in a process of its own. pod: each job gets a "
        "worker pod of its own, which no other job gets after it; capacityPerWorker does not count, and minWorkers "
        "are kept warm for jobs to come.",
    )
    media_mounts: list[MediaVolume] = Field(
        default_factory=list,
        max_length=16,
        description="Volumes with files for jobs; without them no job may name a file.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    source_policy: SourcePolicy = Field(
        default_factory=SourcePolicy, description="Where the sources of its jobs may be."
    )
    output_policy: OutputPolicy = Field(
        default_factory=OutputPolicy, description="Where results of its jobs may be posted to."
    )
    drain: Drain = Field(default_factory=Drain, description="How workers are emptied before they are taken away.")
    models: list[ModelVolume] = Field(
        default_factory=list,
        max_length=8,
        description="Models besides those in the worker image.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    archive: ArchiveVolume | None = Field(
        None, description="Where results are kept; without it they are lost with the pod."
    )


class WorkerCounts(Document):
    """Workers by state."""

    desired: int = Field(0, ge=0, description="How many there should be.")
    ready: int = Field(0, ge=0, description="How many answer and are not being emptied.")
    draining: int = Field(0, ge=0, description="How many answer and are being emptied.")
    failed: int = Field(0, ge=0, description="How many failed and are being replaced.")


class SlotCounts(Document):
    """Capacity of the workers that answer."""

    total: int = Field(0, ge=0, description="Slots of all ready workers.")
    found: int | None = Field(
        None, ge=0, description="Slots that the ready workers find that they hold, whatever they are given."
    )
    used: int = Field(0, ge=0, description="Slots that jobs hold.")


class WorkerPoolStatus(Document):
    """What videofleet knows about the pool."""

    observed_generation: int = Field(0, ge=0, description="Generation of the spec that this is about.")
    replicas: int = Field(0, ge=0, description="Worker pods that exist; for the scale subresource.")
    selector: str | None = Field(None, description="Label selector of the worker pods, as text.")
    workers: WorkerCounts = Field(default_factory=WorkerCounts, description="Workers by state.")
    slots: SlotCounts = Field(default_factory=SlotCounts, description="Capacity.")
    provider: str | None = Field(None, description="Where models run: tensorrt, cuda or cpu; mixed if they differ.")
    fallback: str | None = Field(None, description="Why models run on CPU although an accelerator was asked for.")
    limited: str | None = Field(
        None, description="Which workers take fewer slots than capacityPerWorker says, and why (capacityHints)."
    )
    models: list[str] = Field(default_factory=list, description="Models that the workers have.")
    isolation: list[str] = Field(
        default_factory=list,
        description="What confines decoders on every worker: decodingProcess, seccomp, and landlock where the nodes' "
        "kernels have it.",
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Ready, Reconciling, Stalled.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
