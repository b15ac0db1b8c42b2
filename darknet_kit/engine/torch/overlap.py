"""The overlap of boxes on the CPU, in single precision and in Darknet's order of arithmetic.

Boxes are [..., 4] arrays of cx, cy, w, h in any unit. AlexeyAB `src/box.c`.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def iou_matrix(ones: Floats, others: Floats) -> Floats:
    """Return the area that boxes [N, 4] and [M, 4] share over the one they cover, [N, M].

    0 where they share none, NaN where a box is infinite.
    """
    # Detections of a network that has gone wrong are infinite; no comparison is true for NaN.
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = (
            ones[:, None, :2] - ones[:, None, 2:] / 2,
            ones[:, None, :2] + ones[:, None, 2:] / 2,
        )
        other_low, other_high = others[:, :2] - others[:, 2:] / 2, others[:, :2] + others[:, 2:] / 2
        sides = np.minimum(high, other_high) - np.maximum(low, other_low)
        shared = np.where((sides < 0).any(-1), np.float32(0), sides[..., 0] * sides[..., 1])
        covered = ones[:, None, 2] * ones[:, None, 3] + others[:, 2] * others[:, 3] - shared
        empty = (shared == 0) | (covered == 0)
        return np.where(empty, np.float32(0), shared / np.where(empty, np.float32(1), covered))


def center_gap(ones: Floats, others: Floats) -> Floats:
    """Return the squared distance of the centres of boxes [N, 4], pair by pair, over the squared
    diagonal of the smallest box around both, [N]; 0 where that has no size."""
    with np.errstate(invalid="ignore", over="ignore"):
        low = np.minimum(ones[:, :2] - ones[:, 2:] / 2, others[:, :2] - others[:, 2:] / 2)
        high = np.maximum(ones[:, :2] + ones[:, 2:] / 2, others[:, :2] + others[:, 2:] / 2)
        diagonal = np.square(high - low).sum(-1)
        distance = np.square(ones[:, :2] - others[:, :2]).sum(-1)
        return np.where(diagonal == 0, np.float32(0), distance / np.where(diagonal, diagonal, 1))
