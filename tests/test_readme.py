"""The README's commands, run as they stand; its Python too."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from darknet_kit.core.problems import KINDS
from darknet_kit.dataset.shapes import draw_ilsvrc
from darknet_kit.network.catalog import MODELS
from darknet_kit.network.layers import infer_layers, total_bflops
from darknet_kit.network.model import CfgRequest, make_cfg
from tests.conftest import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def block_after(text: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README[README.index(text) :], re.DOTALL)
    assert found is not None
    return found[1]


def run(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    program, *words = shlex.split(command)
    assert program == "dkit"
    return subprocess.run(
        [sys.executable, "-m", "darknet_kit", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(
    not shutil.which("darknet") and not importlib.util.find_spec("torch"),
    reason="no darknet on PATH (apt-get install), and no PyTorch",
)
def test_the_five_commands_lead_from_a_tree_to_a_chart(tmp_path: Path) -> None:
    draw_ilsvrc(tmp_path, train=12, valid=4)
    commands = block_after("run by a test", "console")
    assert "--max-batches 400" in commands
    for command in commands.replace("400", "40").splitlines():  # less to wait for
        done = run(command, tmp_path)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
    assert (tmp_path / "nano_chart" / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "nano_chart" / "chart.svg").exists()
    assert len((tmp_path / "nano_chart" / "metrics.csv").read_text().splitlines()) == 41


def test_the_two_scripts_are_there_and_may_be_run() -> None:
    for line in block_after("# darknet-kit", "console").splitlines():
        script = PROJECT / line.split()[0]
        assert os.access(script, os.X_OK)


def test_the_python_example_runs(tmp_path: Path) -> None:
    from PIL import Image

    log = "".join(
        f"{i}: 2.5, 2.5 avg, 0.001000 rate, 0.1 seconds, {i} images\n" for i in range(1, 9)
    )
    (tmp_path / "train.log").write_text(log)
    kit = tmp_path / "VOCdevkit"
    kit.mkdir()
    Image.new("RGB", (20, 10)).save(kit / "a.jpg")
    (kit / "a.xml").write_text(
        "<annotation><size><width>20</width><height>10</height></size><object><name>x</name>"
        "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
        "</annotation>"
    )
    code = block_after("## In Python", "python")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["1 {}", "None"]


def test_the_table_of_problems_says_what_the_code_says() -> None:
    converting = (PROJECT / "docs/converting.md").read_text(encoding="utf-8")
    for code, kind in KINDS.items():
        assert f"| `{code}` | {kind.meaning} | {kind.action} |" in converting


def test_links_lead_to_files() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("https://") or (PROJECT / link).is_file(), link


def test_the_table_of_networks_is_complete_and_true() -> None:
    rows = []
    for model in MODELS.values():
        layers = infer_layers(make_cfg(CfgRequest(80, model.name)))
        floats = sum(layer.weight_floats for layer in layers) / 1e6
        cells = (f"`{model.name}`", model.size, len(layers), f"{floats:.2f}")
        row = [*cells, f"{total_bflops(layers):.3f}", model.pretrained]
        rows.append("| " + " | ".join(map(str, row)).rstrip() + " |")
    assert "\n".join(rows) in README
