"""Building Kubernetes, containerd, CoreDNS, helm and the rest from Go modules, once for each content of their files."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.console import say, step
from localcluster.errors import LocalClusterError
from localcluster.files import exclusive, write_atomically
from localcluster.layout import GO_MODULES, Layout
from localcluster.shell import run, run_logged

SPACE_NEEDED = 6 * 1024**3


@dataclass(frozen=True)
class Program:
    """One program: which module builds it, and how long that usually takes on two cores."""

    name: str
    module: str
    package: str
    usual_s: int
    ldflags: str = "-s -w"
    tags: tuple[str, ...] = ()


def _kubernetes(name: str, usual_s: int, version: str) -> Program:
    # Without these the API server calls itself v0.0.0, which clients refuse.
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    flags = " ".join(f"-X {package}.gitVersion=v{version}" for package in packages)
    return Program(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", usual_s, f"-s -w {flags}")


def _helm(kubernetes: str, helm: str) -> Program:
    major, minor = kubernetes.split(".")[:2]
    flags = [f"-X helm.sh/helm/v3/internal/version.version={helm}"]
    # Without these, charts are rendered and linted as for Kubernetes 1.20.
    for package in ("helm.sh/helm/v3/pkg/chartutil", "helm.sh/helm/v3/pkg/lint/rules"):
        flags += [f"-X {package}.k8sVersionMajor={major}", f"-X {package}.k8sVersionMinor={minor}"]
    return Program("helm", "helm", "helm.sh/helm/v3/cmd/helm", 110, " ".join(["-s", "-w", *flags]))


def _kwok(version: str) -> Program:
    flags = f"-s -w -X sigs.k8s.io/kwok/pkg/consts.Version={version}"
    return Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", 210, flags)


def _containerd(name: str, usual_s: int, version: str) -> Program:
    package = "github.com/containerd/containerd/v2"
    # What is left out needs a C compiler, a file system of its own, or somebody to send traces to.
    tags = ("no_btrfs", "no_devmapper", "no_tracing", "no_zfs")
    flags = f"-s -w -X {package}/version.Version={version}"
    return Program(name, "containerd", f"{package}/cmd/{name}", usual_s, flags, tags)


def required_version(module: str, dependency: str) -> str:
    """The version of a dependency in one of our go.mod files, with its v."""
    text = (GO_MODULES / module / "go.mod").read_text()
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(dependency)} (v\S+)", text, re.MULTILINE)
    if found is None:
        raise LocalClusterError(f"localcluster/go/{module}/go.mod does not require {dependency}")
    return found.group(1)


def programs(version: str) -> dict[str, Program]:
    """Every program by name, in the order in which they are built (what takes longest first)."""
    containerd = required_version("containerd", "github.com/containerd/containerd/v2")
    listed = [
        _kubernetes("kube-apiserver", 590, version),
        _kubernetes("kube-controller-manager", 107, version),
        _kubernetes("kube-scheduler", 42, version),
        _kubernetes("kubelet", 39, version),
        _kubernetes("kube-proxy", 15, version),
        # Debian 12's containerd is too old to mount an image as a volume.
        _containerd("containerd", 60, containerd),
        _containerd("containerd-shim-runc-v2", 3, containerd),
        _containerd("ctr", 5, containerd),
        Program("coredns", "coredns", ".", 90),
        Program("pause", "pause", ".", 3),
        # The release of etcd that this Kubernetes itself names: Debian's is too old for watching lists.
        Program("etcd", "kubernetes", "go.etcd.io/etcd/server/v3", 40),
        _kubernetes("kubectl", 59, version),
        _helm(version, required_version("helm", "helm.sh/helm/v3")),
        _kwok(required_version("kwok", "sigs.k8s.io/kwok")),
        # A server of S3, for tests of the archive; Apache-2.0, like all of the above.
        Program("versitygw", "versitygw", "github.com/versity/versitygw/cmd/versitygw", 90),
    ]
    return {program.name: program for program in listed}


CLUSTER_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "coredns",
    "pause",
    "etcd",
    "kubectl",
)


def build_key(program: Program, module_dir: Path) -> str:
    """Digest of everything of ours that decides the program: module files, source, flags."""
    settings = (program.package, program.ldflags, *program.tags)
    digest = hashlib.sha256("".join(f"{one}\n" for one in settings).encode())
    for path in sorted(module_dir.iterdir()):
        if path.name in ("go.mod", "go.sum") or path.suffix == ".go":
            digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _stamp(layout: Layout, name: str) -> Path:
    return layout.bin / f".{name}.key"


def is_built(layout: Layout, program: Program) -> bool:
    """Whether the program is there and was built from the module files as they are now."""
    stamp = _stamp(layout, program.name)
    if not (layout.bin / program.name).exists() or not stamp.exists():
        return False
    return stamp.read_text().strip() == build_key(program, GO_MODULES / program.module)


def ensure_built(layout: Layout, names: Sequence[str]) -> None:
    """Build what is missing or out of date, one after the other, with a clock."""
    table = programs(layout.version)
    unknown = [name for name in names if name not in table]
    if unknown:
        raise LocalClusterError(f"there is no program {unknown[0]}; there are {', '.join(table)}")
    if all(is_built(layout, table[name]) for name in names):
        return
    with exclusive(layout.cache / "locks" / "build.lock", "build"):
        wanted = [table[name] for name in names if not is_built(layout, table[name])]
        if wanted:
            _build_all(layout, wanted)


def _build_all(layout: Layout, wanted: Sequence[Program]) -> None:
    _check_go({program.module for program in wanted})
    layout.bin.mkdir(parents=True, exist_ok=True)
    _check_space(layout.cache)
    minutes = sum(program.usual_s for program in wanted) / 60
    say(
        f"building {', '.join(program.name for program in wanted)} with Go into {layout.bin}: "
        f"about {max(1, round(minutes))} min on two cores, once"
    )
    for program in wanted:
        _build(layout, program)


def _build(layout: Layout, program: Program) -> None:
    half = layout.bin / f".{program.name}.{os.getpid()}.half"
    key = build_key(program, GO_MODULES / program.module)
    # -mod=readonly: go.mod and go.sum in the checkout decide, and are never rewritten by a build.
    argv = ["nice", "go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false"]
    argv += ["-tags", ",".join(program.tags)] if program.tags else []
    argv += ["-ldflags", program.ldflags, "-o", str(half), program.package]
    env = {**os.environ, "CGO_ENABLED": "0"}
    log = layout.build_logs / f"build-{program.name}.log"
    with step(f"{program.name} (usually {program.usual_s} s on two cores)") as current:
        try:
            run_logged(argv, log, current, cwd=GO_MODULES / program.module, env=env)
            half.rename(layout.bin / program.name)
        finally:
            half.unlink(missing_ok=True)
    write_atomically(_stamp(layout, program.name), key + "\n")


def needed_go(modules: Iterable[str]) -> str:
    """The newest Go that one of these modules asks for."""
    found = (re.search(r"^go (\S+)", (GO_MODULES / name / "go.mod").read_text(), re.MULTILINE) for name in modules)
    return max((line.group(1) for line in found if line), key=_numbers)


def refused_go(version: str, toolchain: str, needed: str) -> str | None:
    """Why this Go does not do; None where it does, or fetches the one that is needed by itself (from 1.21)."""
    if _numbers(version) >= _numbers(needed):
        return None
    if _numbers(version) < (1, 21):
        return f"go is {version}: Go {needed} is needed, or 1.21 and newer, which fetch it themselves"
    if toolchain == "local":
        return f"go is {version}: Go {needed} is needed; GOTOOLCHAIN=auto lets this one fetch it"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _check_go(modules: Iterable[str]) -> None:
    needed = needed_go(modules)
    if shutil.which("go") is None:
        raise LocalClusterError(f"Go is not on PATH: install Go {needed} or newer to build Kubernetes")
    # Before 1.21 there is no GOTOOLCHAIN, and its line is empty.
    version, toolchain = run(["go", "env", "GOVERSION", "GOTOOLCHAIN"]).splitlines()
    if (why := refused_go(version, toolchain, needed)) is not None:
        raise LocalClusterError(why)


def _check_space(directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if free < SPACE_NEEDED:
        raise LocalClusterError(
            f"{directory} has {free / 1024**3:.1f} GiB free: building Kubernetes needs {SPACE_NEEDED // 1024**3} GiB "
            "there and in Go's build cache; set XDG_CACHE_HOME to a larger disk"
        )
