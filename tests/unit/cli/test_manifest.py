"""A VideoJob from arguments."""

from pathlib import Path
from typing import Any

import pytest

from kubectl_videojob import manifest
from kubectl_videojob.errors import UserError


@pytest.mark.parametrize(
    ("address", "begins"),
    [
        ("https://archive.example/clips/Town Hall.MP4", "town-hall-mp4-"),
        ("rtsp://camera-17.example/stream1", "stream1-"),
        ("rtsp://camera-17.example/", "camera-17-example-"),
        ("rtsp://10.0.0.1", "10-0-0-1-"),
        ("https://x.example/" + "a" * 200, "a" * 50 + "-"),
        ("https://x.example/?", "x-example-"),
    ],
)
def test_a_name_comes_from_the_address(address: str, begins: str) -> None:
    one, other = manifest.name_of(address), manifest.name_of(address)
    assert one.startswith(begins)
    assert one != other
    assert len(one) <= 63


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", {"mode": "all"}),
        ("keyframe", {"mode": "keyframe"}),
        ("fps=2.5", {"mode": "fps", "value": 2.5}),
        ("interval=3", {"mode": "interval", "value": 3.0}),
    ],
)
def test_sampling(text: str, expected: dict[str, Any]) -> None:
    assert manifest.sampling(text) == expected


@pytest.mark.parametrize("text", ["", "sometimes", "fps=many", "fps="])
def test_sampling_that_is_none_names_what_would_be(text: str) -> None:
    with pytest.raises(UserError, match=f"--sampling {text}: give all, keyframe, fps=NUMBER or interval=NUMBER"):
        manifest.sampling(text)


def test_pairs() -> None:
    assert manifest.pairs("--label", ["site=berlin", "a=b=c"]) == {"site": "berlin", "a": "b=c"}
    with pytest.raises(UserError, match="--label site: give KEY=VALUE"):
        manifest.pairs("--label", ["site"])


class TestSteps:
    def test_a_model_takes_the_place_of_the_first_step(self) -> None:
        spec: dict[str, Any] = {"analytics": [{"name": "people", "steps": [{"model": "detect"}, {"model": "track"}]}]}
        manifest.with_steps(spec, "yolo", {"classes": ["person"], "confidence": None}, track=True)
        steps = [{"model": "yolo", "parameters": {"classes": ["person"]}}, {"model": "track"}]
        assert spec["analytics"] == [{"name": "people", "steps": steps}]

    def test_other_parameters_stay(self) -> None:
        spec: dict[str, Any] = {"analytics": [{"steps": [{"model": "x", "parameters": {"iou": 0.5}}]}]}
        manifest.with_steps(spec, None, {"confidence": 0.4}, track=True)
        assert spec["analytics"][0]["steps"] == [{"model": "x", "parameters": {"iou": 0.5, "confidence": 0.4}}]

    def test_without_tracking(self) -> None:
        spec: dict[str, Any] = {}
        manifest.with_steps(spec, None, {}, track=False)
        assert spec["analytics"] == [{"steps": [{"model": "detect"}]}]


class TestFiles:
    def test_a_manifest_keeps_what_it_says(self, tmp_path: Path) -> None:
        path = tmp_path / "entrance.yaml"
        path.write_text("kind: VideoJob\nmetadata: {labels: {a: b}}\nspec: {source: {url: rtsp://x/1}}\n")
        made = manifest.base(str(path))
        assert made["metadata"] == {"name": "entrance", "labels": {"a": "b"}}
        assert made["apiVersion"] == "videofleet.io/v1alpha1"

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.yaml", "kind: Pod\nspec: {}\n", "is no VideoJob: it needs `kind: VideoJob` and a spec"),
            ("a.yaml", "- 1\n", "is no VideoJob"),
            ("a.yaml", "kind: VideoJob\n---\nkind: VideoJob\n", "holds 2 documents"),
            ("a.yaml", "", "holds 0 documents"),
            ("a.yaml", "a: [", "is no YAML: while parsing"),
            ("clip.mp4", "", "workers cannot read files of this machine: serve it over HTTP"),
        ],
    )
    def test_what_cannot_be_used(self, tmp_path: Path, name: str, content: str, message: str) -> None:
        path = tmp_path / name
        path.write_text(content)
        with pytest.raises(UserError, match=message):
            manifest.base(str(path))

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"a\.yaml cannot be read"):
            manifest.base(str(tmp_path / "a.yaml"))
        with pytest.raises(UserError, match="camera: give an address such as rtsp://HOST/PATH"):
            manifest.base("camera")


def test_what_the_models_refuse_names_the_field() -> None:
    spec = manifest.base("rtsp://camera.example/1")["spec"]
    manifest.check(spec)
    with pytest.raises(UserError, match=r"the VideoJob is not valid: spec\.maxFrames: .*; spec\.slots: "):
        manifest.check({**spec, "slots": 0, "maxFrames": -1})
