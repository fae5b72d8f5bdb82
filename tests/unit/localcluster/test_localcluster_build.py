"""Which programs are built, when they are built again, and which packages are missing."""

from pathlib import Path

import pytest

from localcluster.errors import LocalClusterError
from localcluster.gobuild import (
    CLUSTER_PROGRAMS,
    Program,
    build_key,
    is_built,
    needed_go,
    programs,
    refused_go,
    required_version,
)
from localcluster.layout import GO_MODULES, Layout
from localcluster.packages import REQUIRED, missing_packages


@pytest.fixture
def module(tmp_path: Path) -> Path:
    directory = tmp_path / "module"
    directory.mkdir()
    (directory / "go.mod").write_text("module x\n")
    (directory / "go.sum").write_text("sum 1\n")
    return directory


PROGRAM = Program("kubelet", "kubernetes", "k8s.io/kubernetes/cmd/kubelet", 39)


@pytest.mark.parametrize(
    ("name", "text"), [("go.sum", "sum 2\n"), ("go.mod", "module y\n"), ("main.go", "package main\n")]
)
def test_a_change_of_the_module_changes_the_key(module: Path, name: str, text: str) -> None:
    before = build_key(PROGRAM, module)
    (module / name).write_text(text)
    assert build_key(PROGRAM, module) != before


def test_other_files_leave_the_key_as_it_is(module: Path) -> None:
    before = build_key(PROGRAM, module)
    (module / "notes.md").write_text("text")
    assert build_key(PROGRAM, module) == before


def test_flags_are_part_of_the_key(module: Path) -> None:
    other = Program("kubelet", "kubernetes", "k8s.io/kubernetes/cmd/kubelet", 39, ldflags="-s")
    assert build_key(PROGRAM, module) != build_key(other, module)


def test_build_tags_are_part_of_the_key(module: Path) -> None:
    other = Program("kubelet", "kubernetes", "k8s.io/kubernetes/cmd/kubelet", 39, tags=("no_tracing",))
    assert build_key(PROGRAM, module) != build_key(other, module)


def test_a_program_counts_as_built_only_with_the_right_key(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path, "1.36.3")
    pause = programs("1.36.3")["pause"]
    layout.bin.mkdir(parents=True)
    (layout.bin / "pause").write_bytes(b"program")
    assert not is_built(layout, pause)
    (layout.bin / ".pause.key").write_text("of another go.sum\n")
    assert not is_built(layout, pause)
    (layout.bin / ".pause.key").write_text(build_key(pause, GO_MODULES / "pause") + "\n")
    assert is_built(layout, pause)


def test_programs_carry_the_release_they_are_built_from() -> None:
    table = programs("1.36.3")
    assert "gitVersion=v1.36.3" in table["kube-apiserver"].ldflags
    assert "k8sVersionMinor=36" in table["helm"].ldflags
    assert "version.Version=v2." in table["containerd"].ldflags
    assert set(CLUSTER_PROGRAMS) <= set(table)


def test_every_module_has_its_files() -> None:
    for program in programs("1.36.3").values():
        assert (GO_MODULES / program.module / "go.mod").exists(), program.name


def test_the_staging_modules_have_the_release_of_kubernetes() -> None:
    version = required_version("kubernetes", "k8s.io/kubernetes").removeprefix("v1")
    lines = (GO_MODULES / "kubernetes" / "go.mod").read_text().splitlines()
    replaced = [line.split("=>")[1].split() for line in lines if "=>" in line]
    assert len(replaced) == 33
    assert {staged for _, staged in replaced} == {f"v0{version}"}


def test_the_newest_go_that_a_module_asks_for_is_needed() -> None:
    assert needed_go(["pause"]) == "1.21"
    asked = [line for line in (GO_MODULES / "containerd/go.mod").read_text().splitlines() if line.startswith("go ")]
    assert [f"go {needed_go(['pause', 'containerd'])}"] == asked


@pytest.mark.parametrize(
    ("version", "toolchain", "refused"),
    [
        ("go1.26.6", "local", None),
        ("go1.27", "local", None),
        ("go1.26.10", "local", None),
        ("go1.26.5", "auto", None),
        ("go1.26.5", "local", "go is go1.26.5: Go 1.26.6 is needed; GOTOOLCHAIN=auto lets this one fetch it"),
        ("go1.19.8", "", "go is go1.19.8: Go 1.26.6 is needed, or 1.21 and newer, which fetch it themselves"),
    ],
)
def test_a_go_that_cannot_build_it_is_refused_before_anything_is_built(
    version: str, toolchain: str, refused: str | None
) -> None:
    assert refused_go(version, toolchain, "1.26.6") == refused


def test_an_unknown_dependency_is_told() -> None:
    with pytest.raises(LocalClusterError, match=r"go/helm/go\.mod does not require nothing\.here"):
        required_version("helm", "nothing.here")


def test_certificate_authorities_are_required() -> None:
    # Without them neither Go nor pip can check whom they download from; --no-install-recommends leaves them out.
    assert missing_packages("", REQUIRED) == list(REQUIRED)
    assert "ca-certificates" in REQUIRED


def test_missing_packages_are_those_not_fully_installed() -> None:
    status = "runc install ok installed\nbuildah deinstall ok config-files\nopenssl install ok installed\n"
    assert missing_packages(status, ("buildah", "mmdebstrap", "openssl", "runc")) == ["buildah", "mmdebstrap"]
