"""What analytics mean on a worker, and what is refused."""

from typing import Any

import numpy as np
import pytest

from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import JobSpec
from videofleet_worker.analytics.model import LineSettings, ZoneSettings
from videofleet_worker.decode.masks import Mask
from videofleet_worker.models.detections import Detections
from videofleet_worker.models.registry import ModelRegistry
from videofleet_worker.pipeline.plan import Plan, make_plan
from videofleet_worker.pipeline.regions import outside
from videofleet_worker.pipeline.stepplan import RefusedError
from videofleet_worker.tracking.settings import LookSettings


@pytest.fixture(scope="module")
def registry() -> ModelRegistry:
    return ModelRegistry.load()


def _spec(*analytics: dict[str, Any], **other: Any) -> JobSpec:
    document = {"source": {"url": "http://host/a.mp4"}, "analytics": list(analytics)} | other
    return JobSpec.model_validate(document)


def _steps(*steps: dict[str, Any], name: str = "main") -> dict[str, Any]:
    return {"name": name, "steps": list(steps)}


def _detect(model: str = "detect", **parameters: Any) -> dict[str, Any]:
    return {"model": model, "parameters": parameters}


def _track(**parameters: Any) -> dict[str, Any]:
    return {"model": "track", "parameters": parameters}


def test_defaults_are_those_of_the_model(registry: ModelRegistry) -> None:
    plan = make_plan(_spec(_steps({"model": "detect"})), registry)
    one = plan.analytics[0]
    usual = one.model.manifest.thresholds
    assert (one.wanted.confidence, one.wanted.iou, one.wanted.class_ids) == (usual.confidence, usual.iou, None)
    assert one.tracker is None
    assert plan.model_size == (416, 416)


def test_the_tracker_sees_weaker_objects_than_the_results(registry: ModelRegistry) -> None:
    plan = make_plan(_spec(_steps(_detect(confidence=0.6), _track())), registry)
    one = plan.analytics[0]
    assert one.tracker is not None
    assert plan.inferences[0].query.confidence == one.tracker.low_score
    assert one.tracker.new_track_score == 0.6


def test_lost_seconds_are_taken_and_grow_with_rare_sampling(registry: ModelRegistry) -> None:
    def lost(sampling: dict[str, Any], **parameters: Any) -> float:
        plan = make_plan(_spec(_steps(_detect(), _track(**parameters)), sampling=sampling), registry)
        assert plan.analytics[0].tracker is not None
        return plan.analytics[0].tracker.lost_seconds

    assert lost({"mode": "all"}) == 2.0
    assert lost({"mode": "fps", "value": 0.5}) == 6.0
    assert lost({"mode": "fps", "value": 0.5}, lostSeconds=1.5) == 1.5


def test_the_tracker_is_bytetrack_unless_another_is_named(registry: ModelRegistry) -> None:
    for parameters, name in ({}, "bytetrack"), ({"tracker": "ocsort"}, "ocsort"):
        assert make_plan(_spec(_steps(_detect(), _track(**parameters))), registry).analytics[0].tracker_name == name


def test_looks_are_compared_by_the_limits_given_or_else_by_the_models_own(registry: ModelRegistry) -> None:
    def looks(**given: Any) -> LookSettings | None:
        steps = _steps(_detect(), {"model": "feature"}, _track(**given))
        (one,) = make_plan(_spec(steps), registry).analytics
        assert one.tracker is not None
        return one.tracker.looks

    own = registry["face-resnet-128"].manifest.similarity
    assert own == 0.92
    assert looks() is None
    assert looks(appearance={"step": "feature"}) == LookSettings("face-resnet-128", own)
    assert looks(appearance={"step": "face-resnet-128"}) == LookSettings("face-resnet-128", own)
    given = {"step": "feature", "minSimilarity": 0, "minOverlap": 0.4, "memory": 0}
    assert looks(appearance=given) == LookSettings("face-resnet-128", 0.0, 0.4, 0.0)


def test_analytics_of_one_model_share_an_inference_wide_enough_for_all(registry: ModelRegistry) -> None:
    plan = make_plan(
        _spec(
            _steps(_detect(classes=["person"], confidence=0.7), name="people"),
            _steps(_detect("nanodet-m-416", classes=["car", "automobile"], confidence=0.5), name="cars"),
            _steps(_detect(iou=0.4), name="loose"),
        ),
        registry,
    )
    queries = [(one.query.confidence, one.query.iou, one.query.class_ids) for one in plan.inferences]
    usual = registry["nanodet-m-416"].manifest.thresholds
    assert queries == [(0.5, usual.iou, (0, 2)), (usual.confidence, 0.4, None)]
    assert [one.inference_key for one in plan.analytics] == [
        ("nanodet-m-416", usual.iou),
        ("nanodet-m-416", usual.iou),
        ("nanodet-m-416", 0.4),
    ]


@pytest.mark.parametrize(
    ("analytics", "code", "words"),
    [
        ([_steps(_detect("yolo-x"))], ErrorCode.UNKNOWN_MODEL, ["main", "yolo-x", "nanodet-m-416", "detect"]),
        ([_steps(_detect(classes=["persn"]))], ErrorCode.BAD_PARAMETER, ["main", "persn", "person"]),
        ([_steps(_track(), _detect())], ErrorCode.BAD_PARAMETER, ["main", "first step", "detect"]),
        ([_steps({"model": "feature"})], ErrorCode.BAD_PARAMETER, ["first step", "feature"]),
        ([_steps(_detect() | {"when": {"minConfidence": 0.5}})], ErrorCode.BAD_PARAMETER, ["detect", "when"]),
        (
            [_steps(_detect(), {"model": "feature", "when": {"classIs": ["face"]}})],
            ErrorCode.BAD_PARAMETER,
            ["feature", "when.classIs", "'face'"],
        ),
        (
            [_steps(_detect(), {"model": "feature", "parameters": {"confidence": 0.1}})],
            ErrorCode.BAD_PARAMETER,
            ["feature"],
        ),
        ([_steps({"model": "ocr", "parameters": {"iou": 0.1}})], ErrorCode.BAD_PARAMETER, ["ocr", "iou"]),
        ([_steps(_detect(), _track(), _track())], ErrorCode.BAD_PARAMETER, ["track", "once"]),
        ([_steps(_detect(tracker="ocsort"))], ErrorCode.BAD_PARAMETER, ["detect", "tracker", "track"]),
        ([_steps(_detect(lostSeconds=3))], ErrorCode.BAD_PARAMETER, ["detect", "lost_seconds", "track"]),
        (
            [_steps(_detect(), _track(appearance={"step": "feature"}), {"model": "feature"})],
            ErrorCode.BAD_PARAMETER,
            ["main", "track", "appearance.step", "feature", "before"],
        ),
        (
            [_steps(_detect(), {"model": "feature"}, _track(appearance={"step": "nanodet-m-416"}))],
            ErrorCode.BAD_PARAMETER,
            ["appearance.step", "nanodet-m-416", "detection", "feature"],
        ),
        (
            [_steps(_detect(), {"model": "feature"}, _track(appearance={"step": "featur"}))],
            ErrorCode.UNKNOWN_MODEL,
            ["main", "featur", "face-resnet-128"],
        ),
        ([_steps(_detect(appearance={"step": "feature"}))], ErrorCode.BAD_PARAMETER, ["detect", "appearance", "track"]),
        ([_steps(_detect(), _track(classes=["car"]))], ErrorCode.BAD_PARAMETER, ["track", "classes", "detection"]),
        ([_steps(_detect()), _steps(_detect())], ErrorCode.BAD_PARAMETER, ["main, main"]),
        ([], ErrorCode.BAD_PARAMETER, ["analytics"]),
    ],
    ids=[
        "unknown model",
        "unknown class",
        "track first",
        "a vector of nothing",
        "when at the first step",
        "a class that nobody finds",
        "a parameter at a vector",
        "a detection parameter at the reading",
        "two tracks",
        "a tracker at a detection",
        "tracking parameter at a detection",
        "looks of a step behind",
        "looks of a detection",
        "looks of an unknown model",
        "looks at a detection",
        "detection parameter at the tracking",
        "two of one name",
        "none",
    ],
)
def test_what_cannot_run_is_refused_with_what_would_be_right(
    analytics: list[dict[str, Any]], code: ErrorCode, words: list[str], registry: ModelRegistry
) -> None:
    with pytest.raises(RefusedError) as refused:
        make_plan(_spec(*analytics), registry)
    assert refused.value.code is code
    for word in words:
        assert word in refused.value.message


def test_later_steps_know_what_was_found_before_them(registry: ModelRegistry) -> None:
    steps = _steps(
        _detect(),
        {"model": "face", "when": {"classIs": ["Pedestrian"], "minConfidence": 0.7}},
        _track(),
        {"model": "feature", "when": {"classIs": ["face"]}},
        {"model": "ocr", "when": {"classIs": ["truck", "car"]}, "parameters": {"confidence": 0.9}},
    )
    plan = make_plan(_spec(steps), registry)
    (one,) = plan.analytics
    face, feature, ocr = one.later
    assert (face.when.classes, face.when.confidence) == (frozenset({0}), 0.7)
    assert one.labels[80:] == ("face",)
    assert face.classes == (80,)
    assert feature.when.classes == frozenset({80})
    assert (ocr.when.classes, ocr.least) == (frozenset({2, 7}), 0.9)
    assert one.track_at == 1
    assert plan.models == {"nanodet-m-416", "faceboxes", "face-resnet-128", "pp-ocrv4-det", "pp-ocrv4-rec"}


def test_models_of_different_sizes_share_a_decoding(registry: ModelRegistry) -> None:
    plan = make_plan(_spec(_steps({"model": "face"}, name="faces"), _steps(_detect(), name="people")), registry)
    assert plan.model_size == (416, 416)
    assert [plan.takes_tensor(one.model) for one in plan.inferences] == [False, True]
    alone = make_plan(_spec(_steps({"model": "face"})), registry)
    assert not alone.takes_tensor(alone.inferences[0].model)


TRIANGLE = [{"x": 0, "y": 0}, {"x": 0.5, "y": 0}, {"x": 0, "y": 1}]
ZONE = {"name": "door", "polygon": TRIANGLE}
LINE = {"name": "gate", "from": {"x": 0, "y": 0.5}, "to": {"x": 1, "y": 0.5}}


def test_only_analytics_that_track_watch_zones_and_lines(registry: ModelRegistry) -> None:
    plan = make_plan(
        _spec(
            _steps(_detect(), _track(), name="tracked"),
            _steps(_detect(), name="bare"),
            zones=[ZONE | {"classes": ["pedestrian", "automobile"], "minDwell": 4}],
            lines=[LINE | {"direction": "rightToLeft"}],
            privacyMasks=[{"polygon": TRIANGLE, "mode": "blur"}],
        ),
        registry,
    )
    watched = plan.named("tracked").watched
    assert watched.zones == (
        ZoneSettings("door", ((0, 0), (0.5, 0), (0, 1)), frozenset({"person", "car"}), min_dwell=4),
    )
    assert watched.lines == (LineSettings("gate", (0, 0.5), (1, 0.5), None, ("rightToLeft",)),)
    assert not plan.named("bare").watched
    assert plan.masks == (Mask(((0, 0), (0.5, 0), (0, 1)), blur=True),)


@pytest.mark.parametrize(
    ("regions", "words"),
    [
        ({"zones": [ZONE, ZONE]}, ["two zones", "door"]),
        ({"lines": [LINE, LINE]}, ["two lines", "gate"]),
        ({"zones": [ZONE | {"polygon": [TRIANGLE[0], TRIANGLE[1], TRIANGLE[0]]}]}, ["zone door", "no area"]),
        ({"privacyMasks": [{"polygon": [TRIANGLE[0]] * 3}]}, ["privacyMasks[0]", "no area"]),
        ({"lines": [LINE | {"to": LINE["from"]}]}, ["line gate", "the same place"]),
        ({"lines": [LINE | {"classes": ["person", "persn"]}]}, ["gate", "persn", "person"]),
    ],
    ids=["zones of one name", "lines of one name", "flat zone", "flat mask", "line to itself", "unknown class"],
)
def test_regions_that_cannot_be_watched_or_hidden_are_refused(
    regions: dict[str, Any], words: list[str], registry: ModelRegistry
) -> None:
    with pytest.raises(RefusedError) as refused:
        make_plan(_spec(_steps(_detect(), _track()), **regions), registry)
    assert refused.value.code is ErrorCode.BAD_PARAMETER
    for word in words:
        assert word in refused.value.message


def test_what_is_found_with_its_middle_under_a_mask_is_left_out() -> None:
    boxes = np.array([[0.1, 0.1, 0.3, 0.3], [0.3, 0.1, 0.6, 0.3], [0.6, 0.6, 0.9, 0.9]], np.float32)
    found = Detections(boxes, np.full(3, 0.9, np.float32), np.zeros(3, np.int64))
    left, corner = Mask(((0, 0), (0.4, 0), (0.4, 1), (0, 1))), Mask(((0.5, 0.5), (1, 0.5), (1, 1), (0.5, 1)), blur=True)
    assert outside([left], found).boxes.tolist() == boxes[1:].tolist()
    assert outside([left, corner], found).boxes.tolist() == boxes[1:2].tolist()
    assert outside([], found) is found


def test_zones_without_tracking_are_refused(registry: ModelRegistry) -> None:
    with pytest.raises(RefusedError, match="track step"):
        make_plan(_spec(_steps(_detect()), zones=[ZONE]), registry)


def test_a_plan_is_a_value(registry: ModelRegistry) -> None:
    spec = _spec(_steps(_detect(), _track()))
    first, second = make_plan(spec, registry), make_plan(spec, registry)
    assert isinstance(first, Plan)
    assert first == second
