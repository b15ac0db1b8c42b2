"""`dkit build` as it is typed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.cli.main import COMMANDS
from tests.conftest import Ended
from tests.test_engine_build import checkout, cuda, tools  # noqa: F401 - fixtures
from tests.tiny_darknet import git, write_cuda

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("git", "gcc", "g++", "make"))), reason="no git, gcc, g++ and make"
)
Dkit = Callable[..., Ended]


def test_help(dkit: Dkit) -> None:
    ended = dkit("build", "--help")
    assert ended.exit_code == 0
    assert COMMANDS["build"][1] in ended.stdout
    assert ended.stdout.count("  dkit build") >= 2


def test_build_and_again(dkit: Dkit, checkout: Path, tmp_path: Path) -> None:  # noqa: F811
    ended = dkit("build", "--source", checkout)
    assert ended.exit_code == 0
    binary = next((tmp_path / "data/darknet-kit/engines").glob("*/darknet"))
    assert ended.stdout.startswith(f"built: {binary}\n")
    assert "Next:  dkit train" in ended.stdout
    assert "trains networks with [route]" in ended.stderr
    assert dkit("build", "--source", checkout).stdout.startswith(f"up to date: {binary}\n")


def test_json(dkit: Dkit, checkout: Path, tmp_path: Path) -> None:  # noqa: F811
    ended = dkit("build", "--out", tmp_path / "here", "--json")
    document = json.loads(ended.stdout)
    assert document["ok"] is True
    assert document["state"] == "built"
    assert document["binary"] == str(tmp_path / "here/darknet")
    assert document["verification"]["trial"].startswith("2 iterations on 4 drawn images")
    assert document["commit"] == git(checkout, "rev-parse", "HEAD")
    assert f"--engine {tmp_path / 'here/darknet'}" in document["next_command"]


def test_dry_run_writes_nothing(
    dkit: Dkit,
    checkout: Path,  # noqa: F811
    cuda: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    ended = dkit("build", "--dry-run", "--arch", "8.6,9.0", "--without", "avx")
    assert ended.exit_code == 0
    assert "-gencode arch=compute_86,code=[sm_86,compute_86]" in ended.stdout
    assert "AVX         0         --without avx" in ended.stdout
    assert not (tmp_path / "data").exists()
    document = json.loads(dkit("build", "--dry-run", "--json").stdout)
    assert document["dry_run"] is True
    assert {one["name"] for one in document["settings"]} >= {"GPU", "OPENCV", "AVX"}
    assert all(one["reason"] for one in document["settings"])


def test_a_toolkit_is_named(
    dkit: Dkit,
    checkout: Path,  # noqa: F811
    cuda: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """By its folder, not by $CUDA_HOME; it insists on a GPU, for which there has to be one."""
    named = write_cuda(tmp_path / "named")
    words = ["build", "--dry-run", "--json", "--cuda", named]
    assert json.loads(dkit(*words).stdout)["error"]["code"] == "no-gpu"
    document = json.loads(dkit(*words, "--arch", "8.9").stdout)
    settings = {one["name"]: one["value"] for one in document["settings"]}
    assert settings["NVCC"].startswith(f"{named}/bin/nvcc ")
    assert settings["ARCH"] == "-gencode arch=compute_89,code=[sm_89,compute_89]"
    assert "CUDA 13.0" in document["versions"]


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (["--gpu"], 4, "no-gpu"),
        (["--arch", "9.0"], 4, "no-nvcc"),
        (["--arch", "fast"], 2, "bad-arch"),
        (["--cpu", "--arch", "9.0"], 2, "cpu-with-arch"),
        (["--cpu", "--cuda", "pip"], 2, "cpu-with-cuda"),
        (["--cuda", "pip"], 4, "no-nvcc"),
        (["--cuda", "/nowhere/at/all"], 4, "no-nvcc"),
        (["--source", "/nowhere/at/all"], 2, "no-source"),
        (["--flavor", "original"], 2, "no-such-build"),
        (["--flavor", "mine"], 2, "usage"),
        (["--jobs", "0"], 2, "usage"),
        (["--without", "gpu"], 2, "usage"),
    ],
)
def test_refusals(
    words: list[str],
    exit_code: int,
    code: str,
    dkit: Dkit,
    tools: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("darknet_kit.engine.toolkit._iter_nvcc", lambda *_: iter(()))
    ended = dkit("build", *words, "--json")
    document = json.loads(ended.stdout)
    assert (ended.exit_code, document["error"]["code"]) == (exit_code, code)
    ended = dkit("build", *words)
    assert ended.exit_code == exit_code
    assert len(ended.stderr.splitlines()) <= 3
    assert "Traceback" not in ended.stderr


def test_a_failed_build(dkit: Dkit, checkout: Path) -> None:  # noqa: F811
    (checkout / "src/layers.h").write_text("#include <cudnn.h>\n")
    ended = dkit("build", "--source", checkout)
    assert ended.exit_code == 4
    assert "the log ends with:" in ended.stderr
    assert "the header cudnn.h is missing  [missing-header]" in ended.stderr
