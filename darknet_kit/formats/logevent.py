"""What a Darknet training log tells, one record per fact.

`iteration` is 1-based, as the engines count; where a log begins in the middle of things, the
facts before its first iteration line have the iteration None. Fractions are 0 to 1, also where
the engine prints per cent.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Iteration:
    """One iteration line. `loss` and `avg_loss` may be nan or inf: that is how runs end."""

    iteration: int
    loss: float
    avg_loss: float
    learning_rate: float
    seconds: float  # of computing; nan where the engine says "unknown"
    images: int  # seen since the network was new
    hours_left: float | None = None

    @property
    def is_finite(self) -> bool:
        """Tell whether both losses are numbers; a network rarely comes back from nan."""
        return math.isfinite(self.loss) and math.isfinite(self.avg_loss)


@dataclass(frozen=True, slots=True)
class ClassResult:
    """Average precision of one class; `tp` and `fp` count boxes over the confidence threshold."""

    class_id: int
    name: str
    ap: float
    tp: int | None = None
    fp: int | None = None


@dataclass(frozen=True, slots=True)
class MapResult:
    """One mAP calculation. Precision and F1 are nan where nothing was detected: harmless."""

    iteration: int | None
    map50: float  # at `iou_threshold`, which is 0.5 unless -iou_thresh said otherwise
    iou_threshold: float | None = None
    classes: tuple[ClassResult, ...] = ()
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    average_iou: float | None = None


@dataclass(frozen=True, slots=True)
class NewBestMap:
    """The engine's word that the mAP just calculated is the best so far (or equals it)."""

    iteration: int | None


@dataclass(frozen=True, slots=True)
class RunStarted:
    """An engine process has read its network and is about to train."""

    learning_rate: float


@dataclass(frozen=True, slots=True)
class MiniBatch:
    """How many images the network to train computes at once, as the engine read its cfg."""

    iteration: int | None
    images: int


@dataclass(frozen=True, slots=True)
class LossParts:
    """Parts of one head's loss, added up over `lines` lines of the iteration to come.

    AlexeyAB tells objectness and class in one sum, so that they are nan apart.
    """

    head: int  # the layer's number
    box: float
    objectness: float
    classes: float
    objectness_and_class: float
    lines: int = 1


@dataclass(frozen=True, slots=True)
class WeightsSaved:
    """A checkpoint was written; `path` is as the engine printed it."""

    iteration: int | None
    path: str


@dataclass(frozen=True, slots=True)
class Resized:
    """The network's input size in px changed (random=1, or back for the mAP).

    `mini_batch` is how many images it computes at once from there on, where that is printed.
    """

    iteration: int | None
    width: int
    height: int
    mini_batch: int | None = None


@dataclass(frozen=True, slots=True)
class EngineError:
    """A line with which engines die.

    `code` is out-of-memory, cuda-error, killed, crashed, missing-file or engine-error.
    """

    iteration: int | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class EngineWarning:
    """A line about something that the engine put up with.

    `code` is missing-image, missing-label, wrong-label, slow-loading, unused-key or other.
    """

    iteration: int | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The engine reached max_batches, or was there already when it started."""

    iteration: int | None


Event = (
    Iteration
    | MapResult
    | NewBestMap
    | RunStarted
    | MiniBatch
    | LossParts
    | WeightsSaved
    | Resized
    | EngineError
    | EngineWarning
    | Finished
)
