"""What is refused, or told, before a training starts."""

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from darknet_kit.cli.outcome import Outcome
from darknet_kit.core.files import WriteError
from darknet_kit.core.flavor import Flavor
from darknet_kit.dataset.convert import convert_ilsvrc
from darknet_kit.dataset.plan import ConvertOptions
from darknet_kit.dataset.shapes import draw_ilsvrc
from darknet_kit.engine.find import Engine
from darknet_kit.engine.flavor import Features
from darknet_kit.engine.flaws import find_ruinous, iter_doubts
from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import Cfg, format_cfg, parse_cfg, write_cfg
from darknet_kit.network.estimate import estimate_disk
from darknet_kit.network.layers import weight_floats
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.train.checks.room import check_room
from darknet_kit.train.checks.start import check_same_batch, check_start, tell_batch
from darknet_kit.train.runs.record import RunSettings, open_run
from tests.conftest import Ended
from tests.engines import alexeyab, original, run_engine
from tests.test_engine_find import GPU_LINES, write_engine

Dkit = Callable[..., Ended]
CPU = Features(gpu=False)
GPU = Features(gpu=True, cudnn=True, cudnn_half=True)
ALEXEYAB = Engine(Path("/e/darknet"), Flavor.ALEXEYAB, CPU)
NANO = make_cfg(CfgRequest(classes=5, model="dkit-nano", max_batches=400))


def network(model: str, size: int = 448, net: str = "") -> Cfg:
    cfg = make_cfg(CfgRequest(classes=5, model=model, size=(size, size)))
    return parse_cfg(format_cfg(cfg).replace("[net]", f"[net]\n{net}", 1)) if net else cfg


@pytest.mark.parametrize(
    ("engine", "model", "codes"),
    [
        (ALEXEYAB, "dkit-nano", []),
        (ALEXEYAB, "yolov3-tiny", ["wrong-gradients"]),
        (ALEXEYAB, "yolov3", ["wrong-gradients"]),
        (ALEXEYAB, "yolov2-tiny", []),
        (ALEXEYAB, "yolov1", ["never-trained", "wrong-gradients"]),
        (Engine(Path("e"), Flavor.HANK_AI, CPU), "yolov4-tiny", ["wrong-gradients"]),
        (Engine(Path("e"), Flavor.ALEXEYAB, GPU), "yolov4", []),
        (Engine(Path("e"), Flavor.ALEXEYAB, GPU), "yolov1", ["never-trained"]),
        (Engine(Path("e"), Flavor.ALEXEYAB), "yolov4", []),  # it does not say what it is
        (Engine(Path("e"), Flavor.ORIGINAL, CPU), "yolov1", []),
        (Engine(Path("torch"), Flavor.ALEXEYAB, CPU, embedded=True), "yolov1", []),
    ],
)
def test_what_ruins_a_network(engine: Engine, model: str, codes: list[str]) -> None:
    assert [flaw.code for flaw in find_ruinous(network(model), engine)] == codes


def test_the_cure_names_engines_that_have_all_sections() -> None:
    (tiny3,) = find_ruinous(network("yolov3-tiny"), ALEXEYAB)
    assert "route, upsample" in tiny3.message
    assert "--engine torch" in tiny3.cure
    assert "apt-get install darknet" in tiny3.cure
    (tiny4,) = find_ruinous(network("yolov4-tiny"), ALEXEYAB)
    assert "apt-get" not in tiny4.cure  # the original has no groups in [route]


CONNECTED = """[net]
batch=2
subdivisions=1
width=32
height=32
channels=3
learning_rate=0.01
burn_in=0
max_batches=%d
policy=constant

[convolutional]
filters=4
size=3
stride=2
pad=1
activation=leaky

[connected]
output=20
activation=linear

[region]
anchors=0.5,0.5,1,1
classes=5
coords=4
num=2
"""


@pytest.mark.parametrize("find", [alexeyab, original])
def test_which_engine_trains_connected_layers(find: object, tmp_path: Path) -> None:
    program = find()  # type: ignore[operator]
    tree = draw_ilsvrc(tmp_path / "drawn", train=2, valid=1)
    convert_ilsvrc(tree, ConvertOptions(out=str(tmp_path / "set")))
    (tmp_path / "backup").mkdir()
    (tmp_path / "x.data").write_text(
        "classes=5\ntrain=set/train.txt\nvalid=set/train.txt\nnames=set/ilsvrc.names\n"
        "backup=backup\n"
    )
    values = []
    for iterations, start in ((1, []), (4, ["backup/n1_final.weights"])):
        (tmp_path / f"n{iterations}.cfg").write_text(CONNECTED % iterations)
        words = ["detector", "train", "x.data", f"n{iterations}.cfg", *start]
        run_engine(program, words, tmp_path)
        file = tmp_path / f"backup/n{iterations}_final.weights"
        values.append(np.fromfile(file, "<f4", offset=20))
    convolution = 4 + 4 * 27
    changed = values[0] != values[1]
    assert changed[:convolution].any()
    assert changed[convolution:].any() == (find is original)


def test_half_precision_costs_gradients_only_where_loss_scale_asks_for_it() -> None:
    engine = Engine(Path("e"), Flavor.ALEXEYAB, GPU)
    assert list(iter_doubts(network("yolov4-tiny"), engine, with_map=True)) == []
    (doubt,) = iter_doubts(network("yolov4-tiny", net="loss_scale=128"), engine, with_map=True)
    assert "loss_scale=128" in doubt


@pytest.mark.parametrize(
    ("program", "size", "with_map", "pools"),
    [
        # Poolings of 5, 9 and 13 at 1/32 of the size: 13 columns for 416, 19 for 608. AlexeyAB's
        # AVX binary errs in that of 5, and in those of 5 and 9: outputs compared, facts of a run.
        (b"Used FMA & AVX2", 416, True, 1),
        (b"Used FMA & AVX2", 608, True, 2),
        (b"Used FMA & AVX2", 608, False, 0),
        (b"no such words", 608, True, 0),
    ],
)
def test_poolings_that_avx_gets_wrong(
    tmp_path: Path, program: bytes, size: int, with_map: bool, pools: int
) -> None:
    binary = tmp_path / "darknet"
    binary.write_bytes(b"\x7fELF\0" + program)
    engine = Engine(binary, Flavor.ALEXEYAB, CPU)
    doubts = list(iter_doubts(network("yolov3-spp", size), engine, with_map=with_map))
    found = re.findall(r"line ([\d, ]+)\)", " ".join(doubts))
    assert [len(lines.split(",")) for lines in found] == ([pools] if pools else [])


def test_avx_is_seen_in_a_real_binary() -> None:
    built = alexeyab()
    engine = Engine(built, Flavor.ALEXEYAB, CPU)
    doubts = list(iter_doubts(network("yolov3-spp"), engine, with_map=True))
    assert bool(doubts) == (b" Used AVX " in built.read_bytes())


def write_weights(path: Path, seen: int, floats: int | None = None) -> Path:
    count = weight_floats(NANO) if floats is None else floats
    assert count is not None
    values = np.full(count, 0.5, "<f4").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<iiiQ", 0, 2, 5, seen) + values)
    return path


def test_weights_that_counted_with_another_batch_are_told(tmp_path: Path) -> None:
    batch = NANO.net.integer("batch")
    same = write_weights(tmp_path / "a_300.weights", 300 * batch)
    assert tell_batch(NANO, str(same)) == ""
    other = write_weights(tmp_path / "b_300.weights", 300 * 2 * batch)
    told = f"with batch={2 * batch}, and the network has batch={batch}"
    assert told in tell_batch(NANO, str(other))
    assert "at iteration 600 instead of 300" in tell_batch(NANO, str(other))
    # No multiple of its number: that is no count of iterations. Nothing seen: a backbone.
    assert tell_batch(NANO, str(write_weights(tmp_path / "c_300.weights", 301))) == ""
    assert tell_batch(NANO, str(write_weights(tmp_path / "d_300.weights", 0))) == ""
    # Of a run, its cfg tells.
    last = write_weights(tmp_path / "runs/x/weights/project_last.weights", 12_800)
    assert tell_batch(NANO, str(last)) == ""
    (tmp_path / "runs/x/project.cfg").write_text("[net]\nbatch=64\nsubdivisions=8\n")
    assert "with batch=64" in tell_batch(NANO, str(last))


def test_a_run_whose_cfg_got_another_batch_is_not_gone_on_with() -> None:
    batch = NANO.net.integer("batch")
    check_same_batch(NANO, RunSettings("d", "c", batch=batch))
    check_same_batch(NANO, RunSettings("d", "c"))  # a run of before that did not write it down
    with pytest.raises(UsageError) as refused:
        check_same_batch(NANO, RunSettings("d", "c", batch=2 * batch))
    assert refused.value.code == "another-batch"


def test_a_part_of_the_weights_is_refused_for_an_engine_that_ignores_it(tmp_path: Path) -> None:
    # Two convolutions with batch norm, 3 to 8 and 8 to 16 channels: by hand.
    floats = (4 * 8 + 27 * 8) + (4 * 16 + 72 * 16)
    part = str(write_weights(tmp_path / "nano.conv.3", 0, floats))
    assert "rest starts at random" in check_start(NANO, part)
    with pytest.raises(UsageError) as refused:
        check_start(NANO, part, flavor=Flavor.HANK_AI)
    assert refused.value.code == "hank-partial-weights"


def test_a_disk_too_small_for_what_the_schedule_writes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yolo = network("yolov4")
    place = os.statvfs(tmp_path)

    def ask(free: int, *, embedded: bool = False) -> str:
        told = (place.f_bsize, 1, *place[2:4], free, *place[5:])
        monkeypatch.setattr("os.statvfs", lambda _folder: os.statvfs_result(told))
        run = tmp_path / "runs" / "x"
        return check_room(run, yolo, keep=3, embedded=embedded, full_log=False)

    # 64 million values, 256 MB a file. Of 10,000 iterations there is one numbered file; last, best,
    # final, sound, and the one being written. The embedded engine lays momentum beside each.
    file = 20 + 4 * weight_floats(yolo)  # type: ignore[operator]
    assert 250e6 < file < 260e6
    assert ask(int(1e12)) == ""
    assert "will take 1.5 GB" in ask(0)
    assert "will take 3.1 GB" in ask(0, embedded=True)
    assert not (tmp_path / "runs").exists()
    two_million = parse_cfg(format_cfg(yolo).replace("max_batches=", "max_batches=2000000#"))
    assert estimate_disk(two_million, keep=0, with_state=False, full_log=False) > 204 * file
    with pytest.raises(WriteError):
        check_room(Path("/proc/runs"), yolo, keep=3, embedded=False, full_log=False)


def test_another_engine_for_a_run_is_looked_at_again_and_what_is_kept_may_change(
    dkit: Dkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = draw_ilsvrc(tmp_path / "drawn", train=2, valid=1)
    data = convert_ilsvrc(tree, ConvertOptions(out=str(tmp_path / "set"))).paths.data
    cfg, runs = tmp_path / "tiny.cfg", tmp_path / "runs"
    write_cfg(cfg, make_cfg(CfgRequest(classes=5, model="yolov3-tiny", size=(96, 96))))
    gpu = write_engine(tmp_path / "gpu/darknet", GPU_LINES)
    assert dkit("train", data, cfg, "--engine", gpu, "--out", runs, "--retries", "0").exit_code == 5
    words = ("train", "--resume", runs / "tiny", "--dry-run", "--keep", "7")
    assert dkit(*words).exit_code == 0
    cpu = write_engine(tmp_path / "cpu/darknet")
    ended = dkit(*words, "--engine", cpu)
    assert ended.exit_code == 2
    assert "[wrong-gradients]" in ended.stderr
    assert dkit(*words, "--engine", cpu, "--force").exit_code == 0
    monkeypatch.setattr("darknet_kit.cli.train.begin_run", lambda *_: Outcome([]))
    again = ("--resume", "tiny", "--out", runs, "--keep", "7", "--telemetry-seconds", "1.5")
    assert dkit("train", *again).exit_code == 0
    settings = open_run("tiny", runs)[1]
    assert (settings.keep, settings.telemetry_seconds) == (7, 1.5)
