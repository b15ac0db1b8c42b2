"""Real engines that tests compare with, and the smallest run of each.

AlexeyAB's Darknet is named by DKIT_TEST_ALEXEYAB; the 2018 original, which Debian packages, is
looked for on PATH; hank-ai's is named by DKIT_TEST_HANK.
"""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.flavor import identify
from darknet_kit.formats.cfg import format_cfg
from darknet_kit.network.model import CfgRequest, make_cfg


def alexeyab() -> Path:
    """Return AlexeyAB's darknet, or skip."""
    named = os.environ.get("DKIT_TEST_ALEXEYAB")
    if not named:
        pytest.skip("DKIT_TEST_ALEXEYAB names no darknet of AlexeyAB")
    return Path(named).resolve()


def hank_ai() -> Path:
    """Return hank-ai's darknet, or skip."""
    named = os.environ.get("DKIT_TEST_HANK")
    if not named:
        pytest.skip("DKIT_TEST_HANK names no darknet of hank-ai")
    return Path(named).resolve()


def original() -> Path:
    """Return the 2018 darknet, or skip."""
    found = _find_original()
    if found is None:
        pytest.skip("the 2018 darknet is not on PATH (apt-get install darknet)")
    return found


@functools.cache
def _find_original() -> Path | None:
    found = shutil.which("darknet")
    if not found or identify(Path(found)).flavor is not Flavor.ORIGINAL:
        return None
    return Path(found)


def write_tiny_cfg(path: Path, classes: int, batch: int = 2) -> None:
    """Write a network that an engine trains for one iteration in no time.

    AlexeyAB's refuses a batch of 1.
    """
    cfg = format_cfg(make_cfg(CfgRequest(classes, "dkit-nano", size=(32, 32))))
    for key, value in (("batch", batch), ("subdivisions", 1), ("max_batches", 1)):
        cfg = re.sub(rf"^{key} *=.*$", f"{key}={value}", cfg, flags=re.M)
    path.write_text(cfg)


def run_engine(engine: Path, words: Sequence[str | Path], folder: Path, stdin: str = "") -> str:
    """Return all that an engine prints, however it ends: some end well when things went wrong."""
    ended = subprocess.run(
        [engine, *words],
        cwd=folder,
        input=stdin.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=120,
    )
    return ended.stdout.decode("utf-8", "replace")
