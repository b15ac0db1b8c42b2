"""The overlap of boxes on the CPU, in single precision and in Darknet's order of arithmetic.

Boxes are [..., 4] arrays of cx, cy, w, h in any unit. AlexeyAB `src/box.c`.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def iou_matrix(ones: Floats, others: Floats) -> Floats:
    """Return the area that boxes [N, 4] and [M, 4] share over the one they cover, [N, M].

    0 where they share none; it may be NaN where a box is infinite.
    """
    # Detections of a network that has gone wrong are infinite; no comparison is true for NaN.
    with np.errstate(invalid="ignore", over="ignore"):
        shared = _shared_lengths(ones, others, 0)
        shared *= _shared_lengths(ones, others, 1)
        covered = (ones[:, 2] * ones[:, 3])[:, None] + others[:, 2] * others[:, 3]
        covered -= shared
        meet = (shared != 0) & (covered != 0)
        return np.divide(shared, covered, out=np.zeros_like(shared), where=meet)


def _shared_lengths(ones: Floats, others: Floats, axis: int) -> Floats:
    """Return how long the boxes overlap along one axis, [N, M]; 0 where they do not."""
    half, other_half = ones[:, axis + 2] / 2, others[:, axis + 2] / 2
    shared = np.minimum((ones[:, axis] + half)[:, None], others[:, axis] + other_half)
    shared -= np.maximum((ones[:, axis] - half)[:, None], others[:, axis] - other_half)
    return np.maximum(shared, 0, out=shared)


def center_gap(ones: Floats, others: Floats) -> Floats:
    """Return the squared distance of the centres of boxes [N, 4], pair by pair, over the squared
    diagonal of the smallest box around both, [N]; 0 where that has no size."""
    with np.errstate(invalid="ignore", over="ignore"):
        low = np.minimum(ones[:, :2] - ones[:, 2:] / 2, others[:, :2] - others[:, 2:] / 2)
        high = np.maximum(ones[:, :2] + ones[:, 2:] / 2, others[:, :2] + others[:, 2:] / 2)
        diagonal = np.square(high - low).sum(-1)
        distance = np.square(ones[:, :2] - others[:, :2]).sum(-1)
        return np.where(diagonal == 0, np.float32(0), distance / np.where(diagonal, diagonal, 1))
