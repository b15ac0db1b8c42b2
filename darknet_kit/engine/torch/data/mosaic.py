"""Several images in one: mosaic of four, mixup of two.

AlexeyAB `src/data.c`, `load_data_detection`, `blend_truth_mosaic` and `blend_truth`.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from darknet_kit.engine.torch.data.geometry import Crop
from darknet_kit.engine.torch.data.picture import Pixels, with_channels
from darknet_kit.engine.torch.data.truth import Edges

_LEAST_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Tile:
    """One of four images in a mosaic, in pixels of the network's input.

    It fills `left` to `right` and `top` to `bottom`; there it shows what lies in its own image,
    brought to the input's size, from `source_left` and `source_top` on.
    """

    left: int
    top: int
    right: int
    bottom: int
    source_left: int
    source_top: int

    def window(self, image: Pixels) -> Pixels:
        """Return the part of an image of the input's size that the tile shows."""
        height, width = self.bottom - self.top, self.right - self.left
        rows = image[self.source_top : self.source_top + height]
        return rows[:, self.source_left : self.source_left + width]


def draw_cut(size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """Draw where the four images meet: between 20 and 80 % of width and height."""
    across, down = (
        int(rng.integers(int(side * _LEAST_SHARE), int(side * (1 - _LEAST_SHARE)) + 1))
        for side in size
    )
    return across, down


def push_to_corner(crop: Crop, tile: int) -> Crop:
    """Move what is cut off or added away from the corner at which a tile shows its image.

    So most of the image is seen. Tiles are counted from the top left, by rows.
    """
    if (tile % 2 == 0) != crop.flip:
        crop = replace(crop, left=0, right=crop.left + crop.right)
    else:
        crop = replace(crop, left=crop.left + crop.right, right=0)
    if (tile < 2) != crop.vertical_flip:
        return replace(crop, top=0, bottom=crop.top + crop.bottom)
    return replace(crop, top=crop.top + crop.bottom, bottom=0)


def place_tile(
    tile: int, crop: Crop, shape: tuple[int, ...], cut: tuple[int, int], size: tuple[int, int]
) -> Tile:
    """Return where a tile lies and what it shows: not the border that the crop added.

    `shape` (height, width, ...) is that of the image before the crop.
    """
    (width, height), (cut_x, cut_y) = size, cut
    before_x, after_x = (crop.right, crop.left) if crop.flip else (crop.left, crop.right)
    before_y, after_y = (crop.bottom, crop.top) if crop.vertical_flip else (crop.top, crop.bottom)
    left, right, source_left = _place_side(
        tile % 2 == 1, cut_x, width, -before_x * width // shape[1], -after_x * width // shape[1]
    )
    top, bottom, source_top = _place_side(
        tile >= 2, cut_y, height, -before_y * height // shape[0], -after_y * height // shape[0]
    )
    return Tile(left, top, right, bottom, source_left, source_top)


def move_to_tile(edges: Edges, tile: Tile, size: tuple[int, int], *, bound: bool) -> Edges:
    """Move boxes with their tile and clip them to it (`bound`), else to the whole image.

    Not bound, an object that its tile does not show keeps its box: upstream's default.
    """
    width, height = size
    moved = edges.copy()
    moved[:, [0, 2]] += (tile.left - tile.source_left) / width
    moved[:, [1, 3]] += (tile.top - tile.source_top) / height
    corners = (tile.left, tile.top, tile.right, tile.bottom) if bound else (0, 0, width, height)
    left, top, right, bottom = np.array(corners) / (width, height, width, height)
    moved[:, [0, 2]] = moved[:, [0, 2]].clip(left, right)
    moved[:, [1, 3]] = moved[:, [1, 3]].clip(top, bottom)
    return moved


def mix(images: list[Pixels]) -> Pixels:
    """Blend two images half and half."""
    first, second = images
    return with_channels(cv2.addWeighted(first, 0.5, second, 0.5, 0.0), first.shape[2])


def _place_side(
    far: bool, cut: int, length: int, added_before: int, added_after: int
) -> tuple[int, int, int]:
    """Return start and end of a tile on one axis, and where it starts in its own image."""
    if far:
        return cut, length, min(cut, max(0, added_before))
    shown_from = length - cut - min(length - cut, max(0, added_after))
    return 0, cut, shown_from
