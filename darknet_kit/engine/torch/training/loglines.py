"""The lines of a training log, as AlexeyAB's darknet prints them, without terminal control.

The forms are those of AlexeyAB `src/detector.c` (`train_detector`); formats/logline reads them.
"""

from collections.abc import Sequence

from darknet_kit.engine.torch.cnumber import format_c
from darknet_kit.engine.torch.training.multiscale import InputSize
from darknet_kit.engine.torch.training.saving import SavingPlan
from darknet_kit.network.layers import Layer, total_bflops

FAREWELL = (
    "If you want to train from the beginning, then use flag in the end of training command: "
    "-clear \n"
)


def format_program(version: str, torch_version: str, where: str) -> str:
    """Return which program it is, and on what it computes."""
    return f"darknet-kit {version}: the embedded engine, PyTorch {torch_version}, {where}\n"


def format_layers(layers: tuple[Layer, ...]) -> str:
    """Return a line a layer, width x height x channels, and the work that an image is."""
    rows = (
        f"{layer.index:4} {layer.kind:16} {layer.input!s:>18} -> {layer.output!s:>18} "
        f"{layer.bflops:7.3f} BF\n"
        for layer in layers
    )
    return f"{''.join(rows)}Total BFLOPS {total_bflops(layers):.3f} \n"


def format_start(saving: SavingPlan, learning_rate: float, momentum: float, decay: float) -> str:
    """Return what stands before the first iteration."""
    return (
        f"{saving.base}\n"
        f"Weights are saved after: {saving.every} iterations. Last weights (*_last.weight) are "
        f"stored every {saving.last_every} iterations. \n"
        f"Learning Rate: {learning_rate:g}, Momentum: {momentum:g}, Decay: {decay:g}\n"
    )


def format_iteration(
    iteration: int,
    loss: float,
    avg_loss: float,
    rate: float,
    seconds: float,
    images: int,
    hours_left: float,
) -> str:
    """Return the line of an iteration, the one that every chart is drawn from."""
    return (
        f"\n {iteration}: {format_c(loss)}, {format_c(avg_loss)} avg loss, {format_c(rate)} rate, "
        f"{seconds:.6f} seconds, {images} images, {format_c(hours_left)} hours left\n"
    )


def format_loaded(seconds: float, *, after_start: bool) -> str:
    """Return how long the iteration waited for its images."""
    slow = seconds > 0.1 and after_start
    remark = " - performance bottleneck on CPU or Disk HDD/SSD" if slow else ""
    return f"Loaded: {seconds:.6f} seconds{remark}\n"


def format_parts(layer: int, parts: Sequence[float]) -> str:
    """Return the parts of one head's loss, sums of squared delta an image: a line of our own."""
    box, objectness, no_object, classes = parts
    return (
        f" loss parts {layer}: box = {format_c(box)}, obj = {format_c(objectness)}, "
        f"noobj = {format_c(no_object)}, class = {format_c(classes)}\n"
    )


def format_boxes(learnt: float, rewritten: float) -> str:
    """Return how many boxes were learnt since the start, and how many over another truth's.

    AlexeyAB `src/network.c`, `train_network_datum`.
    """
    share = format_c(100 * rewritten / learnt)
    return f" total_bbox = {learnt:.0f}, rewritten_bbox = {share} % \n"


def format_next_map(iteration: int) -> str:
    """Return when mAP is computed next."""
    return f"\n (next mAP calculation at {iteration} iterations) "


def format_saved(path: object) -> str:
    """Return which weights are being written."""
    return f"Saving weights to {path}\n"


def format_map_value(iou_thresh: float, value: float) -> str:
    """Return a mAP, a fraction, as it stands under its table."""
    return f"\n mean_average_precision (mAP@{iou_thresh:.2f}) = {format_c(value)} \n"


def format_last_map(iou_thresh: float, last: float, best: float) -> str:
    """Return the last mAP and the best; both are fractions."""
    return (
        f"\n Last accuracy mAP@{iou_thresh:.2f} = {last * 100:2.2f} %, best = {best * 100:2.2f} % "
    )


def format_resized(size: InputSize) -> str:
    """Return the new size of the network's input and its mini-batch."""
    return f"\n {size.width} x {size.height}  (batch = {size.batch}) \n"
