"""Which darknet is taken, and what it is. Real binaries where the machine has them.

Optional engines are named by DKIT_TEST_ALEXEYAB and DKIT_TEST_HANK, paths of built binaries.
Recorded start-up lines are those binaries' own output.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine import find
from darknet_kit.engine.find import engines_folder, find_engine
from darknet_kit.engine.flavor import Features, detect_flavor, identify, parse_identity
from darknet_kit.errors import ToolchainError

CPU_LINES = " GPU isn't used \n Used AVX \n OpenCV isn't used - data augmentation will be slow \n"
GPU_LINES = (
    " CUDA-version: 13000 (13000), cuDNN: 9.28.0, CUDNN_HALF=1, GPU count: 1  \n"
    " CUDNN_HALF=1 \n OpenCV version: 4.6.0\nNot an option: version\n"
)
HANK_LINES = (
    '\x1b[0mDarknet V5 "Moonlit" \x1b[1;37mv5.1-104-gf684e1d7\x1b[0m [v5.1] [Jun 27 2026]\n'
    "\x1b[1;33mDarknet is compiled to use the CPU.\x1b[0m  GPU is \x1b[1;31mdisabled\x1b[0m.\n"
    "OpenBLAS is disabled, OpenCV 4.6.0\n"
)


def write_program(path: Path, lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return path


def write_engine(path: Path, said: str = CPU_LINES) -> Path:
    return write_program(path, f"cat <<'END'\n{said}Not an option: version\nEND")


@pytest.fixture(autouse=True)
def _bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start from a machine on which nothing is built and nothing is named."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("DKIT_DARKNET", raising=False)
    monkeypatch.setattr(find, "THIRD_PARTY", tmp_path / "checkouts")


@pytest.fixture
def empty_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Put the tools that test programs need on PATH, and nothing else."""
    folder = tmp_path / "path"
    folder.mkdir()
    for tool in ("cat", "sh", "sleep"):
        (folder / tool).symlink_to(shutil.which(tool) or "")
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def real_engine() -> Callable[[str], str]:
    """Find a real binary by the variable that names it, or skip."""

    def get(variable: str) -> str:
        path = os.environ.get(variable)
        if not path:
            pytest.skip(f"{variable} names no darknet binary")
        return path

    return get


@pytest.mark.parametrize(
    ("said", "flavor", "features", "version"),
    [
        (CPU_LINES, Flavor.ALEXEYAB, Features(False, False, False, False), ""),
        (GPU_LINES, Flavor.ALEXEYAB, Features(True, True, True, True), ""),
        (HANK_LINES, Flavor.HANK_AI, Features(False, False, False, True), "v5.1-104-gf684e1d7"),
    ],
)
def test_start_up_lines(said: str, flavor: Flavor, features: Features, version: str) -> None:
    identity = parse_identity(said)
    assert identity is not None
    assert (identity.flavor, identity.features, identity.version) == (flavor, features, version)


def test_lines_that_tell_nothing() -> None:
    assert parse_identity("Not an option: version\n") is None


def test_debian_is_the_original() -> None:
    path = shutil.which("darknet")
    if path is None:
        pytest.skip("no `darknet` on PATH (apt-get install darknet)")
    assert detect_flavor(path) is Flavor.ORIGINAL


@pytest.mark.parametrize(
    ("variable", "flavor"),
    [("DKIT_TEST_ALEXEYAB", Flavor.ALEXEYAB), ("DKIT_TEST_HANK", Flavor.HANK_AI)],
)
def test_real_binary(
    variable: str, flavor: Flavor, real_engine: Callable[[str], str], tmp_path: Path
) -> None:
    binary = real_engine(variable)
    assert detect_flavor(binary) is flavor
    wrapper = write_program(tmp_path / "wrapper", f"echo hello\nexec '{binary}' \"$@\"")
    assert detect_flavor(wrapper) is flavor


def test_old_alexeyab_is_told_by_its_map_function(tmp_path: Path) -> None:
    old = write_program(
        tmp_path / "darknet",
        'if [ "$2" = map ]; then echo "Couldn\'t open file: $3" >&2; exit 0; fi\n'
        'echo "Not an option: $1" >&2',
    )
    assert detect_flavor(old) is Flavor.ALEXEYAB


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("exit 0", "not-darknet"),
        ("cat", "not-darknet"),  # it reads stdin, which is empty
        ("kill -ILL $$", "engine-does-not-start"),
        (
            "echo 'error while loading shared libraries: libfoo.so.1' >&2; exit 127",
            "engine-does-not-start",
        ),
    ],
)
def test_programs_that_are_no_engine(lines: str, code: str, tmp_path: Path) -> None:
    program = write_program(tmp_path / "darknet", lines)
    with pytest.raises(ToolchainError) as refused:
        identify(program)
    assert refused.value.code == code
    assert refused.value.exit_code == 4


def test_a_program_that_hangs_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darknet_kit.engine.flavor._TIMEOUT_SECONDS", 0.2)
    program = write_program(tmp_path / "darknet", "sleep 1000")
    with pytest.raises(ToolchainError, match="no answer"):
        identify(program)


def test_gpu_binary_without_a_driver_is_known_and_passed_over(
    tmp_path: Path, empty_path: Path
) -> None:
    # What a binary of this flavour says on a machine without libcuda, its text inside.
    stranded = write_program(
        engines_folder() / "alexeyab-59596d7-cuda" / "darknet",
        "# -mAP_epochs\necho 'darknet: error while loading shared libraries: libcuda.so.1: "
        "cannot open shared object file' >&2; exit 127",
    )
    assert identify(stranded).flavor is Flavor.ALEXEYAB
    assert "driver is missing" in identify(stranded).obstacle
    good = write_engine(engines_folder() / "alexeyab-59596d7-cpu" / "darknet")
    engine = find_engine("darknet")
    assert engine.path == good
    assert "passed over" in engine.reason
    assert str(stranded) in engine.reason


def test_the_order_of_places(
    tmp_path: Path, empty_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ToolchainError) as missing:
        find_engine("darknet")
    assert missing.value.code == "no-engine"
    assert "dkit build" in missing.value.hint

    def found() -> tuple[Path, str]:
        engine = find_engine("darknet")
        return engine.path, engine.reason

    on_path = write_engine(empty_path / "darknet")
    assert found() == (on_path, "`darknet` on PATH")
    checkout = write_engine(tmp_path / "checkouts" / "hank-ai" / "darknet", HANK_LINES)
    assert found() == (checkout, "the checkout in third_party/darknet/hank-ai")
    built = write_engine(engines_folder() / "hank-ai-f684e1d-cuda" / "darknet", HANK_LINES)
    assert found()[0] == built
    built = write_engine(engines_folder() / "alexeyab-59596d7-cpu" / "darknet")
    assert found() == (built, "made by `dkit build`")
    built = write_engine(engines_folder() / "alexeyab-59596d7-cuda" / "darknet", GPU_LINES)
    assert found()[0] == built
    named = write_engine(tmp_path / "elsewhere" / "darknet")
    monkeypatch.setenv("DKIT_DARKNET", str(named.parent))
    assert found() == (named, "named by $DKIT_DARKNET")
    assert find_engine(checkout).path == checkout


def test_an_engine_that_is_named_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_engine(engines_folder() / "alexeyab-59596d7-cpu" / "darknet")
    monkeypatch.setenv("DKIT_DARKNET", str(tmp_path / "gone"))
    with pytest.raises(ToolchainError, match=r"named by \$DKIT_DARKNET does not exist"):
        find_engine("darknet")
    with pytest.raises(ToolchainError, match="no program that may be run"):
        find_engine(__file__)


@pytest.mark.parametrize("record", ['{"commit": "59596d78"}', "[]", "{", '{"commit": 1}'])
def test_build_record_beside_the_binary(record: str, tmp_path: Path) -> None:
    binary = write_engine(tmp_path / "darknet")
    (tmp_path / "build.json").write_text(record)
    expected = "59596d78" if record == json.dumps({"commit": "59596d78"}) else ""
    assert find_engine(binary).commit == expected
