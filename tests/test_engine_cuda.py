"""Capabilities and nvcc's words for them; expected values are NVIDIA's published tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_kit.engine.cuda import (
    capabilities_of,
    choose_arch,
    parse_capabilities,
    parse_gpu_archs,
    parse_nvcc_version,
    show_capability,
)
from darknet_kit.errors import ToolchainError, UsageError

CUDA_13_0 = (75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121)  # nvcc 13.0 --list-gpu-arch
CUDA_11_8 = (35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90)


def test_nvcc() -> None:
    said = (
        "nvcc: NVIDIA (R) Cuda compiler driver\nCopyright (c) 2005-2025 NVIDIA Corporation\n"
        "Cuda compilation tools, release 13.0, V13.0.88\n"
    )
    assert parse_nvcc_version(said) == "13.0"
    assert parse_nvcc_version("nvcc: command not found") == ""
    assert parse_gpu_archs("compute_75\ncompute_100\ncompute_90\n") == (75, 90, 100)
    assert parse_gpu_archs("nvcc fatal   : Unknown option '--list-gpu-arch'") == ()


@pytest.mark.parametrize(
    ("version", "lowest", "highest"),
    [("9.0", 30, 70), ("10.2", 30, 75), ("11.0", 35, 80)],
)
def test_cudas_that_cannot_be_asked(version: str, lowest: int, highest: int) -> None:
    known = capabilities_of(version)
    assert (min(known), max(known)) == (lowest, highest)
    assert capabilities_of("") == ()


@pytest.mark.parametrize(
    ("gpus", "supported", "words"),
    [
        ([90], CUDA_13_0, "-gencode arch=compute_90,code=[sm_90,compute_90]"),
        (
            [89, 75, 89],
            CUDA_13_0,
            "-gencode arch=compute_75,code=[sm_75,compute_75] "
            "-gencode arch=compute_89,code=[sm_89,compute_89]",
        ),
        # RTX 50 with CUDA 11.8: only intermediate code of an older generation will do.
        ([120], CUDA_11_8, "-gencode arch=compute_90,code=compute_90"),
        # 8.8 runs code for 8.7, its own generation, as it is.
        ([88], CUDA_11_8, "-gencode arch=compute_87,code=[sm_87,compute_87]"),
        # An H100 beside a GTX 1080: CUDA 13 has dropped the latter.
        ([61, 90], CUDA_13_0, "-gencode arch=compute_90,code=[sm_90,compute_90]"),
    ],
)
def test_arch(gpus: list[int], supported: tuple[int, ...], words: str) -> None:
    assert choose_arch(gpus, supported, "X").words == words


def test_what_was_decided_is_said() -> None:
    assert choose_arch([90], CUDA_13_0).notes == ()
    assert "12.9 or older" in choose_arch([61, 90], CUDA_13_0, "13.0").notes[0]
    assert "at the first start" in choose_arch([120], CUDA_11_8, "11.8").notes[0]


@pytest.mark.parametrize(
    ("gpu", "last"),
    [(21, "8.0"), (30, "10.2"), (37, "11.8"), (52, "12.9"), (61, "12.9"), (70, "12.9")],
)
def test_a_gpu_that_cuda_has_dropped(gpu: int, last: str) -> None:
    with pytest.raises(ToolchainError) as refused:
        choose_arch([gpu], CUDA_13_0, "13.0")
    assert refused.value.code == "gpu-too-old-for-cuda"
    assert f"needs CUDA {last} or older" in refused.value.message


@given(st.lists(st.integers(20, 130), min_size=1), st.sampled_from([CUDA_13_0, CUDA_11_8]))
def test_only_what_nvcc_knows_is_asked_of_it(gpus: list[int], supported: tuple[int, ...]) -> None:
    try:
        arch = choose_arch(gpus, supported)
    except ToolchainError:
        assert max(gpus) < min(supported)
        return
    assert set(arch.targets) <= set(supported)
    assert arch.words.count("-gencode") == len(arch.targets)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("9.0", (90,)), ("8.6,9.0,8.6", (86, 90)), ("sm_75", (75,)), ("12.1, 90", (121, 90))],
)
def test_capabilities_as_typed(text: str, expected: tuple[int, ...]) -> None:
    assert parse_capabilities(text) == expected
    assert parse_capabilities(",".join(map(show_capability, expected))) == expected


@pytest.mark.parametrize("text", ["", "9", "H100", "9.0;8.6", "9.0,", "٩.٠", "-1.0"])
def test_capabilities_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="no compute capability"):
        parse_capabilities(text)
