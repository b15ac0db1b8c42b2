"""Two iterations on four drawn images: what an engine must manage before it is trusted.

Some builds start and answer, and fail at the first kernel, the first convolution of cuDNN or the
first instruction that the CPU lacks.
"""

import os
import random
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.core.boxes import Box, cxcywh_norm
from darknet_kit.core.files import make_folder, write_text
from darknet_kit.dataset.shapes import draw_scene
from darknet_kit.engine.answer import Answer, ask
from darknet_kit.engine.command import stdin_text, train_command
from darknet_kit.engine.find import Engine
from darknet_kit.errors import DkitError
from darknet_kit.formats.cfg import Cfg, set_value, write_cfg
from darknet_kit.formats.datafile import format_data
from darknet_kit.formats.logevent import EngineError, Iteration
from darknet_kit.formats.logline import LogReader
from darknet_kit.formats.weights import map_floats, read_weights_header
from darknet_kit.formats.yolo import format_label
from darknet_kit.network.layers import weight_floats
from darknet_kit.network.model import CfgRequest, make_cfg

IMAGES = 4
ITERATIONS = 2
# A GPU's first start may translate every kernel.
_SECONDS = 300.0
_TINY_NETWORK = "dkit-nano"


@dataclass(frozen=True, slots=True)
class Trial:
    """How a trial went. `problem` is empty where the engine trained; `log` is what it printed.

    `no_memory` says that memory was short, as it is on a GPU that is at work for somebody else.
    """

    avg_loss: float
    problem: str
    log: str
    no_memory: bool = False

    def __str__(self) -> str:
        if self.problem:
            return self.problem
        return f"{ITERATIONS} iterations on {IMAGES} drawn images, average loss {self.avg_loss:g}"


def try_training(engine: Engine, gpu: int | None = None) -> Trial:
    """Train a tiny network in a folder that is removed afterwards; `gpu` names one, by its place
    on the bus. It has trained if the last iteration has a finite loss and left whole, finite
    weights: exit codes lie."""
    with tempfile.TemporaryDirectory(prefix="dkit-") as name:
        folder = Path(name)
        cfg = _write_task(folder)
        # Relative names: the folder's own may hold what an engine cannot read.
        command = train_command(engine, "trial.data", "trial.cfg", gpus=_numbers(gpu))
        answer = ask(
            command,
            stdin=stdin_text(engine),
            folder=folder,
            environment={"CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
            timeout=_SECONDS,
        )
        return _judge(answer, folder / "backup" / "trial_final.weights", cfg)


def _numbers(gpu: int | None) -> tuple[int, ...]:
    return () if gpu is None else (gpu,)


def _write_task(folder: Path) -> Cfg:
    """Write images, labels, list, names, data and cfg; return the last."""
    chance = random.Random(0)
    names = [f"{number}.png" for number in range(IMAGES)]
    for name in names:
        picture, shapes = draw_scene(0, chance)
        picture.save(folder / name)
        boxes = (Box(one.left, one.top, one.right, one.bottom) for one in shapes)
        labels = (format_label(0, *cxcywh_norm(box, *picture.size)) for box in boxes)
        write_text(folder / f"{Path(name).stem}.txt", "".join(labels))
    write_text(folder / "train.list", "".join(f"{name}\n" for name in names))
    write_text(folder / "trial.names", "disc\n")
    files = {"train": "train.list", "valid": "train.list", "names": "trial.names"}
    data = {"classes": 1, **files, "backup": os.path.basename(make_folder(folder / "backup"))}
    write_text(folder / "trial.data", format_data(data))
    cfg = make_cfg(CfgRequest(classes=1, model=_TINY_NETWORK, batch=IMAGES, subdivisions=1))
    cfg = set_value(cfg, cfg.net, "max_batches", ITERATIONS)
    write_cfg(folder / "trial.cfg", cfg)
    return cfg


def _judge(answer: Answer, weights: Path, cfg: Cfg) -> Trial:
    reader = LogReader()
    events = [event for line in answer.text.splitlines() for event in reader.feed(line)]
    last = next((one for one in reversed(events) if isinstance(one, Iteration)), None)
    loss = last.avg_loss if last else float("nan")
    if last and last.iteration >= ITERATIONS and last.is_finite:
        return Trial(loss, _find_damage(weights, cfg), answer.text)
    told = next((one.message for one in events if isinstance(one, EngineError)), "")
    if last and not last.is_finite:
        told = f"the loss of iteration {last.iteration} is {last.avg_loss:g}"
    lines = [line.strip() for line in answer.text.splitlines() if line.strip()]
    told = told or answer.error or (lines[-1] if lines else "it printed nothing")
    done = last.iteration if last else 0
    how = f"it trained {done} of {ITERATIONS} iterations{_tell_end(answer.returncode)}"
    short = any(isinstance(one, EngineError) and one.code == "out-of-memory" for one in events)
    return Trial(loss, f"{how}: {told}", answer.text, short)


def _tell_end(returncode: int | None) -> str:
    if not returncode:
        return ""
    if returncode > 0:
        return f", and ended with {returncode}"
    number = -returncode
    known = number in {one.value for one in signal.Signals}
    return f", and {signal.Signals(number).name if known else f'signal {number}'} ended it"


def _find_damage(weights: Path, cfg: Cfg) -> str:
    """Say what is wrong with the weights that a trial left; empty where they are good."""
    import numpy as np

    try:
        header = read_weights_header(weights)
    except DkitError as error:
        return f"it trained and left no weights: {error.message}"
    if header.floats != weight_floats(cfg):
        return f"it trained and left {header.floats} weights of {weight_floats(cfg)}"
    if not np.isfinite(map_floats(header)).all():
        return "it trained and left weights that are no numbers"
    return ""
