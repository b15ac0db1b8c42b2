"""What both engines print of a first iteration: losses and heads' lines (DKIT_TEST_ALEXEYAB).

The networks have no batch normalization, in which AlexeyAB's CPU code differs from its GPU code;
the one image has the network's size, and nothing is done to it, so both see the same pixels.
"""

import re
from pathlib import Path

import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from darknet_kit.engine.torch.__main__ import main  # noqa: E402
from darknet_kit.engine.torch.network import Network  # noqa: E402
from darknet_kit.engine.torch.weights import save_weights  # noqa: E402
from darknet_kit.formats.cfg import read_cfg  # noqa: E402

from .engines import alexeyab, run_engine  # noqa: E402

_NET = """[net]
width=96
height=64
channels=3
batch=8
subdivisions=2
momentum=0.9
decay=0.0005
learning_rate=0
burn_in=0
max_batches=2
flip=0
hue=0
saturation=1
exposure=1
[convolutional]
filters=8
size=3
stride=2
pad=1
activation=mish
[maxpool]
size=2
stride=2
[convolutional]
filters=12
size=3
pad=1
stride=2
activation=leaky
"""
_BOXES = "[convolutional]\nfilters={filters}\nsize=1\nactivation=linear\n"
_ANCHORS = "anchors=10,12, 25,20, 40,44\nnum=3\nclasses=2\njitter=0\nrandom=0\n"
_YOLO = _BOXES.format(filters=21) + "[yolo]\nmask=0,1,2\n" + _ANCHORS
_HEADS = {
    "yolo mse": _YOLO,
    "yolo ciou": _YOLO + "iou_loss=ciou\niou_normalizer=.07\nscale_x_y=1.05\nmax_delta=5\n",
    "yolo giou": _YOLO + "iou_loss=giou\niou_normalizer=.5\niou_thresh=.2\nobj_normalizer=.4\n",
    "gaussian": _BOXES.format(filters=33) + "[Gaussian_yolo]\nmask=0,1,2\n" + _ANCHORS,
    "region": _BOXES.format(filters=21)
    + "[region]\nanchors=.8,1.2, 2,1.5, 3,3.5\nnum=3\nclasses=2\ncoords=4\nsoftmax=1\nrescore=1\n"
    "object_scale=5\nnoobject_scale=1\nclass_scale=1\ncoord_scale=1\nthresh=.6\njitter=0\n",
}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@pytest.mark.parametrize("head", _HEADS)
def test_both_print_the_same(
    head: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = alexeyab()
    monkeypatch.chdir(tmp_path)
    _write_files(tmp_path, head)
    words = ["detector", "train", "net.data", "net.cfg", "net.weights", "-dont_show"]
    theirs = run_engine(engine, words, tmp_path)
    capsys.readouterr()
    assert main([*words, "-clear", "-device", "cpu"]) == 0
    ours = capsys.readouterr().out
    for start in ("v3 (", "Region Avg IOU", " 1: ", " 2: "):
        expected, found = _find_lines(theirs, start), _find_lines(ours, start)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert _NUMBER.sub("#", one) == _NUMBER.sub("#", other)
            numbers = [float(number) for number in _NUMBER.findall(one)]
            assert numbers == pytest.approx(
                [float(number) for number in _NUMBER.findall(other)], rel=1e-4, abs=2e-6
            )
    assert len(_find_lines(ours, " 2: ")) == 1


def _write_files(folder: Path, head: str) -> None:
    (folder / "net.cfg").write_text(_NET + _HEADS[head])
    torch.manual_seed(2)
    save_weights(Network(read_cfg(folder / "net.cfg")), folder / "net.weights", 0)
    noise = Image.effect_noise((24, 16), 90).resize((96, 64))
    Image.merge("RGB", (noise, noise.rotate(180), noise)).save(folder / "one.png")
    lines = ("0 .21 .3 .2 .25", "1 .7 .6 .35 .5", "0 .52 .81 .1 .12")
    (folder / "one.txt").write_text("".join(f"{line}\n" for line in lines))
    (folder / "train.txt").write_text(f"{folder / 'one.png'}\n")
    (folder / "net.names").write_text("a\nb\n")
    (folder / "net.data").write_text(
        "classes = 2\ntrain = train.txt\nvalid = train.txt\nnames = net.names\nbackup = .\n"
    )


def _find_lines(log: str, start: str) -> list[str]:
    """Return lines without the seconds and hours, which are never the same."""
    lines = (line.rstrip() for line in log.replace("\x1b[H\x1b[J", "\n").splitlines())
    return [
        re.sub(r"rate, .*? seconds, (.*), .*? hours left", r"rate, \1", line)
        for line in lines
        if line.startswith(start)
    ]
