"""Real models on pictures that lie on a device: bound by their address, and equal to what they say unbound."""

from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from tests.support.graphs import always, input_of
from tests.support.scenes import ASTRONAUT_FACE, astronaut
from videofleet_worker.device.host import HostDevice, picture_tensor
from videofleet_worker.device.picture import ModelPicture, Picture
from videofleet_worker.device.placement import Box, place
from videofleet_worker.models.batching import InferenceEngine
from videofleet_worker.models.bound import BoundSession
from videofleet_worker.models.describing import Embedder
from videofleet_worker.models.detector import Detector
from videofleet_worker.models.manifest import ModelInput
from videofleet_worker.models.providers import ProviderFacts, choose
from videofleet_worker.models.registry import Model, ModelRegistry, load_model
from videofleet_worker.models.runner import PictureBatch, Runner
from videofleet_worker.models.session import OpenSession, SessionLimits, open_session
from videofleet_worker.pipeline.crops import cut, cut_on_device

CPU = choose("cpu", ProviderFacts(offered=("CPUExecutionProvider",)))
WHOLE = (0.0, 0.0, 512.0, 512.0)
EYES = (190.0, 80.0, 260.0, 120.0)


def opened(model: Model) -> OpenSession:
    return open_session(model, CPU, SessionLimits(threads=2, device=HostDevice()))


@pytest.fixture(scope="module")
def registry() -> ModelRegistry:
    return ModelRegistry.load()


@pytest.fixture(scope="module")
def portrait() -> Picture:
    frame = VideoFrame.from_ndarray(np.asarray(astronaut()), "rgb24").reformat(format="yuv420p")
    luma, blue, red = (np.array(HostDevice().read(plane)) for plane in frame.planes)
    return Picture(luma, blue, red)


def look_at(picture: Picture, wanted: ModelInput, region: Box = WHOLE) -> ModelPicture:
    placement = place(region, picture.width, picture.height, wanted)
    assert placement is not None
    return ModelPicture(picture, placement)


@pytest.mark.parametrize("step", ["detect", "face", "feature", "ocr"])
@pytest.mark.parametrize("images", [1, 2, 3])
def test_bound_and_unbound_say_the_same(registry: ModelRegistry, portrait: Picture, step: str, images: int) -> None:
    model = registry.model_of(step)
    session, wanted = opened(model), model.manifest.input
    pictures = [look_at(portrait, wanted, region) for region in (WHOLE, ASTRONAUT_FACE, WHOLE)[:images]]
    pictures = [one for one in pictures if one.shape == pictures[0].shape]
    tensors = np.stack([picture_tensor(one, wanted) for one in pictures])
    if wanted.layout == "NHWC":
        tensors = np.ascontiguousarray(tensors.transpose(0, 2, 3, 1))
    names = list(model.manifest.outputs.values())
    expected = session.session.run(names, {wanted.name: tensors.astype(wanted.type)})
    found = BoundSession(session.session, model.manifest, HostDevice()).run(pictures)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_smaller_batch_after_a_larger_one_sees_nothing_of_it(registry: ModelRegistry, portrait: Picture) -> None:
    model = registry.model_of("detect")
    bound = BoundSession(opened(model).session, model.manifest, HostDevice())
    face = look_at(portrait, model.manifest.input, ASTRONAUT_FACE)
    (alone, *_) = bound.run([face])
    (three, *_) = bound.run([look_at(portrait, model.manifest.input)] * 3)
    (again, *_) = bound.run([face])
    assert (len(alone), len(three), len(again)) == (1, 3, 1)
    np.testing.assert_array_equal(alone, again)


def test_faces_are_where_the_processors_own_way_finds_them(registry: ModelRegistry, portrait: Picture) -> None:
    model = registry.model_of("face")
    session = opened(model)
    detector, wanted = Detector(model, session.session, session.device), model.manifest.input
    planes = portrait.luma, portrait.blue, portrait.red
    usual, own = cut(planes, WHOLE, wanted, full_range=False), cut_on_device(portrait, WHOLE, wanted)
    assert usual is not None
    assert own is not None
    assert isinstance(usual.image, np.ndarray)
    assert isinstance(own.image, ModelPicture)
    query = [detector.default_query()]
    (expected,), (found,) = (
        detector.answer(usual.image[None], query),
        detector.answer(PictureBatch((own.image,)), query),
    )
    assert len(found) == len(expected) == 1
    # In pixels of the picture.
    np.testing.assert_allclose(own.placement.in_frame(found.boxes), usual.placement.in_frame(expected.boxes), atol=1.5)
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.02)


def test_vectors_of_a_face_point_the_same_way(registry: ModelRegistry, portrait: Picture) -> None:
    model = registry.model_of("feature")
    session = opened(model)
    embedder, wanted = Embedder(model, session.session, session.device), model.manifest.input
    planes = portrait.luma, portrait.blue, portrait.red
    usual = cut(planes, ASTRONAUT_FACE, wanted, full_range=False)
    assert usual is not None
    assert isinstance(usual.image, np.ndarray)
    (expected,) = embedder.answer(usual.image[None], [None])
    (found,) = embedder.answer(PictureBatch((look_at(portrait, wanted, ASTRONAUT_FACE),)), [None])
    assert float(found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)) > 0.999


async def test_pictures_and_images_share_an_engine_but_no_batch(registry: ModelRegistry, portrait: Picture) -> None:
    model = registry.model_of("detect")
    session = opened(model)
    engine = InferenceEngine(Detector(model, session.session, session.device))
    try:
        assert engine.on_device
        query = Detector(model, session.session).default_query()
        blank = np.zeros((3, 416, 416), np.uint8)
        found = await engine.ask("a", look_at(portrait, model.manifest.input), query)
        nothing = await engine.ask("b", blank, query)
        assert len(found) >= 1
        assert len(nothing) == 0
    finally:
        await engine.close()


def test_a_model_of_halves_runs(tmp_path: Path, portrait: Picture) -> None:
    answer = {"scores": np.array([0.2, 0.8], np.float32)}
    folder = always(tmp_path / "halves", answer, **input_of(type="float16"))
    (folder / "model.yaml").write_text(
        "\n".join(
            (
                "name: halves",
                "task: classification",
                "file: model.onnx",
                "licence: none",
                "origin: test",
                "decoder: classification",
                "outputs: {scores: scores}",
                "labels: [cat, dog]",
                "input: {name: images, layout: NCHW, type: float16, colour: RGB, fit: stretch, width: 64, height: 48}",
            )
        )
    )
    model = load_model(folder)
    session = opened(model)
    runner = Runner(model, session.session, session.device)
    bound = runner.run(PictureBatch((look_at(portrait, model.manifest.input),)))
    unbound = runner.run(np.zeros((1, 3, 48, 64), np.uint8))
    np.testing.assert_array_equal(bound["scores"], unbound["scores"])


def test_a_session_without_a_device_takes_no_pictures_of_one(registry: ModelRegistry, portrait: Picture) -> None:
    model = registry.model_of("detect")
    runner = Runner(model, opened(model).session)
    assert not runner.on_device
    with pytest.raises(ValueError, match="the pictures lie on a device"):
        runner.run(PictureBatch((look_at(portrait, model.manifest.input),)))
