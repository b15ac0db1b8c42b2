"""Non-maximum suppression: of boxes that show the same object, the most confident stays.

AlexeyAB `src/box.c`, `do_nms_sort` and `diounms_sort`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from darknet_kit.engine.torch.detection.detections import Detections, scale_boxes
from darknet_kit.engine.torch.detection.overlap import Floats, center_gap, iou_matrix
from darknet_kit.formats.cfg import Cfg

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

Rivals = Callable[[Numbers, Numbers], Flags]

_BLOCK = 64
_FEW = 1000
_WORSE = np.triu(np.ones((_BLOCK, _BLOCK), np.bool_), 1)
_GREEDY_EXPONENT = 0.6
_HEADS_WITH_KIND = ("yolo", "Gaussian_yolo")
_HEADS_THAT_LEAD = (*_HEADS_WITH_KIND, "region")


class NmsKind(StrEnum):
    """What `nms_kind=` may say. Darknet takes any other word for `default`.

    DEFAULT and CORNERS drop a box whose IoU with a better one is above the threshold. GREEDY and
    DIOU first take from the IoU how far the centres are apart, to the power of 0.6 or `beta_nms`.
    """

    DEFAULT = "default"
    GREEDY = "greedynms"
    DIOU = "diounms"
    CORNERS = "cornersnms"


@dataclass(frozen=True, slots=True)
class Suppression:
    """The kind of suppression, and the exponent of DIOU."""

    kind: NmsKind = NmsKind.DEFAULT
    beta: float = 0.6


def read_suppression(cfg: Cfg) -> Suppression:
    """Return what the last head of a network asks for; its word holds for all heads."""
    leading = [section for section in cfg.layers if section.kind in _HEADS_THAT_LEAD]
    if not leading or leading[-1].kind not in _HEADS_WITH_KIND:
        return Suppression()
    word = leading[-1].text("nms_kind", NmsKind.DEFAULT)
    known = word in NmsKind.__members__.values()
    kind = NmsKind(word) if known else NmsKind.DEFAULT
    return Suppression(kind, leading[-1].number("beta_nms", _GREEDY_EXPONENT))


def suppress(
    found: Detections, thresh: float, rule: Suppression, scale: tuple[int, int] = (1, 1)
) -> Detections:
    """Set the scores of suppressed boxes to 0, class by class, and leave out boxes without any.

    Boxes come out as Darknet leaves them: sorted by the scores, before suppression, of the last
    class, of the one before it where those are equal, and so on. With the image's width and
    height as `scale` the distance of centres is one in pixels, which `detector valid` takes,
    and not in fractions of the image.
    """
    rivals = _prepare_rivals(scale_boxes(found.boxes, scale), thresh, rule)
    scores = found.scores.copy()
    order = np.arange(len(scores))
    for class_id in np.flatnonzero(scores.any(0)):
        order = order[np.argsort(-scores[order, class_id], kind="stable")]
        rows = order[: np.count_nonzero(scores[:, class_id])]
        if len(rows) > 1:
            scores[rows[~_survive(rows, rivals)], class_id] = 0
    order = order[scores[order].any(1)]
    return Detections(found.boxes[order], scores[order])


def _survive(rows: Numbers, rivals: Rivals) -> Flags:
    """Tell which boxes, the most confident first, no better survivor suppresses.

    Blocks keep the tables of overlaps small and their number low, whatever the boxes are.
    """
    alive = np.ones(len(rows), np.bool_)
    for start in range(0, len(rows), _BLOCK):
        block = start + np.flatnonzero(alive[start : start + _BLOCK])
        beaten = rivals(rows[block], rows[block]) & _WORSE[: len(block), : len(block)]
        for number in np.flatnonzero(beaten.any(1)):
            if alive[block[number]]:
                alive[block[beaten[number]]] = False
        block = block[alive[block]]
        after = start + _BLOCK + np.flatnonzero(alive[start + _BLOCK :])
        if len(after):
            alive[after] = ~rivals(rows[block], rows[after]).any(0)
    return alive


def _prepare_rivals(boxes: Floats, thresh: float, rule: Suppression) -> Rivals:
    """Return what tells which boxes suppress which, by their rows, as [N, M].

    Of few boxes one table serves all classes.
    """
    if len(boxes) <= _FEW:
        table = _rivals(boxes, boxes, thresh, rule)
        return lambda better, worse: table[better[:, None], worse]
    return lambda better, worse: _rivals(boxes[better], boxes[worse], thresh, rule)


def _rivals(better: Floats, worse: Floats, thresh: float, rule: Suppression) -> Flags:
    """Tell which of the `better` boxes [N, 4] suppress which of the `worse` [M, 4], as [N, M]."""
    iou = iou_matrix(better, worse)
    rivals = iou > np.float32(thresh)
    if rule.kind in (NmsKind.GREEDY, NmsKind.DIOU):
        # The distance only ever lowers the overlap.
        exponent = _GREEDY_EXPONENT if rule.kind is NmsKind.GREEDY else rule.beta
        one, other = np.nonzero(rivals)
        gap = center_gap(better[one], worse[other]).astype(np.float64) ** exponent
        rivals[one, other] = iou[one, other] - gap.astype(np.float32) > np.float32(thresh)
    return rivals
