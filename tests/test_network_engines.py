"""Our networks and our arithmetic against real engines.

AlexeyAB's Darknet is named by DKIT_TEST_ALEXEYAB; the 2018 original, which Debian packages, is
looked for on PATH; hank-ai's is named by DKIT_TEST_HANK. `darknet partial` parses a cfg, prints
every layer, takes what weights there are, and writes all of them: the cheapest way to see what an
engine makes of a network.
"""

import re
import subprocess
from pathlib import Path

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.support import find_unsupported
from darknet_kit.formats.cfg import format_cfg, read_cfg, write_cfg
from darknet_kit.formats.weights import format_weights_header, read_weights_header
from darknet_kit.network.catalog import MODELS
from darknet_kit.network.layers import infer_layers, total_bflops, weight_floats
from darknet_kit.network.model import CfgRequest, make_cfg
from tests.engines import alexeyab, hank_ai, original, run_engine

_ALL_LAYERS = "99999"
_ROW_NAMES = "conv|max|route|Shortcut|upsample|yolo|reorg_old|[Dd]etection|Local|dropout|connected"


def load(engine: Path, cfg: Path, folder: Path) -> tuple[str, int]:
    """Return what the engine prints while it loads a cfg, and how many values it writes."""
    empty, whole = folder / "empty.weights", folder / "whole.weights"
    empty.touch()
    ended = subprocess.run(
        [engine, "partial", cfg, empty, whole, _ALL_LAYERS],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        timeout=120,
    )
    floats = read_weights_header(whole).floats
    whole.unlink()  # up to 250 MB, which pytest would keep
    return ended.stdout, floats


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("classes", [1, 80])
def test_alexeyab_builds_the_layers_that_we_infer(tmp_path: Path, model: str, classes: int) -> None:
    engine = alexeyab()
    path = tmp_path / "net.cfg"
    size = (320, 320) if model == "yolov1" else (320, 192)  # its local layer prints height first
    write_cfg(path, make_cfg(CfgRequest(classes, model, size=size)))
    cfg = read_cfg(path)
    printed, floats = load(engine, path, tmp_path)
    layers = infer_layers(cfg)
    rows = re.findall(rf"^ *(\d+) (?:{_ROW_NAMES})(.*)$", printed, re.M)
    assert [int(index) for index, _ in rows] == list(range(len(layers)))
    for layer, (_, row) in zip(layers, rows, strict=True):
        shape = re.search(r"(?:->|outputs:) *(\d+) x *(\d+) x *(\d+)", row)
        work = re.search(r"([\d.]+) BF", row)
        if shape:
            assert tuple(map(int, shape.groups())) == (
                layer.output.width,
                layer.output.height,
                layer.output.channels,
            )
        if work:
            assert layer.bflops == pytest.approx(float(work[1]), abs=0.0006)
    total = re.search(r"Total BFLOPS ([\d.]+)", printed)
    assert total
    assert total_bflops(layers) == pytest.approx(float(total[1]), abs=0.002)
    assert "Unused field" not in printed
    assert floats == weight_floats(cfg)


@pytest.mark.parametrize(
    "model", ["yolov3", "yolov3-spp", "yolov3-tiny", "yolov2", "yolov2-tiny", "dkit-nano"]
)
def test_the_2018_original_builds_them_too(tmp_path: Path, model: str) -> None:
    engine = original()
    path = tmp_path / "net.cfg"
    write_cfg(path, make_cfg(CfgRequest(10, model)))
    printed, floats = load(engine, path, tmp_path)
    assert "Unused field" not in printed
    assert "Couldn't find" not in printed
    assert floats == weight_floats(read_cfg(path))


@pytest.mark.parametrize("model", list(MODELS))
def test_hank_ai_loads_what_it_is_said_to_support(tmp_path: Path, model: str) -> None:
    """It reads weights strictly: as many values as we count, and not one less."""
    engine = hank_ai()
    path, start, whole = (tmp_path / name for name in ("net.cfg", "in.weights", "whole.weights"))
    cfg = make_cfg(CfgRequest(10, model, size=(320, 320) if model == "yolov1" else (320, 192)))
    write_cfg(path, cfg)
    floats = weight_floats(cfg)
    assert floats is not None
    words: list[str | Path] = ["partial", path, start, whole, _ALL_LAYERS]
    start.write_bytes(format_weights_header(0) + bytes(4 * (floats - 1)))
    refused = run_engine(engine, words, tmp_path)
    assert not whole.exists()
    lacks = find_unsupported(cfg, Flavor.HANK_AI)
    if lacks:
        named = {lack.what.strip("[]") for lack in lacks}
        assert any(f'layer name "{name}" is not supported' in refused for name in named)
        return
    assert re.search(r"expected to read (\d+) fields, but only read \d+", refused)
    start.write_bytes(format_weights_header(0) + bytes(4 * floats))
    run_engine(engine, words, tmp_path)
    assert read_weights_header(whole).floats == floats
    whole.unlink()
    start.unlink()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("policy=steps", "policy=poly", "steps="),
        ("hue=.1", "hue=.1\nhue=.1", "hue=.1"),
        ("decay=0.0005", "decay=5e-4", "decay="),
        ("hue=.1", "hue=.1\nmax_crop=200", "max_crop="),
        ("hue=.1", "hue=.1\nB1=.9", "B1="),
        ("hue=.1", "hue=.1\nzzz=.9", "zzz="),
        ("hue=.1", "hue=.1\nadam=1\nB1=.9", ""),
        ("hue=.1", "hue=.1 # 5e-4", ""),
        ("policy=steps", "policy=sgdr", ""),
    ],
)
def test_hank_ai_ends_where_it_is_said_to(tmp_path: Path, old: str, new: str, line: str) -> None:
    text = format_cfg(make_cfg(CfgRequest(3, "dkit-nano")))
    assert f"\n{old}\n" in text
    path = tmp_path / "net.cfg"
    path.write_text(text.replace(f"\n{old}\n", f"\n{new}\n"))
    lacks = find_unsupported(read_cfg(path), Flavor.HANK_AI)
    assert bool(lacks) == bool(line)
    for lack in lacks:
        named = path.read_text().splitlines()[lack.line - 1]
        assert named.startswith((line, "scales="))
    start = tmp_path / "in.weights"
    start.write_bytes(format_weights_header(0))
    said = run_engine(hank_ai(), ["partial", path, start, tmp_path / "out", _ALL_LAYERS], tmp_path)
    assert ("but only read 0" in said) == (not line)  # it came to the weights, or not so far


def test_alexeyab_agrees_on_every_cfg_of_its_own(tmp_path: Path) -> None:
    engine = alexeyab()
    paths = sorted((engine.parent / "cfg").glob("yolov[34]*.cfg"))
    if not paths:
        pytest.skip("the engine lies in no checkout with a cfg folder")
    for path in paths:
        cfg = read_cfg(path)
        floats = weight_floats(cfg)
        if floats is None or floats > 10_000_000:
            continue
        _, written = load(engine, path, tmp_path)
        assert written == floats, path.name
