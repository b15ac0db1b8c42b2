"""What the embedded engine detects, beside what AlexeyAB's Darknet detects (DKIT_TEST_ALEXEYAB).

Weights are drawn at random and fitted to an image, so both programs have much to find.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from darknet_kit.engine.torch.detection.testing import TestOptions, run_test  # noqa: E402
from darknet_kit.engine.torch.network import Network  # noqa: E402
from darknet_kit.engine.torch.weights import save_weights  # noqa: E402
from darknet_kit.formats.cfg import Cfg, read_cfg, write_cfg  # noqa: E402
from darknet_kit.formats.datafile import read_data  # noqa: E402
from darknet_kit.network.model import CfgRequest, make_cfg  # noqa: E402

from .engines import alexeyab, run_engine  # noqa: E402

GOLDEN = Path(__file__).parent / "golden"
THRESH = 0.3
SIZE = (90, 70)  # of the image, in pixels
PLACES = ("center_x", "center_y", "width", "height")


@dataclass(frozen=True, slots=True)
class Found:
    """One detection: class, probability, and center and size in fractions of the image."""

    class_id: int
    probability: float
    place: tuple[float, ...]

    def equals(self, other: "Found") -> bool:
        return (
            self.class_id == other.class_id
            and self.probability == pytest.approx(other.probability, abs=1e-4, rel=1e-4)
            and self.place == pytest.approx(other.place, abs=1e-4, rel=1e-4)
        )


def _made(model: str, size: tuple[int, int]) -> Callable[[], Cfg]:
    return lambda: make_cfg(CfgRequest(3, model, size=size))


def _golden(name: str) -> Callable[[], Cfg]:
    return lambda: read_cfg(GOLDEN / f"{name}.cfg")


CFGS = {
    "dkit-nano": _made("dkit-nano", (96, 64)),
    "yolov3-tiny": _made("yolov3-tiny", (96, 96)),
    "yolov4-tiny": _made("yolov4-tiny", (96, 64)),
    **{
        name: _golden(name)
        for name in (
            "yolo_new_coords",
            "gaussian",
            "region_reorg",
            "region_reorg3d",
            "detection",
            "detection_avgpool",
            "shortcut_weights",
            "attention",
            "pools",
            "implicit",
        )
    },
}


@pytest.mark.parametrize("name", CFGS)
def test_both_find_the_same(name: str, tmp_path: Path) -> None:
    engine = alexeyab()
    cfg = CFGS[name]()
    network, image = _fit_network(cfg, tmp_path), tmp_path / "image.png"
    words = ("detector", "test", "net.data", "net.cfg", "net.weights", str(image))
    options = ("-thresh", str(THRESH), "-dont_show", "-out", "theirs.json")
    printed = run_engine(engine, (*words, *options), tmp_path)
    data = read_data(tmp_path / "net.data")
    ours = tmp_path / "ours.json"
    run_test(network, data, TestOptions((str(image),), THRESH, out=str(ours), draw=False))
    # Of [detection], Darknet writes pixels of the image where it says fractions.
    unit = SIZE if network.heads[0].kind == "detection" else (1, 1)
    found, expected = _read_found(ours, (1, 1)), _read_found(tmp_path / "theirs.json", unit)
    assert len(expected) >= 2, printed[-500:]
    assert len(found) == len(expected)
    for one in expected:
        assert any(one.equals(other) for other in found), one


def _fit_network(cfg: Cfg, folder: Path) -> Network:
    """Return a network whose running statistics are those of an image; leave its files."""
    torch.manual_seed(3)
    network = Network(cfg)
    width, height = network.size
    channels = cfg.net.integer("channels")
    picture = np.random.default_rng(5).integers(0, 256, (5, 6, channels), dtype=np.uint8)
    image = Image.fromarray(picture if channels > 1 else picture[:, :, 0]).resize(SIZE)
    image.save(folder / "image.png")
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        for head in network.heads:
            for parameter in network.built[head.index - 1].parameters():
                parameter.mul_(3)  # so that some boxes are sure
    pixels = torch.from_numpy(np.array(image.resize((width, height)))).float() / 255
    batch = pixels.reshape(height, width, channels).permute(2, 0, 1)[None]
    with torch.no_grad():
        network.train()(torch.cat([batch, batch.flip(3), batch.flip(2)]))
    save_weights(network, folder / "net.weights", 0)
    write_cfg(folder / "net.cfg", cfg)
    names = [f"class{number}" for number in range(network.heads[0].classes)]
    (folder / "net.names").write_text("\n".join(names) + "\n")
    lines = (f"classes={len(names)}", "train=none.txt", f"names={folder / 'net.names'}")
    (folder / "net.data").write_text("\n".join(lines) + "\n")
    return network.eval()


def _read_found(path: Path, unit: tuple[int, int]) -> list[Found]:
    (told,) = json.loads(path.read_text())
    return [
        Found(
            entry["class_id"],
            entry["confidence"],
            tuple(
                entry["relative_coordinates"][place] / length
                for place, length in zip(PLACES, unit * 2, strict=True)
            ),
        )
        for entry in told["objects"]
    ]
