"""What a request to the API server is about, read from its method and path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

WRITES = ("POST", "PUT", "PATCH", "DELETE")
UNCOUNTED = ("leases", "events")
"""Renewals of the Lease come with the clock, Events are aggregated: neither is a step of the operator's work."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `verb` is its method, or LIST or WATCH; `kind` the plural of what it is about, empty for others."""

    replica: str
    verb: str
    kind: str
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None
    initial: bool = False
    """A watch that sends what exists first (a streaming list)."""

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.verb in WRITES

    @property
    def counted(self) -> bool:
        """Whether it is one of the writes that faults count."""
        return self.writes and self.kind not in UNCOUNTED

    def __str__(self) -> str:
        words = [self.replica, self.verb, self.kind, self.name or "", self.subresource or ""]
        return " ".join(word for word in words if word)


def read_call(replica: str, method: str, path: str, query: Mapping[str, str]) -> Call:
    """The call behind a request."""
    parts = [part for part in path.split("/") if part]
    rest = parts[2:] if parts[:1] == ["api"] else parts[3:]
    namespace = None
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    kind, name, subresource = (*rest, "", "", "")[:3]
    verb = method
    if method == "GET" and not name:
        verb = "WATCH" if query.get("watch") == "true" else "LIST"
    initial = query.get("sendInitialEvents") == "true"
    return Call(replica, verb, kind, namespace, name or None, subresource or None, initial)
