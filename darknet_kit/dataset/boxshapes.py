"""How large boxes are and how they are shaped, in histograms: no box is kept, memory stays flat.

Widths and heights are fractions of the image, as labels hold them. Darknet stretches an image to
its network's input, so that these fractions are sizes there too, and a box's aspect is that of
the fractions times that of the input.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

STEPS = 10_000
"""A width or height is counted to a ten-thousandth of the image's: 0.04 px of 416."""
ASPECT_STEPS = 64
"""Steps to an octave, for aspects: 1 % each."""
AREA_STEPS = 8
"""Steps to an octave of width and of height, for both together."""
SMALLEST_STEP = -10 * AREA_STEPS  # 1/1024 of an image; smaller ones are counted there

EDGES_PX = (16, 32, 96)
"""Where a box is tiny, small, medium, large, by the root of its area in pixels of the network's
input: 16 is where AlexeyAB's README wants a network for small objects, 32 and 96 are COCO's."""
SIZES = ("tiny", "small", "medium", "large")


@dataclass(slots=True)
class ClassShape:
    """Sums over the boxes of one class: fractions of the image, and how many are tiny."""

    boxes: int = 0
    width: float = 0.0
    height: float = 0.0
    tiny: int = 0

    def add(self, boxes: int, width: float, height: float, tiny: int) -> None:
        """Add boxes with these sums."""
        self.boxes += boxes
        self.width += width
        self.height += height
        self.tiny += tiny

    @property
    def mean_width(self) -> float:
        return self.width / self.boxes if self.boxes else 0.0

    @property
    def mean_height(self) -> float:
        return self.height / self.boxes if self.boxes else 0.0


@dataclass(slots=True)
class BoxShapes:
    """Histograms of boxes, for a network's input of `size` (width and height in pixels).

    `unseen` boxes are narrower or lower than one pixel there: AlexeyAB's and hank-ai's Darknet
    leave them out without a word (`src/data.c`, fill_truth_detection); they are in no histogram.
    Engines take a width or height above 1 for 1, and so is it done here.
    """

    size: tuple[int, int]
    widths: Counter[int] = field(default_factory=Counter)
    heights: Counter[int] = field(default_factory=Counter)
    aspects: Counter[int] = field(default_factory=Counter)
    areas: Counter[tuple[int, int]] = field(default_factory=Counter)
    by_size: Counter[str] = field(default_factory=Counter)
    by_class: defaultdict[int, ClassShape] = field(default_factory=lambda: defaultdict(ClassShape))
    unseen: int = 0

    @property
    def boxes(self) -> int:
        return self.widths.total()

    def count(self, class_id: int, width: float, height: float) -> None:
        """Count a box of this width and height, as fractions of the image."""
        width, height = min(width, 1.0), min(height, 1.0)
        across, down = self.size
        if width * across < 1 or height * down < 1:
            self.unseen += 1
            return
        octaves, octaves_down = math.log2(width), math.log2(height)
        self.widths[round(width * STEPS)] += 1
        self.heights[round(height * STEPS)] += 1
        self.aspects[round((octaves - octaves_down) * ASPECT_STEPS)] += 1
        self.areas[_area_step(octaves), _area_step(octaves_down)] += 1
        size = name_size(width * across * height * down)
        self.by_size[size] += 1
        self.by_class[class_id].add(1, width, height, size == "tiny")

    def update(self, other: "BoxShapes") -> None:
        """Add what another one of the same `size` counted."""
        self.widths.update(other.widths)
        self.heights.update(other.heights)
        self.aspects.update(other.aspects)
        self.areas.update(other.areas)
        self.by_size.update(other.by_size)
        for class_id, one in other.by_class.items():
            self.by_class[class_id].add(one.boxes, one.width, one.height, one.tiny)
        self.unseen += other.unseen

    def width_at(self, share: float) -> float:
        """Return the width, as a fraction of the image, of which `share` of the boxes are not
        wider; to half a ten-thousandth."""
        return find_quantile(self.widths, share) / STEPS

    def height_at(self, share: float) -> float:
        """Return the height that `share` of the boxes do not exceed; see `width_at`."""
        return find_quantile(self.heights, share) / STEPS

    def aspect_at(self, share: float) -> float:
        """Return the width over the height at the network's input that `share` of the boxes do
        not exceed; to half a hundredth of it."""
        across, down = self.size
        aspect: float = 2 ** (find_quantile(self.aspects, share) / ASPECT_STEPS)
        return aspect * across / down


def name_size(area_px: float) -> str:
    """Return which of SIZES a box of this area, in square pixels, has."""
    return SIZES[sum(area_px >= edge * edge for edge in EDGES_PX)]


def find_quantile(counts: Mapping[int, int], share: float) -> int:
    """Return the least value that `share` of what was counted does not exceed, 0 for nothing."""
    wanted, seen = share * sum(counts.values()) - 1e-9, 0  # .95 of 20 is 19, also in binary
    for value in sorted(counts):
        seen += counts[value]
        if seen >= wanted:
            return value
    return 0


def _area_step(octaves: float) -> int:
    return max(math.floor(octaves * AREA_STEPS), SMALLEST_STEP)
