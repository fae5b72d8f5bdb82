"""Structural CRD schemas from the pydantic models."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from videofleet_api.names import GROUP, VERSION
from videofleet_api.videojob import VideoJobSpec, VideoJobStatus
from videofleet_api.videolicense import VideoLicenseSpec, VideoLicenseStatus
from videofleet_api.workerpool import WorkerPoolSpec, WorkerPoolStatus

Schema = dict[str, Any]
_DROPPED = frozenset({"title", "$defs", "additionalProperties", "default"})


@dataclass(frozen=True)
class Column:
    """A printer column; `wide` ones show with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False

    def wire(self) -> Schema:
        """The entry of additionalPrinterColumns."""
        return {"name": self.name, "type": self.type, "jsonPath": self.path, **({"priority": 1} if self.wide else {})}


@dataclass(frozen=True)
class Kind:
    """One custom resource."""

    kind: str
    plural: str
    short_names: tuple[str, ...]
    scope: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()
    scale: Schema | None = None
    rules: tuple[tuple[str, str], ...] = field(default=())


_AGE = Column("Age", ".metadata.creationTimestamp", "date")

VIDEO_JOB = Kind(
    kind="VideoJob",
    plural="videojobs",
    short_names=("vj",),
    scope="Namespaced",
    description="A camera, a file or a clip to analyse.",
    spec=VideoJobSpec,
    status=VideoJobStatus,
    columns=(
        Column("Phase", ".status.phase"),
        Column("Worker", ".status.worker.name"),
        Column("FPS", ".status.statistics.processedFps", "number"),
        Column("Restarts", ".status.statistics.restarts", "integer"),
        Column("Reason", ".status.reason"),
        Column("Source", ".status.source", wide=True),
        Column("Pool", ".status.worker.pool", wide=True),
        Column("Progress", ".status.progress.percent", wide=True),
        Column("Message", ".status.message", wide=True),
        _AGE,
    ),
    selectable=(".status.phase", ".status.worker.name"),
)

WORKER_POOL = Kind(
    kind="WorkerPool",
    plural="workerpools",
    short_names=("vwp",),
    scope="Namespaced",
    description="Worker pods of one kind.",
    spec=WorkerPoolSpec,
    status=WorkerPoolStatus,
    columns=(
        Column("Ready", ".status.workers.ready", "integer"),
        Column("Desired", ".status.workers.desired", "integer"),
        Column("Used", ".status.slots.used", "integer"),
        Column("Slots", ".status.slots.total", "integer"),
        Column("Provider", ".status.provider"),
        Column("Fallback", ".status.fallback", wide=True),
        _AGE,
    ),
    scale={
        "specReplicasPath": ".spec.workers",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    },
    rules=(("size(self.metadata.name) <= 40", "a pool's name has at most 40 characters: its pods are named after it"),),
)

VIDEO_LICENSE = Kind(
    kind="VideoLicense",
    plural="videolicenses",
    short_names=("vlic",),
    scope="Cluster",
    description="The licence of this cluster.",
    spec=VideoLicenseSpec,
    status=VideoLicenseStatus,
    columns=(
        Column("Licensee", ".status.licensee"),
        Column("Used", ".status.usedStreams", "integer"),
        Column("Streams", ".status.maxStreams", "integer"),
        Column("Valid", ".status.conditions[?(@.type=='Valid')].status"),
        Column("Reason", ".status.conditions[?(@.type=='Valid')].reason"),
        # As text: kubectl shows a date as an age, and one that is still to come as <invalid>.
        Column("Expires", ".status.expires"),
        Column("Features", ".status.features", wide=True),
        Column("Message", ".status.conditions[?(@.type=='Valid')].message", wide=True),
        _AGE,
    ),
    rules=(("self.metadata.name == 'default'", "the only VideoLicense that counts is the one named default"),),
)

KINDS = (VIDEO_JOB, WORKER_POOL, VIDEO_LICENSE)


def crd(kind: Kind) -> Schema:
    """The CustomResourceDefinition of a kind."""
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root(kind)},
        "subresources": {"status": {}, **({"scale": kind.scale} if kind.scale else {})},
        "additionalPrinterColumns": [column.wire() for column in kind.columns],
    }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    names = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": kind.kind.lower(),
        "shortNames": list(kind.short_names),
        "categories": ["all", "video"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", "annotations": {"helm.sh/resource-policy": "keep"}},
        "spec": {"group": GROUP, "scope": kind.scope, "names": names, "versions": [version]},
    }


def structural(model: type[BaseModel]) -> Schema:
    """The model's schema with references inlined, null unions dropped and defaults kept where the server may fill."""
    schema = model.model_json_schema(by_alias=True)
    return _inline(schema, schema.get("$defs", {}))


def _root(kind: Kind) -> Schema:
    root: Schema = {
        "type": "object",
        "description": kind.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(kind.spec),
            # One writer needs no owner for each field: to keep those costs the API server a third of a status write.
            "status": {**structural(kind.status), "x-kubernetes-map-type": "atomic"},
        },
    }
    if kind.rules:
        root["x-kubernetes-validations"] = [{"rule": rule, "message": message} for rule, message in kind.rules]
    return root


def _inline(node: Schema, definitions: Schema) -> Schema:
    node = _resolve(node, definitions)
    out = {key: value for key, value in node.items() if key not in _DROPPED}
    if "properties" in node:
        out["properties"] = {name: _inline(value, definitions) for name, value in node["properties"].items()}
    if isinstance(node.get("items"), dict):
        out["items"] = _inline(node["items"], definitions)
    if isinstance(node.get("additionalProperties"), dict):
        out["additionalProperties"] = _inline(node["additionalProperties"], definitions)
    if node.get("default") is not None and not isinstance(node["default"], dict | list):
        out["default"] = node["default"]
    return _without_json_schema_only(out)


def _resolve(node: Schema, definitions: Schema) -> Schema:
    """Follow a reference and take `X` out of `X or null`; what stands beside them wins."""
    beside = {key: value for key, value in node.items() if key not in ("$ref", "anyOf", "allOf")}
    if "$ref" in node:
        return {**_resolve(definitions[node["$ref"].rpartition("/")[2]], definitions), **beside}
    for union in ("anyOf", "allOf"):
        if union in node:
            real = [option for option in node[union] if option.get("type") != "null"]
            if len(real) != 1:
                raise ValueError(f"a CRD field cannot be one of several types: {node}")
            return {**_resolve(real[0], definitions), **beside}
    return node


def _without_json_schema_only(out: Schema) -> Schema:
    """Kubernetes wants boolean exclusiveMinimum beside minimum (OpenAPI 3.0)."""
    for exclusive, plain in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in out and not isinstance(out[exclusive], bool):
            out[plain] = out[exclusive]
            out[exclusive] = True
    out.pop("const", None)
    return out
