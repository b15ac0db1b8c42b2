"""Building hank-ai's flavour: a real cmake, git and gcc on a small tree.

It stands in for upstream's: the version comes out of git's tags by the same commands, the target,
its place and its name are the same, and the program asks on a CPU whether one is sure.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine import source as source_module
from darknet_kit.engine.build import Built, build, target_folder
from darknet_kit.engine.plan import plan_build
from darknet_kit.engine.source import find_source
from darknet_kit.engine.toolchain import find_toolchain
from darknet_kit.engine.upstream import Pin
from darknet_kit.errors import BuildError
from tests.tiny_darknet import commit_tree, git, write_tools

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("git", "gcc", "g++", "make", "cmake"))),
    reason="no git, gcc, g++, make and cmake",
)

TREE = {
    "CM_version.cmake": "EXECUTE_PROCESS (COMMAND git describe --tags --dirty --long "
    "OUTPUT_VARIABLE DARKNET_VERSION_STRING OUTPUT_STRIP_TRAILING_WHITESPACE)\n"
    'STRING (REGEX MATCH "v([0-9]+).([0-9]+)-([0-9]+)" _ ${DARKNET_VERSION_STRING})\n',
    "CMakeLists.txt": "CMAKE_MINIMUM_REQUIRED (VERSION 3.24)\nINCLUDE (CM_version.cmake)\n"
    "PROJECT (Darknet LANGUAGES C)\nADD_SUBDIRECTORY (src-cli)\n",
    "src-cli/CMakeLists.txt": "ADD_EXECUTABLE (darknetcli main.c)\n"
    'SET_TARGET_PROPERTIES (darknetcli PROPERTIES OUTPUT_NAME "darknet")\n'
    'TARGET_COMPILE_DEFINITIONS (darknetcli PRIVATE VERSION="${DARKNET_VERSION_STRING}")\n'
    "INSTALL (TARGETS darknetcli DESTINATION bin)\n",
    "src-cli/main.c": r"""#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
    static float floats[101450]; /* as tiny_darknet counts them */
    int header[5] = {0, 2, 5, 8, 0};
    char answer[9] = "";
    FILE *weights;
    printf("Darknet V5 \"Moonlit\" %s [CPU]\n", VERSION);
    puts("Darknet is compiled to use the CPU.");
    if (argc < 4 || strcmp(argv[2], "train")) return 0;
    if (!fgets(answer, 9, stdin) || strcmp(answer, "yes\n")) return puts("Cancel the attempt.");
    puts("1: loss=5.900, avg loss=5.900, rate=0.001000, 103.801 milliseconds, 4 images, "
        "time remaining=unknown");
    puts("2: loss=5.100, avg loss=5.820, rate=0.001000, 103.801 milliseconds, 8 images, "
        "time remaining=unknown");
    weights = fopen("backup/trial_final.weights", "wb");
    fwrite(header, sizeof(header), 1, weights);
    fwrite(floats, sizeof(floats), 1, weights);
    return fclose(weights);
}
""",
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a committed and tagged tree on a machine without NVIDIA's, and pin its commit."""
    for name, text in TREE.items():
        path = tmp_path / "checkout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    tools = write_tools(tmp_path / "tools", "pkg-config")
    (tools / "pkg-config").write_text("#!/bin/sh\n[ $1 = --modversion ] && echo 4.6.0\n")
    (tools / "pkg-config").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "no-cuda"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = tmp_path / "checkout"
    pin = Pin(Flavor.HANK_AI, (f"file://{folder}",), commit_tree(folder), "", "", True)
    git(folder, "tag", "v5.1")
    monkeypatch.setattr(source_module, "find_pin", lambda _flavor: pin)
    monkeypatch.setattr(source_module, "THIRD_PARTY", tmp_path / "third_party")
    return folder


def build_here(given: Path | None) -> Built:
    source = find_source(Flavor.HANK_AI, str(given or ""))
    plan = plan_build(find_toolchain(), flavor=source.flavor, gpu=False, jobs=2)
    return build(plan, source, target_folder(plan, source))


@pytest.mark.parametrize("from_repository", [True, False])
def test_cmake_builds_beside_the_source(from_repository: bool, checkout: Path) -> None:
    built = build_here(None if from_repository else checkout)
    record = json.loads((built.folder / "build.json").read_bytes())
    commit = git(checkout, "rev-parse", "HEAD")
    assert record["verification"] == {
        "version": f"v5.1-0-g{commit[:7]}",
        "features": "CPU, OpenCV",
        "gpu_code": "",
        "trial": "2 iterations on 4 drawn images, average loss 5.82",  # what the program says
    }
    assert record["settings"]["CMAKE_BUILD_TYPE"] == "Release"
    assert "cmake" in " ".join(record["versions"])
    assert git(checkout, "status", "--porcelain", "--ignored") == ""


@pytest.mark.parametrize("kind", ["shallow", "archive"])
def test_a_source_without_tags_is_told_so(kind: str, checkout: Path, tmp_path: Path) -> None:
    """Even below a folder that is a repository with tags of its own, as some homes are."""
    home = tmp_path / "data"
    home.mkdir()
    (home / "notes.txt").write_text("mine\n")
    commit_tree(home)
    git(home, "tag", "v1.0")
    copy = tmp_path / "copy"
    if kind == "shallow":
        words = ["git", "clone", "-q", "--depth=1", "--no-tags", f"file://{checkout}", str(copy)]
        subprocess.run(words, check=True)
    else:
        shutil.copytree(checkout, copy, ignore=shutil.ignore_patterns(".git"))
    with pytest.raises(BuildError) as failed:
        build_here(copy)
    assert failed.value.code == "no-tags"
