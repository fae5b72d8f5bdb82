"""The objects of a frame and how they are told."""

import numpy as np
import pytest

from videofleet_api.protocol import JobSpec
from videofleet_api.results import Chunk, StreamInfo, Target, Usage
from videofleet_api.steps import Results
from videofleet_archive.documents import chunk, chunk_id, terminal_chunk
from videofleet_worker.models.detections import Detections
from videofleet_worker.models.registry import ModelRegistry
from videofleet_worker.pipeline.findings import Findings, matching, own_detections
from videofleet_worker.pipeline.objects import FoundObject, ObjectFinder, as_worded
from videofleet_worker.pipeline.plan import AnalyticsPlan, make_plan
from videofleet_worker.pipeline.stepplan import When
from videofleet_worker.pipeline.told import EveryFrame, Seen

PERSON, CAR = 0, 2
INFO = StreamInfo(
    frame_index=4,
    total_frames=None,
    decoded_frames=5,
    dropped_frames=0,
    fps=10.0,
    elapsed_ms=9,
    pts=0.4,
    capture_time=1.5,
)


def _plan(*, track: bool, tracker: str = "bytetrack", **parameters: object) -> AnalyticsPlan:
    steps: list[dict[str, object]] = [{"model": "detect", "parameters": parameters}]
    if track:
        steps.append({"model": "track", "parameters": {"tracker": tracker}})
    document = {"source": {"url": "http://host/a"}, "analytics": [{"name": "main", "steps": steps}]}
    return make_plan(JobSpec.model_validate(document), ModelRegistry.load()).analytics[0]


def _detections(*found: tuple[float, float, float, float, float, int]) -> Detections:
    """Each as x1, y1, x2, y2 in shares, score, class."""
    rows = np.array(found, np.float32).reshape(-1, 6)
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))


def _find(
    finder: ObjectFinder, plan: AnalyticsPlan, detections: Detections, width: int, height: int, pts: float
) -> list[FoundObject]:
    return finder.find(Findings(own_detections(plan, detections)), width, height, pts)


def test_boxes_are_in_pixels_of_the_frame() -> None:
    plan = _plan(track=False)
    (one,) = _find(ObjectFinder(plan, 1), plan, _detections((0.25, 0.5, 0.5, 1.0, 0.9, CAR)), 400, 200, 0.0)
    assert (one.box, one.label, one.track_id) == ((100.0, 100.0, 200.0, 200.0), "car", 0)


def test_only_the_classes_and_confidences_asked_for_are_told() -> None:
    plan = _plan(track=False, classes=["pedestrian"], confidence=0.5)
    detections = _detections((0, 0, 0.5, 0.5, 0.9, CAR), (0, 0, 0.5, 0.5, 0.8, PERSON), (0, 0, 0.5, 0.5, 0.4, PERSON))
    found = _find(ObjectFinder(plan, 1), plan, detections, 10, 10, 0)
    assert [(one.label, round(one.confidence, 2)) for one in found] == [("person", 0.8)]


def test_ids_begin_where_the_epoch_before_ended_and_go_on_through_weak_moments() -> None:
    plan = _plan(track=True, confidence=0.5)
    finder = ObjectFinder(plan, next_id=42)
    told = [
        [
            one.track_id
            for one in _find(finder, plan, _detections((0.1, 0.1, 0.3, 0.6, score, PERSON)), 400, 400, at / 10)
        ]
        for at, score in enumerate([0.9, 0.9, 0.2, 0.2, 0.9])
    ]
    assert told == [[42], [42], [], [], [42]]
    assert finder.highest_id == 42


@pytest.mark.parametrize("name", ["bytetrack", "ocsort"])
def test_ids_go_on_when_pictures_come_in_another_size(name: str) -> None:
    plan = _plan(track=True, tracker=name)
    finder = ObjectFinder(plan, next_id=1)
    told = []
    for number in range(12):
        width, height = (1920, 1080) if number < 6 else (640, 480)
        left = 0.1 + number / 100
        walking = _detections(
            (left, 0.2, left + 0.1, 0.8, 0.9, PERSON), (left + 0.3, 0.2, left + 0.4, 0.8, 0.8, PERSON)
        )
        found = _find(finder, plan, walking, width, height, number / 10)
        told.append([one.track_id for one in found])
        assert found[0].box == pytest.approx((left * width, 0.2 * height, (left + 0.1) * width, 0.8 * height))
    assert told == [[1, 2]] * 12


def test_another_tracker_begins_new_tracks_whose_numbers_were_never_used() -> None:
    usual, other = _plan(track=True), _plan(track=True, tracker="ocsort")
    finder, person = ObjectFinder(usual, 1), _detections((0.1, 0.1, 0.3, 0.7, 0.9, PERSON))
    told = []
    for frame, plan in enumerate([usual, usual, other, other, other]):
        finder.use(plan)
        told += [one.track_id for one in _find(finder, plan, person, 640, 480, frame / 10)]
    assert told == [1, 1, 2, 2, 2]
    assert finder.highest_id == 2


def test_the_tracker_gets_the_vectors_of_what_it_follows() -> None:
    """Two cars that change places between two frames; a person whom the tracker does not follow lies before them."""
    track = {"when": {"classIs": ["car"]}, "parameters": {"appearance": {"step": "feature", "minOverlap": 0.05}}}
    steps = [{"model": "detect"}, {"model": "feature"}, {"model": "track"} | track]
    document = {"source": {"url": "http://host/a"}, "analytics": [{"name": "main", "steps": steps}]}
    plan = make_plan(JobSpec.model_validate(document), ModelRegistry.load()).analytics[0]
    red, blue, nobody = np.eye(3, dtype=np.float32)
    finder, told = ObjectFinder(plan, 1), []
    for pts, looks in enumerate([(nobody, red, blue), (nobody, red, blue), (nobody, blue, red)]):
        left = 0.05 if pts == 2 else 0.0
        rows = _detections(
            (0, 0, 0.5, 0.5, 0.95, PERSON), (left, 0, 0.3, 0.5, 0.9, CAR), (0.3 + left, 0, 0.6, 0.5, 0.8, CAR)
        )
        found = finder.find(Findings(rows, looks=dict(enumerate(looks))), 100, 100, float(pts))
        told.append([one.track_id for one in found])
    assert told == [[0, 1, 2], [0, 1, 2], [0, 2, 1]]


def test_a_box_without_area_is_no_object() -> None:
    plan = _plan(track=True)
    assert _find(ObjectFinder(plan, 1), plan, _detections((0.5, 0.5, 0.5, 0.9, 0.9, PERSON)), 100, 100, 0.0) == []


def test_the_tracker_follows_what_was_found_before_it_and_what_its_when_names() -> None:
    steps = [{"model": "detect"}, {"model": "track", "when": {"classIs": ["person"]}}, {"model": "face"}]
    document = {"source": {"url": "http://host/a"}, "analytics": [{"name": "main", "steps": steps}]}
    plan = make_plan(JobSpec.model_validate(document), ModelRegistry.load()).analytics[0]
    face = plan.labels.index("face")
    rows = _detections((0, 0, 0.5, 0.5, 0.9, PERSON), (0.5, 0.5, 1, 1, 0.9, CAR), (0.1, 0.1, 0.2, 0.2, 0.9, face))
    findings = Findings(rows, {2: {"text": "x"}}, {2: 0}, trackable=2)
    person, car, inside = ObjectFinder(plan, 1).find(findings, 100, 100, 0.0)
    assert [(one.label, one.track_id, one.parent) for one in (person, car, inside)] == [
        ("person", 1, 0),
        ("car", 0, 0),
        ("face", 0, 1),
    ]
    assert Target.model_validate(inside.target(100, 100)).parent_track_id == 1
    assert inside.target(100, 100)["text"] == "x"


@pytest.mark.acceptance("V43", "V44", "V45")
def test_a_step_looks_at_objects_for_which_all_of_its_when_holds() -> None:
    found = _detections((0, 0, 1, 1, 0.9, PERSON), (0, 0, 1, 1, 0.5, PERSON), (0, 0, 1, 1, 0.7, CAR))
    cases = {
        When(): [True, True, True],
        When(frozenset({PERSON})): [True, True, False],
        When(frozenset({PERSON, CAR})): [True, True, True],
        When(None, 0.7): [True, False, True],
        When(frozenset({PERSON}), 0.7): [True, False, False],
    }
    assert {when: matching(when, found).tolist() for when in cases} == cases


@pytest.mark.acceptance("V61", "X11")
@pytest.mark.parametrize(
    ("box", "roi"),
    [
        ((10.4, 20.6, 30.0, 40.0), (10, 21, 20, 19)),
        ((-5.0, -5.0, 10.0, 10.0), (0, 0, 10, 10)),
        ((95.0, 45.0, 130.0, 70.0), (95, 45, 5, 5)),
        ((99.9, 49.9, 100.0, 50.0), (99, 49, 1, 1)),
        ((10.1, 10.1, 10.2, 10.2), (10, 10, 1, 1)),
    ],
)
def test_a_target_lies_inside_the_frame(box: tuple[float, float, float, float], roi: tuple[int, int, int, int]) -> None:
    target = Target.model_validate(FoundObject(3, "person", 0.91234567, box).target(100, 50))
    assert (target.roi.left, target.roi.top, target.roi.width, target.roi.height) == roi
    assert (target.track_id, target.confidence) == (3, 0.9123)


def test_what_is_written_on_an_object_is_drawn_beside_it() -> None:
    plate = FoundObject(3, "plate", 0.9, (0, 0, 9, 9), details={"text": "KLM1234\nDUBLIN"})
    assert (plate.mark().text, FoundObject(3, "plate", 0.9, (0, 0, 9, 9)).mark().text) == (
        "plate KLM1234 3 0.90",
        "plate 3 0.90",
    )


def test_an_object_without_a_track_has_no_track_id_at_all() -> None:
    assert "track_id" not in FoundObject(0, "person", 0.5, (0, 0, 9, 9)).target(100, 50)


def _told(objects: list[FoundObject]) -> dict[str, object]:
    """What a log that tells every frame has of these in a picture of 100 x 50."""
    teller = EveryFrame()
    assert teller.see(Seen(INFO, objects, (100, 50), {}))
    return teller.document()


@pytest.mark.acceptance("V52", "V53", "V61", "V62", "V58", "V60", "V66")
def test_chunks_are_documents_of_the_contract() -> None:
    objects = [FoundObject(1, "person", 0.5, (0, 0, 9, 9))]
    data = chunk(chunk_id("job", 2), INFO, [_told(objects)])
    parsed = Chunk.model_validate_json(data)
    assert (parsed.id, parsed.stream_info, parsed.finish_reason) == ("mm-pipe-job-2", INFO, None)
    assert (parsed.delta.results[0].index, parsed.delta.results[0].targets[0].class_) == (0, "person")
    assert b'"fps":10.0,' in data
    assert b'"total_frames":null' in data
    assert b'"finish_reason":null' in data
    assert b"\n" not in data


@pytest.mark.acceptance("V63", "V64", "V97")
def test_the_last_chunk_says_why_and_what_it_took() -> None:
    usage = Usage(processed_frames=5, processing_time_ms=100)
    parsed = Chunk.model_validate_json(terminal_chunk("job-2", INFO, "max_frames", usage))
    assert (parsed.finish_reason, parsed.usage, parsed.delta.results) == ("max_frames", usage, [])


@pytest.mark.acceptance("V51")
def test_text_of_any_script_is_told_in_ascii() -> None:
    objects = [FoundObject(1, "plate", 0.5, (0, 0, 9, 9), details={"text": "Ж123 \u2028 車"})]
    data = chunk(chunk_id("job", 2), INFO, [_told(objects)])
    assert data.isascii()
    assert b"\n" not in data
    assert Chunk.model_validate_json(data).delta.results[0].targets[0].text == "Ж123 \u2028 車"
    assert b'"fps":10.0' in data


@pytest.mark.acceptance("V39")
def test_the_model_that_was_asked_for_is_named_where_it_is_wanted() -> None:
    usage = Usage(processed_frames=0, processing_time_ms=0)
    first = chunk("a", INFO, [_told([])], model="qwen-vl-max")
    alone = terminal_chunk("a", INFO, "cancelled", usage, "qwen-vl-max")
    assert [Chunk.model_validate_json(each).model for each in (first, alone)] == ["qwen-vl-max"] * 2
    assert b'"model"' not in chunk("a", INFO, [_told([])])


@pytest.mark.acceptance("V93", "V94")
def test_results_have_the_names_that_were_asked_for_and_tracked_objects_alone() -> None:
    box = (0.0, 0.0, 9.0, 9.0)
    objects = [FoundObject(1, "person", 0.9, box), FoundObject(0, "person", 0.8, box), FoundObject(2, "dog", 0.7, box)]
    words = Results(class_names={"person": "pedestrian"}, tracked_only=True)
    assert [(one.track_id, one.label) for one in as_worded(objects, words)] == [(1, "pedestrian"), (2, "dog")]
    assert as_worded(objects, Results()) == objects
