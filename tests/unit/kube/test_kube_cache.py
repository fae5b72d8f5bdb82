"""The cache alone: which knowledge wins."""

from __future__ import annotations

from videofleet_kube import ChangeType, Entry, ObjectCache


def entry(uid: str, version: int | str, value: str | None = "v", name: str | None = None) -> Entry[str]:
    return Entry(uid, "ns", name or uid, str(version), value)


def told(changes: list[object]) -> list[str]:
    return [f"{change.type.value} {change.uid}" for change in changes]  # type: ignore[attr-defined]  # any Change


def test_what_the_projection_drops_is_deleted_and_may_return() -> None:
    cache: ObjectCache[str] = ObjectCache()
    cache.apply(entry("u", 1))
    assert told([*cache.apply(entry("u", 2, None))]) == ["DELETED u"]
    assert cache.apply(entry("u", 1)) == []
    assert told([*cache.apply(entry("u", 3))]) == ["ADDED u"]


def test_an_older_answer_does_not_revive_what_the_projection_never_let_in() -> None:
    cache: ObjectCache[str] = ObjectCache()
    assert cache.apply(entry("u", 5, None)) == []
    assert cache.apply(entry("u", 4)) == []
    assert len(cache) == 0


def test_what_is_gone_for_good_is_revived_by_no_event() -> None:
    cache: ObjectCache[str] = ObjectCache()
    cache.apply(entry("u", 10))
    assert told([*cache.bury("u")]) == ["DELETED u"]
    assert cache.apply(entry("u", 12)) == []
    assert cache.delete(entry("u", 13)) == []
    assert told([*cache.apply(entry("next", 14, name="u"))]) == ["ADDED next"]


def test_an_older_namesake_does_not_displace_a_newer() -> None:
    cache: ObjectCache[str] = ObjectCache()
    cache.apply(entry("new", 5, name="one"))
    assert cache.apply(entry("old", 3, name="one")) == []
    assert cache.by_name("ns", "one") == "v"
    assert "old" not in cache


def test_versions_that_are_no_numbers_are_all_accepted() -> None:
    cache: ObjectCache[str] = ObjectCache()
    cache.apply(entry("u", "b", "first"))
    assert [change.type for change in cache.apply(entry("u", "a", "second"))] == [ChangeType.MODIFIED]
    assert cache.get("u") == "second"


def test_a_list_deletes_before_it_adds() -> None:
    cache: ObjectCache[str] = ObjectCache()
    cache.apply(entry("gone", 1))
    changes = cache.replace(None, [entry("new", 3)], "4")
    assert told([*changes]) == ["DELETED gone", "ADDED new"]
    assert cache.synthesized == 1


def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    cache: ObjectCache[str] = ObjectCache()
    cache.apply(Entry("x", "other", "x", "1", "v"))
    assert cache.replace("ns", [], "9") == []
    assert len(cache) == 1


def test_values_is_a_copy() -> None:
    cache: ObjectCache[str] = ObjectCache()
    cache.apply(entry("u", 1))
    values = cache.values()
    cache.delete(entry("u", 2))
    assert values == ["v"]
    known = cache.entry("u")
    assert known is None
