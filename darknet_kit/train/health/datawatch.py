"""Whether an engine still gets its images and labels.

AlexeyAB's, the 2018 original and the embedded one go on without what they cannot read: where a disk
is unmounted in the night, they train on empty images, or unlearn what they had learned.
"""

from collections import Counter

from darknet_kit.formats.logevent import EngineWarning, Event, Iteration, MapResult
from darknet_kit.train.health.causes import Cause

_ITERATIONS, _IMAGES = 20, 100  # that are looked at together, at least
_GONE, _THERE = 0.9, 0.5  # shares of them
_CURE = "Is the disk of the data still there? `dkit check DATA` lists every such file."


class DataWatch:
    """Takes in what an engine tells. Labels may be missing on purpose, of images without objects:
    they are gone where they had been there before."""

    def __init__(self) -> None:
        self._complaints: Counter[str] = Counter()
        self._first: Iteration | None = None
        self._had_labels = False

    def note(self, event: Event) -> Cause | None:
        """Return why the engine has to be stopped; None while it gets its data."""
        if isinstance(event, EngineWarning):
            self._complaints[event.code] += 1
        elif isinstance(event, MapResult):  # which complains of validation images
            self._begin(None)
        elif isinstance(event, Iteration):
            return self._look(event)
        return None

    def _begin(self, first: Iteration | None) -> None:
        self._first = first
        self._complaints.clear()

    def _look(self, event: Iteration) -> Cause | None:
        first = self._first
        if first is None:
            self._begin(event)
            return None
        images = event.images - first.images
        if event.iteration - first.iteration < _ITERATIONS or images < _IMAGES:
            return None
        unread, unlabelled = self._complaints["missing-image"], self._complaints["missing-label"]
        self._begin(event)
        if unread >= _GONE * images:
            return _tell("unreadable-image", "could not be read", images)
        if unlabelled >= _GONE * images and self._had_labels:
            return _tell("missing-label", "had no label any more", images)
        self._had_labels = self._had_labels or unlabelled < _THERE * images
        return None


def _tell(code: str, what: str, images: int) -> Cause:
    return Cause(code, f"nearly all of the last {images:,} images {what}", _CURE)
