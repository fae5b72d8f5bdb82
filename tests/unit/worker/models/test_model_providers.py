"""The choice of execution providers, and sessions that really open."""

from dataclasses import replace
from pathlib import Path

import pytest

from videofleet_worker.device.host import HostDevice
from videofleet_worker.models.providers import (
    CPU,
    CUDA,
    TENSORRT,
    Gpu,
    ProviderChoice,
    ProviderFacts,
    ProviderName,
    Requested,
    choose,
    engine_builder,
    probe,
    step_down,
)
from videofleet_worker.models.registry import Model
from videofleet_worker.models.session import SessionLimits, open_session, provider_options

H200 = (Gpu("NVIDIA H200", 141 << 30),)
EVERYTHING = (TENSORRT, CUDA, CPU)


@pytest.mark.parametrize(
    ("requested", "offered", "gpus", "name", "reason"),
    [
        ("auto", EVERYTHING, H200, "tensorrt", None),
        ("auto", (CUDA, CPU), H200, "cuda", None),
        ("auto", (CPU,), H200, "cpu", "built without CUDA"),
        ("auto", (TENSORRT, CPU), H200, "tensorrt", None),
        ("auto", EVERYTHING, (), "cpu", "no NVIDIA GPU is visible"),
        ("tensorrt", EVERYTHING, H200, "tensorrt", None),
        ("tensorrt", (CUDA, CPU), H200, "cuda", "built without TensorRT"),
        ("tensorrt", EVERYTHING, (), "cpu", "no NVIDIA GPU is visible"),
        ("cuda", EVERYTHING, H200, "cuda", None),
        ("cuda", (TENSORRT, CPU), H200, "cpu", "without CUDA"),
        ("cuda", (CPU,), (), "cpu", "no NVIDIA GPU is visible"),
        ("cpu", EVERYTHING, H200, "cpu", None),
        ("cpu", (CPU,), (), "cpu", None),
    ],
)
def test_choice(
    requested: Requested, offered: tuple[str, ...], gpus: tuple[Gpu, ...], name: ProviderName, reason: str | None
) -> None:
    choice = choose(requested, ProviderFacts(offered, gpus))
    assert choice.name == name
    assert choice.providers[-1] == CPU
    assert (choice.fallback_reason is None) == (reason is None)
    assert reason is None or reason in (choice.fallback_reason or "")


def test_the_reason_says_what_the_driver_said_and_what_is_used_instead() -> None:
    choice = choose("auto", ProviderFacts(EVERYTHING, (), "NVML Shared Library Not Found"))
    assert choice.fallback_reason == "no NVIDIA GPU is visible here (NVML Shared Library Not Found); using the CPU"


def test_stepping_down_goes_through_cuda_and_gathers_the_reasons() -> None:
    first = choose("auto", ProviderFacts(EVERYTHING, H200))
    second = step_down(first, "no TensorRT")
    third = step_down(second, "no cuDNN")
    assert (second.providers, second.name) == ((CUDA, CPU), "cuda")
    assert (third.providers, third.name) == ((CPU,), "cpu")
    assert third.fallback_reason == "no TensorRT; no cuDNN; using the CPU"
    assert second.fallback_reason == "no TensorRT; using cuda"


def test_this_machine_can_be_looked_at() -> None:
    facts = probe()
    assert CPU in facts.offered
    assert bool(facts.gpus) != bool(facts.gpu_error)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_session_falls_back_to_what_starts_and_says_why(model: Model) -> None:
    # A card that does not exist: the real runtime has to refuse it, with or without CUDA built in.
    wanted = ProviderChoice((CUDA, CPU), "cuda")
    facts = probe()
    if facts.gpus and CUDA in facts.offered:
        wanted = ProviderChoice(("NoSuchExecutionProvider", CPU), "cuda")
    opened = open_session(model, wanted, SessionLimits(threads=1))
    assert opened.choice.name == "cpu"
    assert opened.session.get_providers() == [CPU]
    assert opened.choice.fallback_reason is not None
    assert opened.choice.fallback_reason.endswith("using the CPU")


@pytest.mark.parametrize(("threads", "runs", "each"), [(1, 1, 1), (2, 2, 1), (4, 4, 1), (6, 4, 2), (16, 4, 4)])
def test_runs_beside_each_other_share_the_processors(threads: int, runs: int, each: int) -> None:
    limits = SessionLimits(threads=threads)
    assert (limits.runs, limits.share.threads) == (runs, each)


def test_a_model_on_the_processor_is_there_twice_where_runs_can_be_beside_each_other(model: Model) -> None:
    on_cpu = choose("cpu", ProviderFacts(offered=(CPU,)))
    opened = open_session(model, on_cpu, SessionLimits(threads=2))
    assert opened.runs == 2
    assert opened.abreast is not None
    assert opened.abreast.get_session_options().intra_op_num_threads == 1
    alone = open_session(model, on_cpu, SessionLimits(threads=1))
    assert (alone.runs, alone.abreast) == (1, None)
    # Of pictures that lie on a device there is one input.
    held = open_session(model, on_cpu, SessionLimits(threads=2, device=HostDevice()))
    assert (held.runs, held.abreast) == (1, None)


def test_tensorrt_gets_a_profile_for_each_band_of_batch_sizes(model: Model, tmp_path: Path) -> None:
    limits = SessionLimits(threads=1, largest_batch=16, cache_folder=tmp_path, builder="trt101200-NVIDIA H200")
    lowest = "images:1x3x416x416,images:2x3x416x416,images:9x3x416x416"
    highest = "images:1x3x416x416,images:8x3x416x416,images:16x3x416x416"
    folder = tmp_path / f"{model.digest[7:23]}-trt101200-NVIDIA-H200"
    assert provider_options(TENSORRT, model, limits) == {
        "trt_profile_min_shapes": lowest,
        "trt_profile_opt_shapes": highest,
        "trt_profile_max_shapes": highest,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
    }
    assert folder.is_dir()


def test_a_file_of_one_image_a_batch_has_one_profile(model: Model) -> None:
    options = provider_options(TENSORRT, replace(model, fixed_batch=1), SessionLimits(threads=1))
    assert options["trt_profile_min_shapes"] == options["trt_profile_max_shapes"] == "images:1x3x416x416"


def test_engines_are_kept_apart_by_what_built_them() -> None:
    one, other = (Gpu(name, 1) for name in ("NVIDIA A100", "NVIDIA H200"))
    told = {engine_builder(ProviderFacts((), (gpu,), None, version)) for gpu in (one, other) for version in (1, 2)}
    assert len(told) == 4
