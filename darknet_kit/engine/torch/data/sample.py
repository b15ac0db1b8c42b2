"""One training image, a pure function of the seed and its number.

So a training can be repeated and resumed, with any number of worker processes and ranks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from darknet_kit.core.problems import Problem
from darknet_kit.engine.torch.data.cache import PictureCache
from darknet_kit.engine.torch.data.colour import Tint, draw_tint, paint
from darknet_kit.engine.torch.data.geometry import Crop, cut, draw_crop, settle_crop
from darknet_kit.engine.torch.data.mosaic import (
    draw_cut,
    mix,
    move_to_tile,
    place_tile,
    push_to_corner,
)
from darknet_kit.engine.torch.data.options import LoaderOptions
from darknet_kit.engine.torch.data.picture import Pixels, UnreadableImageError, decode
from darknet_kit.engine.torch.data.truth import (
    Edges,
    LabelFiles,
    drop_tiny,
    pick_objects,
)
from darknet_kit.errors import DatasetError

Size = tuple[int, int]
Patch = tuple[float, ...]
"""Left, top, right, bottom in pixels; hue, saturation, exposure: colour still to be shifted."""


@dataclass(slots=True)
class Sample:
    """An image [height, width, channels] of the asked size, its objects, what was wrong."""

    image: Pixels
    edges: Edges
    problems: list[Problem] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Source:
    """An image as it lies on disk, and its objects."""

    image: Pixels
    edges: Edges


class SampleMaker:
    """Makes training images; what it keeps between calls changes no result."""

    def __init__(
        self,
        paths: Sequence[str],
        options: LoaderOptions,
        seed: int,
        cache: PictureCache | None = None,
        *,
        leave_colour: bool = False,
    ) -> None:
        self._paths = paths
        self._options = options
        self._seed = seed % (1 << 64)  # NumPy takes no negative one
        self._cache = cache
        # What comes after colour cannot be done before it.
        later = options.blur or options.gaussian_noise or options.mixup
        self._leaves_colour = leave_colour and not later
        self._labels = LabelFiles(options.classes)
        self._unreadable: dict[int, Problem] = {}

    def make(self, number: int, size: Size) -> Sample:
        """Make the training's image of this number, counted from 0, as (width, height) pixels.

        Images are drawn with replacement, as upstream. Raises DatasetError (`no-image`) where no
        image of the list can be read.
        """
        options = self._options
        rng = np.random.default_rng((self._seed, number))
        problems: list[Problem] = []
        joined = (options.mosaic or options.mixup) and rng.integers(2)
        if joined and options.mosaic:
            sample = self._make_mosaic(size, rng, problems)
        elif joined:
            parts = [self._make_single(size, rng, problems) for _ in range(2)]
            edges = np.concatenate([part.edges for part in parts])
            sample = Sample(mix([part.image for part in parts]), edges, problems)
        else:
            sample = self._make_single(size, rng, problems)
        sample.edges = sample.edges[: options.max]
        return sample

    def _make_single(self, size: Size, rng: np.random.Generator, problems: list[Problem]) -> Sample:
        source, crop, tint = self._draw(size, rng, problems)
        image, edges = cut(source.image, source.edges, crop, size)
        edges = drop_tiny(edges, *size)
        if self._leaves_colour:
            return Sample(image, edges, problems, _list_patches(tint, (0, 0, *size)))
        return Sample(paint(image, edges, tint, rng), edges, problems)

    def _make_mosaic(self, size: Size, rng: np.random.Generator, problems: list[Problem]) -> Sample:
        meeting = draw_cut(size, rng)
        canvas = np.empty((size[1], size[0], self._options.channels), np.uint8)
        found, patches = [], []
        for number in range(4):
            source, crop, tint = self._draw(size, rng, problems)
            if rng.integers(2):
                crop = push_to_corner(crop, number)
            height, width = source.image.shape[:2]
            crop = settle_crop(crop, width, height)
            image, edges = cut(source.image, source.edges, crop, size)
            edges = drop_tiny(edges, *size)
            tile = place_tile(number, crop, source.image.shape, meeting, size)
            shown = canvas[tile.top : tile.bottom, tile.left : tile.right]
            if self._leaves_colour:
                shown[:] = tile.window(image)
                place = (tile.left, tile.top, tile.right, tile.bottom)
                patches += _list_patches(tint, place)
            elif tint.blur:  # looks beyond the tile's edge; all else is pixel by pixel
                shown[:] = tile.window(paint(image, edges, tint, rng))
            else:
                shown[:] = paint(tile.window(image), edges, tint, rng)
            moved = move_to_tile(edges, tile, size, bound=self._options.mosaic_bound)
            found.append(drop_tiny(moved, *size))
        return Sample(canvas, np.concatenate(found), problems, patches)

    def _draw(
        self, size: Size, rng: np.random.Generator, problems: list[Problem]
    ) -> tuple[_Source, Crop, Tint]:
        options = self._options
        source = self._draw_source(rng, problems)
        height, width = source.image.shape[:2]
        crop = settle_crop(draw_crop((height, width), size, options, rng), width, height)
        return source, crop, draw_tint(options, rng)

    def _draw_source(self, rng: np.random.Generator, problems: list[Problem]) -> _Source:
        start = int(rng.integers(len(self._paths)))
        for step in range(len(self._paths)):
            index = (start + step) % len(self._paths)
            image = self._read(index, problems)
            if image is not None:
                label = self._labels.read(self._paths[index])
                problems.extend(label.problems)
                return _Source(image, pick_objects(label.edges, self._options.max, rng))
        raise DatasetError(
            f"none of the {len(self._paths)} images can be read",
            code="no-image",
            hint="`dkit check` says of each image what is wrong with it.",
            path=self._paths[0],
        )

    def _read(self, index: int, problems: list[Problem]) -> Pixels | None:
        known = self._cache.find(index) if self._cache else None
        if known is not None:
            return known
        if index not in self._unreadable:
            path = self._paths[index]
            try:
                image = decode(path, self._options.channels)
            except UnreadableImageError as error:
                self._unreadable[index] = Problem("unreadable-image", path, str(error))
            else:
                if self._cache:
                    self._cache.keep(index, image)
                return image
        problems.append(self._unreadable[index])
        return None


def _list_patches(tint: Tint, place: tuple[int, int, int, int]) -> list[Patch]:
    """Return what is to be done to a rectangle; nothing where that would change nothing."""
    shift = (tint.hue, tint.saturation, tint.exposure)
    return [] if shift == (0.0, 1.0, 1.0) else [(*place, *shift)]
