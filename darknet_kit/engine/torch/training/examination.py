"""The examination of a network while it trains: mAP and what else is asked for."""

from collections.abc import Mapping

from darknet_kit.engine.torch.detection.cocoap import coco_map, format_coco_map
from darknet_kit.engine.torch.detection.meanap import (
    MapOptions,
    MapResult,
    compute_map,
    format_map,
    format_map_start,
    read_map_set,
)
from darknet_kit.engine.torch.network import Network
from darknet_kit.engine.torch.stopping import StopRequest
from darknet_kit.engine.torch.training.journal import Write
from darknet_kit.engine.torch.training.loglines import (
    format_last_map,
    format_map_value,
    format_next_map,
)
from darknet_kit.engine.torch.training.plan import TrainPlan
from darknet_kit.engine.torch.training.selection import Selection
from darknet_kit.engine.torch.training.validloss import compute_loss, format_loss


class Interrupted(Exception):  # noqa: N818 - no error: somebody wants an end
    """A request to stop came in the middle of an examination."""


class Examination:
    """Computes mAP when it is due, and remembers which weights were best."""

    def __init__(self, plan: TrainPlan, *, start: int) -> None:
        """Read the lists. Raises DatasetError."""
        self._plan = plan
        self._set = read_map_set(plan.data)
        command = plan.command
        self._options = MapOptions(command.thresh, command.iou_thresh, command.points)
        self._last_map: float | None = None
        self._best_map = 0.0
        self._selection = Selection(
            every=plan.map_every,
            burn_in=plan.cfg.net.integer("burn_in"),
            start=start,
            patience=plan.patience,
            smaller_is_better=plan.metric == "loss",
        )

    @property
    def is_hopeless(self) -> bool:
        """Whether patience is at its end."""
        return self._selection.is_hopeless

    def numbers(self) -> dict[str, float]:
        """Return what must be kept to go on as if nothing had happened."""
        known = {"last_map": self._last_map, "best_map": self._best_map}
        kept = {name: value for name, value in known.items() if value is not None}
        return kept | self._selection.numbers()

    def restore(self, numbers: Mapping[str, float]) -> None:
        """Go on from what `numbers` returned."""
        self._last_map = numbers.get("last_map")
        self._best_map = numbers.get("best_map", 0.0)
        self._selection.restore(numbers)

    def announce(self, write: Write) -> None:
        """Write when the next mAP comes, and what the last one was."""
        write(format_next_map(self._selection.next_at))
        if self._last_map:
            write(format_last_map(self._options.iou_thresh, self._last_map, self._best_map))

    def is_due(self, iteration: int) -> bool:
        """Tell whether it is time, as it always is at the end."""
        return iteration >= self._selection.next_at or iteration >= self._plan.max_batches

    def examine(self, network: Network, iteration: int, write: Write, stop: StopRequest) -> bool:
        """Compute and print mAP; tell whether these weights are the best. Raises Interrupted.

        The network is left in inference mode.
        """

        def check(_done: int, _total: int) -> None:
            if stop.requested:
                raise Interrupted

        write(format_map_start(network.heads))
        result = compute_map(network, self._set, self._options, progress=check)
        write(format_map(result))
        write(format_map_value(self._options.iou_thresh, result.mean))
        self._last_map, self._best_map = result.mean, max(self._best_map, result.mean)
        values = _read_metrics(result)
        if self._plan.metric == "coco" or self._plan.command.coco:
            coco = coco_map(network, self._set, progress=check)
            write(format_coco_map(coco))
            values["coco"] = coco.map
        if self._plan.metric == "loss":
            seen = iteration * self._plan.batch
            values["loss"] = compute_loss(network, self._set.images, seen=seen, progress=check)
            write(format_loss(values["loss"]))
        return self._selection.note(iteration, values[self._plan.metric])


def _read_metrics(result: MapResult) -> dict[str, float]:
    """Return what `dkit_best_metric` may name; all but mAP at the confidence of `-thresh`."""
    found = result.precision
    return {
        "map": result.mean,
        "precision": found.precision,
        "recall": found.recall,
        "f1": found.f1,
        "iou": found.average_iou,
    }
