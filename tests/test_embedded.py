"""The embedded engine as dkit sees it: when it is taken, how it is called, how it fails."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.dataset.convert import convert_ilsvrc
from darknet_kit.dataset.plan import ConvertOptions
from darknet_kit.dataset.shapes import draw_ilsvrc
from darknet_kit.engine import embedded, find
from darknet_kit.engine.command import map_command, train_command
from darknet_kit.engine.find import Engine, engines_folder, find_engine
from darknet_kit.engine.flavor import Features, Identity
from darknet_kit.engine.support import find_own_keys, find_unsupported
from darknet_kit.errors import ToolchainError
from darknet_kit.formats.cfg import format_cfg, parse_cfg, read_cfg, write_cfg
from darknet_kit.formats.logevent import EngineError
from darknet_kit.formats.logline import LogReader
from darknet_kit.network.layers import weight_floats
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.train.weights.checkpoint import Checkpoint, find_checkpoint
from tests.conftest import Ended
from tests.test_engine_find import CPU_LINES, GPU_LINES, HANK_LINES, write_engine, write_program

Dkit = Callable[..., Ended]
FAKE = Path(__file__).with_name("fake_darknet.py")
IDENTITY = Identity(Flavor.ALEXEYAB, Features(gpu=False, cudnn=False, opencv=True), "2.13.0+cpu")
ENGINE = Engine(Path("torch"), IDENTITY.flavor, IDENTITY.features, IDENTITY.version, embedded=True)


def is_missing() -> Identity:
    raise ToolchainError("PyTorch is not there", code="no-torch", hint="pip")


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make a machine with PyTorch, and no darknet; returns the one folder on PATH."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("DKIT_DARKNET", raising=False)
    monkeypatch.setattr(find, "THIRD_PARTY", tmp_path / "checkouts")
    monkeypatch.setattr(find, "identify_embedded", lambda: IDENTITY)
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda name: _which(folder, name))
    return folder


def _which(folder: Path, name: str) -> str | None:
    return str(folder / name) if (folder / name).exists() else None


BUILT = {
    "alexeyab-cpu": ("alexeyab-59596d7-cpu", CPU_LINES),
    "alexeyab-gpu": ("alexeyab-59596d7-cuda", GPU_LINES),
    "hank-cpu": ("hank-ai-f684e1d-cpu", HANK_LINES),
    "hank-gpu": (
        "hank-ai-f684e1d-cuda",
        'Darknet V5 "Moonlit" v5.1 [v5.1]\nCUDA runtime version 12.4, cuDNN 9\n',
    ),
}


@pytest.mark.parametrize(
    ("built", "on_path", "taken", "why"),
    [
        ([], "", "torch", "there is no darknet with a GPU here"),
        (["alexeyab-cpu"], "", "torch", "is built for the CPU, where its gradients are wrong"),
        (["hank-cpu"], "", "torch", "is built for the CPU, where its gradients are wrong"),
        ([], "Not an option: version", "torch", "computes no mAP and knows no YOLOv4"),
        (["alexeyab-gpu"], "", "alexeyab-gpu", "made by `dkit build`"),
        (["alexeyab-cpu", "hank-gpu"], "", "hank-gpu", "made by `dkit build`"),
        (["alexeyab-gpu"], "Not an option: version", "alexeyab-gpu", "made by `dkit build`"),
    ],
)
def test_auto_trains_on_a_gpu_else_with_right_gradients(
    bare_machine: Path, built: list[str], on_path: str, taken: str, why: str
) -> None:
    for name in built:
        folder, said = BUILT[name]
        write_engine(engines_folder() / folder / "darknet", said)
    if on_path:
        write_program(bare_machine / "darknet", f"echo '{on_path}' >&2")
    engine = find_engine()
    expected = engines_folder() / BUILT[taken][0] / "darknet" if taken in BUILT else Path(taken)
    assert engine.path == expected
    assert engine.embedded is (taken == "torch")
    assert why in engine.reason


def test_a_darknet_that_is_named_is_taken_whatever_it_is(
    bare_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = write_engine(tmp_path / "mine" / "darknet")
    assert find_engine(cpu).path == cpu
    monkeypatch.setenv("DKIT_DARKNET", str(cpu))
    assert find_engine().path == find_engine("darknet").path == cpu
    assert find_engine("torch").embedded


def test_without_pytorch_auto_takes_what_is_there_and_says_so(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "identify_embedded", is_missing)
    with pytest.raises(ToolchainError) as refused:
        find_engine()
    assert refused.value.code == "no-engine"
    assert "PyTorch is not there" in refused.value.message
    assert "darknet-kit[torch]" in refused.value.hint
    cpu = write_engine(engines_folder() / "alexeyab-59596d7-cpu" / "darknet")
    engine = find_engine()
    assert engine.path == cpu
    assert engine.reason == "made by `dkit build`; PyTorch is not there"


def test_the_word_darknet_never_takes_the_embedded_engine(bare_machine: Path) -> None:
    with pytest.raises(ToolchainError) as refused:
        find_engine("darknet")
    assert refused.value.code == "no-engine"


def test_a_word_that_is_none_is_told_the_right_ones(dkit: Dkit, tmp_path: Path) -> None:
    ended = dkit("demo", "--out", tmp_path / "demo", "--engine", "pytorch")
    assert ended.exit_code == 4
    assert "Take auto, darknet, torch, or the path" in ended.stderr
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("module", ["torch", "numpy", "cv2"])
def test_a_package_that_is_missing_is_named_with_the_cure(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # which is how Python blocks an import
    with pytest.raises(ToolchainError) as refused:
        embedded.identify_embedded()
    assert refused.value.code == "no-torch"
    assert embedded._NEEDED[module] in refused.value.message
    assert "pip install 'darknet-kit[torch]'" in refused.value.hint
    assert "://" not in refused.value.hint


@pytest.mark.parametrize(
    ("said", "gpu", "version"),
    [
        ("darknet-kit 0.1.0, PyTorch 2.13.0+cpu, CPU", False, "2.13.0+cpu"),
        ("darknet-kit 0.1.0, PyTorch 2.13.0+cu130, CUDA 13.0, 2 GPU", True, "2.13.0+cu130"),
    ],
)
def test_what_the_program_says_of_itself(
    said: str, gpu: bool, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    program = write_program(tmp_path / "engine", f"echo '{said}'")
    monkeypatch.setattr(embedded, "EMBEDDED_ARGV", (str(program),))
    found = embedded.identify_embedded()
    assert (found.flavor, found.version) == (Flavor.ALEXEYAB, version)
    assert (found.features.gpu, found.features.opencv) == (gpu, True)


def test_a_broken_installation_is_told_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    program = write_program(
        tmp_path / "engine", "echo 'OSError: libcudart.so.13: cannot open' >&2; exit 1"
    )
    monkeypatch.setattr(embedded, "EMBEDDED_ARGV", (str(program),))
    with pytest.raises(ToolchainError, match=r"libcudart\.so\.13") as refused:
        embedded.identify_embedded()
    assert refused.value.code == "engine-does-not-start"


def test_the_real_program_says_what_it_is() -> None:
    torch = pytest.importorskip("torch")
    found = find_engine("torch")
    assert found.version == torch.__version__
    assert found.features.gpu is torch.cuda.is_available()
    assert str(found).startswith(f"the embedded engine (PyTorch {torch.__version__}; ")


def test_it_is_called_like_a_darknet_without_stdbuf() -> None:
    program = [sys.executable, "-m", "darknet_kit.engine.torch", "detector"]
    assert train_command(
        ENGINE, "a.data", "n.cfg", "w.weights", map=True, gpus=(0, 1), clear=True
    ) == [
        *[*program, "train", "a.data", "n.cfg", "w.weights"],
        *["-dont_show", "-map", "-gpus", "0,1", "-clear"],
    ]
    assert map_command(ENGINE, "a.data", "n.cfg", "w.weights")[:7] == [
        *[*program, "map", "a.data", "n.cfg"]
    ]


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (b"error: a.cfg:3: [rnn] is not supported", "engine-error", "a.cfg:3: [rnn] is not suppo"),
        (b"error: out of memory with 8 images", "out-of-memory", "out of memory with 8 images"),
        (
            b" (next mAP calculation at 300 iterations) error: the loss is nan",
            "engine-error",
            "the loss is nan",
        ),
        (b"error: 5: nan, nan avg", "engine-error", "5: nan, nan avg"),
    ],
)
def test_a_failure_is_an_event_of_the_log(line: bytes, code: str, message: str) -> None:
    (event,) = LogReader().feed(line + b"\n")
    assert isinstance(event, EngineError)
    assert event.code == code
    assert event.message.startswith(message)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn data set of 5 classes, converted into a view; returns its .data file."""
    folder = tmp_path_factory.mktemp("embedded")
    tree = draw_ilsvrc(folder / "drawn", train=6, valid=2)
    return Path(convert_ilsvrc(tree, ConvertOptions(out=str(folder / "set"))).paths.data)


@pytest.fixture
def nano(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network of 300 iterations, and a fake in the place of the embedded engine."""
    path = tmp_path / "nano.cfg"
    write_cfg(path, make_cfg(CfgRequest(classes=5, model="dkit-nano", max_batches=300)))
    monkeypatch.setattr(find, "identify_embedded", lambda: IDENTITY)
    monkeypatch.setattr(find, "EMBEDDED_ARGV", (sys.executable, os.fspath(FAKE)))
    monkeypatch.setenv("FAKE_FLOATS", str(weight_floats(read_cfg(path))))
    return path


def test_its_sentence_and_its_cure_reach_the_user(
    dkit: Dkit, shapes: Path, nano: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MODE", "sentence")
    out = tmp_path / "runs"
    ended = dkit("train", shapes, nano, "--engine", "torch", "--out", out, "--json")
    assert ended.exit_code == 5
    error = json.loads(ended.stdout)["error"]
    assert error["code"] == "out-of-memory"
    assert error["message"] == "out of memory with mini-batches of 8 images"
    assert error["hint"].startswith("Set subdivisions=16 in the cfg.\n")


def test_a_run_keeps_the_engine_that_it_began_with(
    dkit: Dkit, shapes: Path, nano: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MODE", "crash")
    run = tmp_path / "runs" / "nano"
    ended = dkit("train", shapes, nano, "--engine", "torch", "--out", run.parent)
    assert ended.exit_code == 5
    record = tomllib.loads((run / "run.toml").read_text())["engine"]
    assert (record["path"], record["version"]) == ("torch", "2.13.0+cpu")
    monkeypatch.setattr(find, "identify_embedded", is_missing)
    gone = dkit("train", "--resume", run)
    assert gone.exit_code == 4
    assert "[no-torch]" in gone.stderr
    assert "--engine darknet" in gone.stderr
    monkeypatch.setattr(find, "identify_embedded", lambda: IDENTITY)
    monkeypatch.setenv("FAKE_MODE", "finish")
    ended = dkit("train", "--resume", run)
    assert ended.exit_code == 0, ended.stderr
    assert "the embedded engine (PyTorch 2.13.0+cpu; CPU, OpenCV): the run began" in ended.stderr
    assert "goes on from iteration 100" in ended.stderr


def test_stopped_by_somebody_else_before_an_iteration(
    dkit: Dkit, shapes: Path, nano: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no failure, and the run stands where it began."""
    run = tmp_path / "runs" / "nano"
    monkeypatch.setenv("FAKE_MODE", "crash")
    assert dkit("train", shapes, nano, "--engine", "torch", "--out", run.parent).exit_code == 5
    monkeypatch.setenv("FAKE_MODE", "stopped")
    ended = dkit("train", "--resume", run)
    assert ended.exit_code == 130, ended.stderr
    assert "Stopped at iteration 100" in ended.stdout
    assert "going on repeats" not in ended.stdout


def test_gpus_are_refused_where_there_are_none(
    dkit: Dkit, shapes: Path, nano: Path, tmp_path: Path
) -> None:
    ended = dkit("train", shapes, nano, "--engine", "torch", "--gpus", "0,1", "--out", tmp_path)
    assert ended.exit_code == 4
    assert "[no-gpu]" in ended.stderr


def test_what_a_darknet_gets_wrong_on_a_cpu_is_no_doubt_here(
    dkit: Dkit, shapes: Path, nano: Path, tmp_path: Path
) -> None:
    """YOLOv4-tiny has routes and an upsampling, and asks for mosaic."""
    cfg = tmp_path / "tiny.cfg"
    write_cfg(cfg, make_cfg(CfgRequest(classes=5, model="yolov4-tiny", size=(96, 96))))
    words = ("train", shapes, cfg, "--dry-run", "--out", tmp_path / "runs")
    ended = dkit(*words, "--engine", "torch")
    assert ended.exit_code == 0, ended.stderr
    assert "gradients" not in ended.stderr
    cpu = write_engine(tmp_path / "cpu" / "darknet")
    cfg.write_text(cfg.read_text().replace("mosaic", "#mosaic"))
    ended = dkit(*words, "--engine", cpu)
    assert ended.exit_code == 2
    assert "wrong gradients for route, upsample layers" in ended.stderr
    assert "--engine torch" in ended.stderr
    forced = dkit(*words, "--engine", cpu, "--force")
    assert forced.exit_code == 0
    assert "warning: on a CPU, alexeyab darknet computes wrong gradients" in forced.stderr


def test_the_real_engine_is_stopped_without_a_loss_and_goes_on(
    dkit: Dkit, shapes: Path, tmp_path: Path
) -> None:
    """Stopped with TERM as by a shutdown; no iteration is repeated, and the log has each once."""
    pytest.importorskip("torch")
    cfg, run = tmp_path / "nano.cfg", tmp_path / "runs" / "nano"
    write_cfg(cfg, make_cfg(CfgRequest(classes=5, model="dkit-nano", max_batches=60)))
    command = [sys.executable, "-m", "darknet_kit", "train", str(shapes), str(cfg)]
    process = subprocess.Popen(
        [*command, "--engine", "torch", "--out", str(run.parent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_for_iterations(run / "metrics.csv")
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert "going on repeats" not in stdout
    reached = json.loads((run / "status.json").read_text())["iteration"]
    assert 0 < reached < 60
    ended = dkit("train", "--resume", run)
    assert ended.exit_code == 0, ended.stderr
    assert f"goes on from iteration {reached}: project_last.weights" in ended.stderr
    rows = (run / "metrics.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == list(range(1, 61))
    found = dkit("detect", run, shapes.with_name("valid.txt"), "--out", tmp_path / "found")
    assert found.exit_code == 0, found.stderr
    assert len(list((tmp_path / "found").glob("*.jpg"))) == 10


def test_the_real_engine_ends_by_itself_when_it_diverges(
    dkit: Dkit, shapes: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    cfg, run = tmp_path / "nano.cfg", tmp_path / "runs" / "nano"
    request = CfgRequest(classes=5, model="dkit-nano", max_batches=60)
    text = format_cfg(make_cfg(request))
    text = re.sub(r"(?m)^learning_rate *=.*", "learning_rate=1e6", text)
    cfg.write_text(re.sub(r"(?m)^burn_in *=.*", "burn_in=1", text))
    ended = dkit("train", shapes, cfg, "--engine", "torch", "--out", run.parent)
    assert ended.exit_code == 5
    assert "[diverged]" in ended.stderr
    record = json.loads((run / "attempts" / "0001" / "exit.json").read_text())
    assert record["returncode"] == 5
    assert "Traceback" not in (run / "attempts" / "0001" / "log.txt").read_text()
    assert not list((run / "weights").iterdir())


def _wait_for_iterations(metrics: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if metrics.exists() and len(metrics.read_text().splitlines()) > 1:
            return
        time.sleep(0.05)
    raise AssertionError("no iteration in two minutes")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("activation=leaky", "activation=leeky", "leeky"),
        ("[maxpool]\nsize=2", "[maxpool]\nsiez=2", "siez"),
        ("jitter=.1", "jitter=.1\nequidistant_point=9", "equidistant_point"),
    ],
)
def test_what_the_engine_cannot_do_is_said_with_its_line(
    dkit: Dkit, shapes: Path, nano: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    text = nano.read_text()
    assert old in text
    nano.write_text(text.replace(old, new, 1))
    line = 1 + next(n for n, line in enumerate(nano.read_text().splitlines()) if said in line)
    ended = dkit("train", shapes, nano, "--engine", "torch", "--dry-run", "--out", tmp_path)
    (told,) = [line for line in ended.stderr.splitlines() if said in line]
    if ended.exit_code:
        assert ended.exit_code == 2
        assert f"{nano}:{line}: " in told
        assert "[unsupported-by-engine]" in told
    else:
        assert told.startswith(f"warning: line {line}: ")


def test_training_goes_on_from_its_own_weights_not_from_their_average(nano: Path) -> None:
    """At the same iteration the file written last would be taken, which is the average."""
    cfg, folder = read_cfg(nano), nano.parent
    content = bytes(4 * (weight_floats(cfg) or 0))
    for name in ("project_last.weights", "project_ema.weights"):
        (folder / name).write_bytes(struct.pack("<iiiQ", 0, 2, 5, 800) + content)
    assert find_checkpoint(folder, cfg) == Checkpoint(folder / "project_last.weights", 100)


def test_other_engines_and_the_keys_of_this_one() -> None:
    """AlexeyAB's and the original pass over such keys, hank-ai's ends at one that it lacks."""
    cfg = parse_cfg("[net]\nwidth=32\ndkit_ema=.9\n[convolutional]\n[yolo]\ndkit_obj_loss=mse\n")
    assert [(own.line, own.what) for own in find_own_keys(cfg)] == [
        (3, "dkit_ema"),
        (6, "dkit_obj_loss"),
    ]
    assert find_unsupported(cfg, Flavor.HANK_AI) == find_own_keys(cfg)
    assert find_unsupported(cfg, Flavor.ALEXEYAB) == []
