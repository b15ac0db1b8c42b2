"""All that a training is told before it starts: command line, cfg and `.data` file together."""

from collections.abc import Callable
from dataclasses import dataclass

from darknet_kit.engine.torch.commandline import PRECISIONS, CommandLine
from darknet_kit.engine.torch.data.options import find_last_head
from darknet_kit.engine.torch.keys import report_keys
from darknet_kit.engine.torch.site import error_at
from darknet_kit.engine.torch.training.saving import SavingPlan, plan_saving
from darknet_kit.engine.torch.training.schedule import learning_rate
from darknet_kit.errors import DatasetError
from darknet_kit.formats.cfg import Cfg, Section, read_cfg
from darknet_kit.formats.datafile import DataFile, iter_image_list, read_data, read_names

METRICS = ("map", "coco", "precision", "recall", "f1", "iou", "loss")


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """One training as it is meant. `mini_batch` images are computed at once, on each device.

    `metric` decides which weights are best; `patience` is how many times in a row it may fail
    to get better, 0 for ever.
    """

    command: CommandLine
    cfg: Cfg
    data: DataFile
    head: Section
    paths: tuple[str, ...]
    saving: SavingPlan
    mini_batch: int
    subdivisions: int
    max_batches: int
    precision: str
    metric: str = "map"
    patience: int = 0

    @property
    def examines(self) -> bool:
        """Whether mAP is computed while training."""
        return self.command.map

    @property
    def batch(self) -> int:
        """Images of an iteration on each device."""
        return self.mini_batch * self.subdivisions

    @property
    def map_every(self) -> int:
        """Iterations between two mAPs: as many as show each image `map_epochs` times."""
        return self.command.map_epochs * len(self.paths) // self.batch


def read_plan(command: CommandLine, tell: Callable[[str], object]) -> TrainPlan:
    """Read and check everything; `tell` gets what is worth a line of the log.

    Raises CfgError, DatasetError.
    """
    cfg, data = read_cfg(command.cfg), read_data(command.data)
    report_keys(cfg, tell)
    for key in () if command.map else ("dkit_best_metric", "dkit_patience"):
        if entry := cfg.net.find(key):
            tell(f"note: {cfg.path}:{entry.line}: {key} does nothing without -map\n")
    learning_rate(cfg, max(1, cfg.net.integer("burn_in")))  # a wrong policy is named now
    head = find_last_head(cfg)
    _check_names(command, data, head.classes, tell)
    train = data.require_train()
    paths = tuple(iter_image_list(train))
    if not paths:
        raise DatasetError("this list names no image to train on", code="empty-list", path=train)
    batch = max(1, cfg.net.integer("batch", 1))
    subdivisions = max(1, cfg.net.integer("subdivisions", 1))
    mini_batch = max(1, batch // subdivisions)
    if command.ignore_subdivisions:
        mini_batch, subdivisions = mini_batch * subdivisions, 1
    return TrainPlan(
        command=command,
        cfg=cfg,
        data=data,
        head=head.section,
        paths=paths,
        saving=plan_saving(cfg, command.cfg, data),
        mini_batch=mini_batch,
        subdivisions=subdivisions,
        max_batches=cfg.net.integer("max_batches"),
        precision=command.precision or _read_choice(cfg, "dkit_precision", PRECISIONS),
        metric=_read_choice(cfg, "dkit_best_metric", METRICS),
        patience=cfg.net.integer("dkit_patience"),
    )


def _check_names(
    command: CommandLine, data: DataFile, classes: int, tell: Callable[[str], object]
) -> None:
    """Tell where names and classes differ; with `-map` that would end the training later."""
    names = len(read_names(data.names))
    if names == classes:
        return
    what = f"{names} names for {classes} classes of the network"
    if command.map:
        raise DatasetError(
            what,
            code="names-do-not-fit",
            hint="The .names file has one name for each of classes= in the cfg's heads.",
            path=data.names,
        )
    tell(f"note: {data.names}: {what}\n")


def _read_choice(cfg: Cfg, key: str, choices: tuple[str, ...]) -> str:
    """Return the value of a key of [net] that takes one of some words, the first by default."""
    entry = cfg.net.find(key)
    if entry is None:
        return choices[0]
    if entry.value not in choices:
        what = f"{key} is {entry.value!r}; it takes {', '.join(choices)}"
        raise error_at(cfg, cfg.net, what, "bad-value", key=key)
    return entry.value
