"""A WorkerPool's additions to its pods. They come first; what the operator says itself stays."""

from collections.abc import Mapping
from typing import Any, Final

from videofleet_api.podtemplate import WORKER_CONTAINER, PodTemplate, TemplateContainer

Manifest = dict[str, Any]
CONTAINER_SECURITY: Final[Manifest] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""Of every container of a worker pod: the restricted profile of the Pod Security Standards, and more."""
# What a person may set is spelled out here as well, so that nothing else comes into a pod by whatever way.
_CONTAINER: Final = frozenset({"name", "image", "command", "args", "env", "volumeMounts", "resources", "restartPolicy"})
_VOLUME: Final = frozenset({"name", "configMap", "emptyDir", "downwardAPI", "persistentVolumeClaim", "ephemeral"})
_SPEC: Final = frozenset({"dnsPolicy", "dnsConfig", "hostAliases", "schedulerName"})
_ENV_SOURCE: Final = frozenset({"fieldRef", "resourceFieldRef", "configMapKeyRef"})


def metadata_with(template: PodTemplate | None, metadata: Manifest) -> Manifest:
    """The pod's metadata with the template's labels and annotations."""
    if template is None:
        return metadata
    given = template.metadata
    labels, annotations = metadata["labels"], metadata["annotations"]
    return {**metadata, "labels": {**given.labels, **labels}, "annotations": {**given.annotations, **annotations}}


def spec_with(template: PodTemplate | None, spec: Manifest) -> Manifest:
    """The pod's spec with what the template adds."""
    if template is None:
        return spec
    given = template.spec
    (worker,) = spec["containers"]
    additions = [each for each in given.containers if each.name == WORKER_CONTAINER]
    beside = [_container(each) for each in given.containers if each.name != WORKER_CONTAINER]
    added: Manifest = {
        **_only(given.wire(), _SPEC),
        **spec,
        "containers": [_extended(worker, additions), *beside],
        "volumes": [*spec["volumes"], *(_only(each.wire(), _VOLUME) for each in given.volumes)],
        "initContainers": [_container(each) for each in given.init_containers],
    }
    return {key: value for key, value in added.items() if value != []}


def _extended(worker: Manifest, additions: list[TemplateContainer]) -> Manifest:
    own = {each["name"] for each in worker["env"]}
    further = [each for addition in additions for each in _env(addition) if each["name"] not in own]
    mounts = [mount.wire() for addition in additions for mount in addition.volume_mounts]
    return {**worker, "env": [*further, *worker["env"]], "volumeMounts": [*worker["volumeMounts"], *mounts]}


def _container(given: TemplateContainer) -> Manifest:
    wire = {**_only(given.wire(), _CONTAINER), "env": _env(given)}
    return {**{key: value for key, value in wire.items() if value != []}, "securityContext": CONTAINER_SECURITY}


def _env(given: TemplateContainer) -> list[Manifest]:
    result: list[Manifest] = []
    for variable in given.env:
        source = None if variable.value_from is None else _only(variable.value_from.wire(), _ENV_SOURCE)
        result.append({**variable.wire(), **({"valueFrom": source} if source is not None else {})})
    return result


def _only(wire: Mapping[str, Any], allowed: frozenset[str]) -> Manifest:
    return {key: value for key, value in wire.items() if key in allowed}
