"""Counts by class that go on over edits and restarts."""

from collections.abc import Iterable, Mapping


class Tally:
    """Counts by (name, class); a name is what the counts belong to, whatever else of it changes."""

    def __init__(self, before: Iterable[tuple[str, Mapping[str, int]]] = ()) -> None:
        self._counts = {name: dict(counts) for name, counts in before}

    def add(self, name: str, label: str, count: int = 1) -> None:
        """Count once more."""
        counts = self._counts.setdefault(name, {})
        counts[label] = counts.get(label, 0) + count

    def of(self, name: str) -> dict[str, int]:
        """A copy of the counts by class."""
        return dict(self._counts.get(name, ()))

    def keep(self, names: Iterable[str]) -> None:
        """Forget all others."""
        self._counts = {name: self._counts[name] for name in names if name in self._counts}
