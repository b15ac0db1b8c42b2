"""`detector train` of the embedded engine, from files to files."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("torch")

import darknet_kit
from darknet_kit.dataset.convert import convert_ilsvrc
from darknet_kit.dataset.plan import ConvertOptions
from darknet_kit.dataset.shapes import draw_ilsvrc
from darknet_kit.engine.torch.__main__ import main
from darknet_kit.formats.cfg import Cfg, format_cfg, read_cfg, set_value, write_cfg
from darknet_kit.formats.datafile import read_data
from darknet_kit.formats.logevent import (
    Event,
    Finished,
    Iteration,
    MapResult,
    NewBestMap,
    Resized,
    WeightsSaved,
)
from darknet_kit.formats.logline import LogReader
from darknet_kit.formats.weights import read_weights_header
from darknet_kit.network.model import CfgRequest, make_cfg

_BATCH = 4
_CLASSES = 5


@dataclass(frozen=True, slots=True)
class Job:
    """A data set of drawn shapes in `folder`, where the engine runs."""

    folder: Path

    def cfg(self, **values: object) -> str:
        """Write dkit-nano with other values in [net]; return its path."""
        cfg: Cfg = make_cfg(CfgRequest(classes=_CLASSES, model="dkit-nano", max_batches=10))
        for key, value in ({"batch": _BATCH, "subdivisions": 2, "burn_in": 2} | values).items():
            cfg = set_value(cfg, cfg.net, key, value)
        path = self.folder / "net.cfg"
        write_cfg(path, cfg)
        return os.fspath(path)

    @property
    def data(self) -> str:
        return os.fspath(self.folder / "set" / "ilsvrc.data")

    def weights(self, what: str) -> Path:
        return self.folder / "set" / "backup" / f"net_{what}.weights"

    def iteration(self, what: str) -> int:
        return read_weights_header(self.weights(what)).iteration(_BATCH)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    draw_ilsvrc(folder, train=4, valid=2)
    return folder


@pytest.fixture
def job(drawn: Path, tmp_path: Path) -> Job:
    convert_ilsvrc(drawn / "ILSVRC", ConvertOptions(out=os.fspath(tmp_path / "set")))
    return Job(tmp_path)


@pytest.fixture
def train(job: Job, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Train in this process; return exit code, stdout and stderr."""

    def call(cfg: str, *words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["detector", "train", job.data, cfg, *words, "-device", "cpu"])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


Train = Callable[..., tuple[int, str, str]]


def _events(log: str) -> list[Event]:
    reader = LogReader()
    events = [event for line in log.splitlines(keepends=True) for event in reader.feed(line)]
    assert reader.damaged == 0
    return events


def test_a_training_writes_darknets_log_and_darknets_files(job: Job, train: Train) -> None:
    cfg = job.cfg(max_batches=12)
    Path(job.data).write_text(Path(job.data).read_text() + "saveweights = 6\nsavelast = 4\n")
    code, log, _ = train(cfg, "-map")
    assert code == 0
    assert log.startswith(f"darknet-kit {darknet_kit.__version__}: the embedded engine, PyTorch ")
    events = _events(log)
    iterations = [event for event in events if isinstance(event, Iteration)]
    assert [event.iteration for event in iterations] == list(range(1, 13))
    assert [event.images for event in iterations] == [_BATCH * n for n in range(1, 13)]
    maps = [event for event in events if isinstance(event, MapResult)]
    assert [event.iteration for event in maps] == [12]
    assert len(maps[0].classes) == _CLASSES
    assert sum(isinstance(event, NewBestMap) for event in events) == 1
    saved = [Path(event.path).name for event in events if isinstance(event, WeightsSaved)]
    assert saved == [
        "net_last.weights",
        "net_6.weights",
        "net_last.weights",
        "net_best.weights",
        "net_12.weights",
        "net_last.weights",
        "net_final.weights",
    ]
    assert isinstance(events[-1], Finished)
    assert [job.iteration(what) for what in ("6", "12", "last", "best", "final")] == [
        6, 12, 12, 12, 12
    ]  # fmt: skip


def test_the_log_begins_with_the_layers(job: Job, train: Train) -> None:
    """The first convolution: 8 filters of 3 x 3 x 3, 48 x 48 places, two operations each."""
    _, log, _ = train(job.cfg(max_batches=1))
    (line,) = (line for line in log.splitlines() if line.startswith("   0 convolutional"))
    assert line.split(None, 2)[2] == "96 x 96 x 3 ->        48 x 48 x 8   0.001 BF"
    assert pytest.approx(0.001, abs=5e-4) == 8 * 3 * 3 * 3 * 48 * 48 * 2 / 1e9
    assert "   9 yolo " in log


def test_the_averages_in_the_log_are_darknets(job: Job, train: Train) -> None:
    _, log, _ = train(job.cfg(max_batches=8))
    average = None
    for event in _events(log):
        if isinstance(event, Iteration):
            average = event.loss if average is None else average * 0.9 + event.loss * 0.1
            assert event.avg_loss == pytest.approx(average, abs=1e-5)
    assert average is not None


def test_the_parts_of_the_loss_are_in_the_log(job: Job, train: Train) -> None:
    """Of one head with squared steps alone (mse) they sum up to what Darknet prints."""
    _, log, _ = train(job.cfg(max_batches=3))
    lines = [line for line in log.splitlines() if line.startswith(" loss parts 9: ")]
    losses = [event.loss for event in _events(log) if isinstance(event, Iteration)]
    assert len(lines) == len(losses) == 3
    for line, loss in zip(lines, losses, strict=True):
        parts = [float(piece.split(" = ")[1]) for piece in line.partition(": ")[2].split(", ")]
        assert sum(parts) == pytest.approx(loss, rel=1e-4)


def test_a_seed_repeats_a_training_whatever_loads_the_images(job: Job, train: Train) -> None:
    cfg = job.cfg(max_batches=4)
    train(cfg, "-seed", "3", "-workers", "0")
    first = job.weights("final").read_bytes()
    train(cfg, "-seed", "4", "-workers", "0")
    assert job.weights("final").read_bytes() != first
    train(cfg, "-seed", "3", "-workers", "1")
    assert job.weights("final").read_bytes() == first


def test_the_loss_on_unseen_images_is_the_one_of_training_on_them(job: Job, train: Train) -> None:
    """Shown here for one image, at a learning rate of 0 and with nothing done to it."""
    Image.effect_noise((96, 96), 80).convert("RGB").save(job.folder / "one.png")
    (job.folder / "one.txt").write_text("2 .5 .4 .3 .3\n0 .2 .7 .2 .2\n")
    data = read_data(job.data)
    for path in (data.train, data.valid):
        assert path is not None
        path.write_text(f"{job.folder / 'one.png'}\n")
    still = {"flip": 0, "saturation": 1, "exposure": 1, "hue": 0, "learning_rate": 0}
    cfg = read_cfg(job.cfg(max_batches=1, dkit_best_metric="loss", **still))
    text = format_cfg(cfg).replace("batch_normalize=1", "batch_normalize=0")
    Path(cfg.path or "").write_text(text.replace("jitter=.1", "jitter=0"))
    _, log, _ = train(cfg.path or "", "-map")
    (line,) = (line for line in log.splitlines() if line.startswith(" validation loss = "))
    (trained,) = (event.loss for event in _events(log) if isinstance(event, Iteration))
    assert float(line.rpartition(" ")[2]) == pytest.approx(trained, rel=1e-4)
    assert job.iteration("best") == 1


def test_too_little_memory_is_said_with_its_cure(job: Job) -> None:
    cfg = job.cfg(width=1024, height=1024, batch=8, subdivisions=1)
    engine = f"{sys.executable} -m darknet_kit.engine.torch detector train {job.data} {cfg}"
    command = f"ulimit -d 1000000; exec {engine} -device cpu -workers 0 -cache 0"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 5, done.stderr
    first, cure = done.stderr.splitlines()[-2:]
    assert first == "error: out of memory with mini-batches of 8 images of 1024 x 1024"
    assert "subdivisions=2" in cure


def test_weights_go_on_from_their_iteration_and_clear_starts_anew(job: Job, train: Train) -> None:
    cfg = job.cfg(max_batches=4)
    train(cfg)
    weights = os.fspath(job.weights("final"))
    _, log, _ = train(job.cfg(max_batches=6), weights)
    assert [e.iteration for e in _events(log) if isinstance(e, Iteration)] == [5, 6]
    _, log, _ = train(job.cfg(max_batches=2), weights, "-clear")
    assert [e.iteration for e in _events(log) if isinstance(e, Iteration)] == [1, 2]


@pytest.mark.parametrize("extra", [{}, {"adam": 1}, {"dkit_optimizer": "adamw", "dkit_ema": 0.9}])
def test_a_training_that_was_broken_off_goes_on_exactly(
    job: Job, train: Train, extra: dict[str, object]
) -> None:
    rest = {"steps": "3,8", "scales": ".5,.5"} | extra
    cfg = job.cfg(max_batches=10, **rest)
    train(cfg, "-seed", "7", "-map")
    whole = job.weights("final").read_bytes()
    job.weights("last").unlink(missing_ok=True)
    train(job.cfg(max_batches=5, **rest), "-seed", "7", "-map")
    cfg = job.cfg(max_batches=10, **rest)
    half = os.fspath(job.weights("final"))
    _, log, _ = train(cfg, half, "-map")
    assert [e.iteration for e in _events(log) if isinstance(e, Iteration)] == [6, 7, 8, 9, 10]
    assert job.weights("final").read_bytes() == whole


def test_a_state_that_belongs_to_other_weights_is_left_alone(job: Job, train: Train) -> None:
    train(job.cfg(max_batches=3))
    path = job.weights("final")
    content = bytearray(path.read_bytes())
    content[-4:] = b"\0\0\0\0"
    path.write_bytes(content)
    code, log, _ = train(job.cfg(max_batches=4), os.fspath(path))
    assert code == 0
    assert "belongs to other weights than net_final.weights holds now" in log


def test_a_network_that_is_asked_to_changes_its_size(job: Job, train: Train) -> None:
    cfg = read_cfg(job.cfg(max_batches=12))
    head = cfg.layers[-1]
    write_cfg(job.folder / "net.cfg", set_value(cfg, head, "random", 1))
    code, log, _ = train(os.fspath(job.folder / "net.cfg"))
    assert code == 0
    sizes = [event for event in _events(log) if isinstance(event, Resized)]
    # 1.4 * 96 / 32 + 1 = 5.2 -> 5 * 32 at the start; within 100 iterations of the end always.
    assert [(size.width, size.height) for size in sizes] == [(160, 160)] * 2


def test_a_loss_that_is_no_number_ends_the_training(job: Job, train: Train) -> None:
    cfg = job.cfg(max_batches=50, learning_rate="1e30", burn_in=0)
    code, log, said = train(cfg)
    assert code == 5
    last = [event for event in _events(log) if isinstance(event, Iteration)][-1]
    assert not last.is_finite
    assert last.iteration < 50
    assert said.startswith(f"error: {cfg}: the loss became nan at iteration {last.iteration}")
    assert not job.weights("final").exists()


@pytest.fixture
def running(job: Job) -> Iterator[subprocess.Popen[bytes]]:
    cfg = job.cfg(max_batches=100_000)
    command = [sys.executable, "-m", "darknet_kit.engine.torch", "detector", "train", job.data, cfg]
    process = subprocess.Popen(
        [*command, "-device", "cpu", "-workers", "1"], stdout=subprocess.PIPE, cwd=job.folder
    )
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_the_weights_of_that_iteration(
    job: Job, running: "subprocess.Popen[bytes]", number: int
) -> None:
    reader = LogReader()
    assert running.stdout is not None
    for line in running.stdout:
        reader.feed(line)
        if reader.iteration == 3:
            running.send_signal(number)
            break
    rest = running.stdout.read()
    assert running.wait(timeout=60) == 130
    for line in rest.splitlines():
        reader.feed(line)
    assert reader.iteration is not None
    assert job.iteration("last") == reader.iteration >= 3
    assert not job.weights("final").exists()


def test_a_signal_at_the_exit_is_too_late_to_matter() -> None:
    program = (
        "import atexit, os, runpy, signal, sys\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "sys.argv[1:] = ['detector', 'dance']\n"
        "runpy.run_module('darknet_kit.engine.torch', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2, done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("detector train nothing.data net.cfg", 1, "nothing.data: no such file"),
        ("detector train set/ilsvrc.data nothing.cfg", 1, "nothing.cfg: no such file"),
        ("detector train set/ilsvrc.data net.cfg set/ilsvrc.names", 1, "not Darknet weights"),
        ("detector train set/ilsvrc.data net.cfg -gpus 0,71", 4, "-gpus names number 71"),
        ("detector train set/ilsvrc.data net.cfg -device cuda:70", 4, "so none is number 70"),
        ("detector train set/ilsvrc.data net.cfg -device toaster", 2, "there is no device"),
        ("detector map set/ilsvrc.data net.cfg nothing.weights", 1, "nothing.weights: no such"),
        ("detector dance set/ilsvrc.data net.cfg", 2, "has no `detector dance`"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(
    job: Job,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    code: int,
    said: str,
) -> None:
    job.cfg()
    monkeypatch.chdir(job.folder)
    assert main(words.split()) == code
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("error: ")
    assert said in lines[0]
    assert len(lines) <= 2


def test_names_that_do_not_fit_end_a_training_with_map_before_it_starts(
    job: Job, train: Train
) -> None:
    cfg = read_cfg(job.cfg())
    names = read_data(job.data).names
    names.write_text(names.read_text() + "one more\n")
    code, log, said = train(cfg.path or "", "-map")
    assert (code, log.count("avg loss")) == (1, 0)
    assert said.startswith(f"error: {names}: 6 names for 5 classes of the network\n")


def test_a_network_without_head_is_refused(job: Job, train: Train) -> None:
    cfg = read_cfg(job.cfg())
    text = format_cfg(cfg)
    (job.folder / "net.cfg").write_text(text[: text.index("[yolo]")])
    code, _, said = train(os.fspath(job.folder / "net.cfg"))
    assert code == 1
    assert "no head that detects" in said.splitlines()[0]


def test_weights_of_another_network_are_refused(job: Job, train: Train) -> None:
    train(job.cfg(max_batches=2))
    other = make_cfg(CfgRequest(classes=_CLASSES, model="yolov4-tiny"))
    write_cfg(job.folder / "other.cfg", other)
    path = os.fspath(job.weights("final"))
    code, _, said = train(os.fspath(job.folder / "other.cfg"), path)
    assert code == 1
    assert "layer" in said.splitlines()[0]


def test_keys_that_need_another_are_told_of(job: Job, train: Train) -> None:
    code, log, _ = train(job.cfg(max_batches=1, dkit_patience=2))
    assert code == 0
    assert "dkit_patience does nothing without -map\n" in log


def test_the_average_is_saved_at_the_end_too(job: Job, train: Train) -> None:
    assert train(job.cfg(max_batches=3, dkit_ema=0.9))[0] == 0
    assert job.iteration("ema") == 3


def test_an_unknown_mode_of_compilation_is_a_usage_error(job: Job, train: Train) -> None:
    code, _, said = train(job.cfg(max_batches=1), "-compile", "fastest")
    assert code == 2
    assert said.startswith("error: there is no -compile fastest: ")


@pytest.mark.parametrize(("computes", "doubt"), [(False, "bf16, which this CPU only"), (True, "")])
def test_a_cpu_that_imitates_bf16_is_told_of(
    job: Job, train: Train, monkeypatch: pytest.MonkeyPatch, computes: bool, doubt: str
) -> None:
    cpu = pytest.importorskip("torch").cpu
    monkeypatch.setattr(cpu, "get_capabilities", lambda: {"avx512_bf16": computes}, raising=False)
    _, log, _ = train(job.cfg(max_batches=1), "-precision", "bf16")
    assert doubt in log.splitlines()[0]
    assert ("only imitates" in log) is not computes


def test_what_starts_at_random_and_what_is_frozen_is_told(job: Job, train: Train) -> None:
    """Without the last convolution (30 filters over 128 channels), the one before it frozen."""
    cfg = Path(job.cfg(max_batches=1))
    assert train(os.fspath(cfg))[0] == 0
    cut = job.folder / "net.conv.8"
    cut.write_bytes(job.weights("final").read_bytes()[: -4 * 30 * (128 + 1)])
    cfg.write_text(cfg.read_text().replace("filters=128", "filters=128\nstopbackward=1"))
    code, log, said = train(os.fspath(cfg), os.fspath(cut))
    assert code == 0, said
    assert "note: layers 8 to 9 start at random\n" in log
    assert "note: layers 0 to 7 get no gradient\n" in log
