"""`dkit anchors`: anchors by k-means on a data set, beside a network's own."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.cli.writing import write_files
from darknet_kit.dataset.reading import Dataset, read_dataset
from darknet_kit.errors import DatasetError, UsageError
from darknet_kit.formats.cfg import Cfg, encode_cfg, read_cfg
from darknet_kit.network.anchors import Anchors, count_anchors, read_anchors, set_anchors
from darknet_kit.network.catalog import DEFAULT_MODEL
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.network.size import parse_size

if TYPE_CHECKING:
    from darknet_kit.dataset.anchors import Sizes

_WORTH_IT = 0.02
_POOR = 0.5


@dkit_command(
    examples=[
        "dkit anchors voc/voc.data",
        "dkit anchors voc/voc.data --model yolov4-tiny --size 608x416",
        "dkit anchors voc/voc.data --cfg mine.cfg -o mine-anchors.cfg",
    ]
)
@click.argument("data", type=GivenPath())
@click.option("--cfg", "network", type=GivenPath(), help="The network they are for.")
@click.option("--model", help=f"A model instead of --cfg.  [default: {DEFAULT_MODEL}]")
@click.option("--size", metavar="N|WxH", help="Input in pixels.  [default: the network's]")
@click.option("--seed", default=0, show_default=True, help="Draws the first centres.")
@click.option("-o", "--output", type=GivenPath(), help="Write --cfg with the new anchors here.")
@click.option("--overwrite", is_flag=True, help="Replace another file of that name.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
def anchors(
    data: str,
    network: str | None,
    model: str | None,
    size: str | None,
    seed: int,
    output: str | None,
    overwrite: bool,
    workers: int | None,
) -> Outcome:
    """Compute anchors for a data set, beside a network's own.

    k-means with IoU as the distance over the boxes of the training images, as `darknet detector
    calc_anchors`, but the same each time. Few data sets gain from it: pre-trained weights know
    the network's own anchors.
    """
    if network and model:
        raise UsageError(
            "--cfg and --model both name the network",
            code="two-networks",
            hint="Keep the one that you will train.",
        )
    if output and not network:
        raise UsageError(
            "-o writes a network with the new anchors, and needs --cfg",
            code="wrong-option",
            hint="Or let make-cfg do it: dkit make-cfg --data DATA --anchors computed",
        )
    dataset = read_dataset(data)
    cfg = read_cfg(network) if network else _model_cfg(dataset, model, size)
    sizes = _read_sizes(dataset, parse_size(size) if size else _size_of(cfg), workers)
    found = _compute(sizes, cfg, seed)
    state = ""
    if output:
        better = encode_cfg(set_anchors(cfg, found))
        (state,) = write_files({Path(output): better}, overwrite).values()
    return _describe(dataset, cfg, sizes, found, output, state)


def compute_for(dataset: Dataset, cfg: Cfg) -> tuple[tuple[tuple[float, float], ...], str]:
    """Return anchors in pixels for a network and its data, and why they are these."""
    sizes = _read_sizes(dataset, _size_of(cfg), None)
    found = _compute(sizes, cfg, seed=0)
    before, after = _measure(sizes, read_anchors(cfg)), _measure(sizes, found)
    return tuple(found), (
        f"k-means of {len(sizes):,} boxes: average IoU {after['average_iou']:.1%}, "
        f"{before['average_iou']:.1%} with the model's own"
    )


def _read_sizes(dataset: Dataset, size: tuple[int, int], workers: int | None) -> "Sizes":
    """Return the training boxes in pixels of a network's input. Raises DatasetError."""
    from darknet_kit.dataset.anchors import read_box_sizes

    with progress_bar("read", "images") as progress:
        sizes = read_box_sizes(dataset, workers=workers, progress=progress)
    if not len(sizes):
        raise DatasetError(
            "the training images have no boxes",
            code="no-boxes",
            hint="`dkit check DATA` says where the labels are looked for.",
            path=dataset.data.path,
        )
    return sizes * size


def _compute(sizes: "Sizes", cfg: Cfg, seed: int) -> list[tuple[float, float]]:
    from darknet_kit.dataset.anchors import compute_anchors

    computed = compute_anchors(sizes, count_anchors(cfg), seed)
    return [(float(width), float(height)) for width, height in computed]


def _model_cfg(dataset: Dataset, model: str | None, size: str | None) -> Cfg:
    given = parse_size(size) if size else None
    return make_cfg(CfgRequest(len(dataset.names), model or DEFAULT_MODEL, given))


def _size_of(cfg: Cfg) -> tuple[int, int]:
    return cfg.net.integer("width"), cfg.net.integer("height")


def _describe(
    dataset: Dataset, cfg: Cfg, sizes: "Sizes", found: Anchors, output: str | None, state: str
) -> Outcome:
    own = read_anchors(cfg)
    before, after = _measure(sizes, own), _measure(sizes, found)
    width, height = _size_of(cfg)
    gain = after["average_iou"] - before["average_iou"]
    text = ",  ".join(f"{round(one)},{round(other)}" for one, other in found)
    summary = [
        f"Read {len(sizes):,} boxes of the training images, at {width}x{height} pixels",
        f"  {'':<22}{'average IoU':>12}{'boxes below 0.5':>18}",
        _row(f"the network's own {len(own)}", before),
        _row(f"computed {len(found)}", after),
        f"  anchors = {text}",
        f"  {_advice(gain)}",
    ]
    if output:
        summary.append(f"  cfg     {shown(output)}" + (f" ({state})" if state != "wrote" else ""))
    return Outcome(
        summary=summary,
        data={
            "boxes": len(sizes),
            "width": width,
            "height": height,
            "anchors": [[round(one, 2), round(other, 2)] for one, other in found],
            "computed": after,
            "own": {"anchors": own, **before},
            "cfg": os.path.abspath(output) if output else None,
        },
        next_command=_next_command(dataset, output, gain),
    )


def _measure(sizes: "Sizes", anchors: Anchors) -> dict[str, Any]:
    """Return how well anchors fit the boxes: mean of the best IoU, and how many fit badly."""
    import numpy as np

    from darknet_kit.dataset.anchors import best_iou

    best = best_iou(sizes, np.array(anchors, np.float32))
    return {
        "average_iou": round(float(best.mean(dtype=np.float64)), 4),
        "poor": round(float((best < _POOR).mean()), 4),
    }


def _row(what: str, fit: dict[str, Any]) -> str:
    return f"  {what:<22}{fit['average_iou']:>12.1%}{fit['poor']:>18.1%}"


def _advice(gain: float) -> str:
    if gain < _WORTH_IT:
        return "Keep the network's own: they fit as well, and pre-trained weights know them."
    return (
        f"The computed ones fit {100 * gain:.1f} points better. Pre-trained weights know the "
        "others: the gain shows late in a training."
    )


def _next_command(dataset: Dataset, output: str | None, gain: float) -> str:
    data = shown(dataset.data.path)
    if output:
        return f"dkit train {data} {shown(output)}"
    computed = "" if gain < _WORTH_IT else " --anchors computed"
    return f"dkit make-cfg --data {data}{computed}"


command = anchors
