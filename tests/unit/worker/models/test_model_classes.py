"""Class names of steps: labels, aliases, and mistakes."""

import pytest

from videofleet_worker.models.classes import canonical_label, class_ids
from videofleet_worker.models.registry import Model


def test_no_names_mean_every_class(model: Model) -> None:
    assert class_ids(model.manifest, []) is None


def test_labels_and_aliases_name_the_same_class(model: Model) -> None:
    assert class_ids(model.manifest, ["truck", "pedestrian", "Person", "automobile"]) == (0, 2, 7)
    assert canonical_label(model.manifest, "pedestrian") == "person"


def test_an_unknown_class_is_named_with_the_closest(model: Model) -> None:
    with pytest.raises(ValueError, match=r"nanodet-m-416 has no class 'pedestrain'; the closest are pedestrian"):
        class_ids(model.manifest, ["car", "pedestrain"])


def test_a_class_like_no_other_is_answered_with_all(model: Model) -> None:
    with pytest.raises(ValueError, match=r"no class 'xxxxxxxx'; it has person, bicycle, .*toothbrush"):
        class_ids(model.manifest, ["xxxxxxxx"])
