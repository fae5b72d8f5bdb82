"""Names of API resources, the paths they live at, and the few facts every object carries."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Json = dict[str, Any]
"""A parsed JSON object, as the API server sends it."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object as the API server addresses it; `group` is empty for the core group."""

    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`group/version`, or the bare version in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, or of one object or subresource when `name` is given.

        A namespaced resource without a namespace is the collection across all namespaces.
        """
        self._check(namespace, name, subresource)
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        if subresource is not None:
            parts.append(subresource)
        return "/".join(parts)

    def _check(self, namespace: str | None, name: str | None, subresource: str | None) -> None:
        if namespace is not None and not self.namespaced:
            raise ValueError(f"{self.plural} is cluster-scoped and takes no namespace, got namespace {namespace!r}")
        if name is not None and self.namespaced and not namespace:
            raise ValueError(f"{self.plural} {name!r} needs a namespace, got {namespace!r}")
        if name == "" or (name is None and subresource is not None):
            raise ValueError(f"a single {self.plural} object needs a name, got {name!r}")


PODS = Resource("", "v1", "pods")
NODES = Resource("", "v1", "nodes", namespaced=False)
SECRETS = Resource("", "v1", "secrets")
CONFIGMAPS = Resource("", "v1", "configmaps")
EVENTS = Resource("", "v1", "events")
LEASES = Resource("coordination.k8s.io", "v1", "leases")


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One incarnation of one object at one version; `namespace` is None for cluster-scoped ones."""

    resource: Resource
    namespace: str | None
    name: str
    uid: str
    version: str = ""

    @classmethod
    def of(cls, resource: Resource, obj: Json) -> ObjectRef:
        """The reference to a parsed object."""
        namespace = namespace_of(obj) if resource.namespaced else None
        return cls(resource, namespace, name_of(obj), uid_of(obj), version_of(obj))


def uid_of(obj: Json) -> str:
    """`metadata.uid`."""
    return str(obj["metadata"]["uid"])


def name_of(obj: Json) -> str:
    """`metadata.name`."""
    return str(obj["metadata"]["name"])


def namespace_of(obj: Json) -> str:
    """`metadata.namespace`, empty for cluster-scoped objects."""
    # One of few that all objects have.
    return sys.intern(str(obj["metadata"].get("namespace") or ""))


def version_of(obj: Json) -> str:
    """`metadata.resourceVersion`, empty when missing."""
    return str(obj["metadata"].get("resourceVersion") or "")


def is_older(version: str, than: str) -> bool:
    """Whether one resourceVersion is surely older than another.

    Versions are comparable decimals since Kubernetes 1.35; what is not decimal is never called older.
    """
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)
