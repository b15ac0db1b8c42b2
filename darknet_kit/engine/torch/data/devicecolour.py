"""Hue, saturation and exposure of a whole mini-batch, where the network computes.

The same arithmetic as `colour.shift_colour`, that is OpenCV's on uint8 (`modules/imgproc`,
`color_hsv`): hues of 0 to 179, each step rounded and saturated. Here no step waits for the device,
and what is not needed any more is written over: a mini-batch as float32 is four times the images.
"""

from typing import NamedTuple

import torch
from torch import Tensor

_HUES = 180
_LARGEST_HUE = _HUES - 1
_FIXED = 1 << 12  # OpenCV divides by multiplying with rounded numbers of 12 binary places
# Where red, green and blue begin on the circle of six sectors.
_SECTORS = (5, 3, 1)


class _Tints(NamedTuple):
    """What is done to each pixel [B, H, W]; `covered` is false where nothing is."""

    covered: Tensor
    hue: Tensor
    saturation: Tensor
    exposure: Tensor


def tint(images: Tensor, patches: Tensor) -> Tensor:
    """Return uint8 images [B, 1 or 3, H, W] with the colours of rectangles shifted.

    `patches` [B, P, 7] holds left, top, right, bottom in pixels, then hue, saturation and exposure
    as in `colour.Tint`; those of an image do not overlap, and one without area does nothing. All
    is computed in float32. The result equals `colour.shift_colour` within one level of 255.
    """
    height, width = images.shape[2:]
    tints = _spread(patches, height, width)
    shift = _shift_gray if images.shape[1] == 1 else _shift_colour
    shifted = torch.stack(shift(images, tints), dim=1)
    return torch.where(tints.covered[:, None], shifted, images)


def _spread(patches: Tensor, height: int, width: int) -> _Tints:
    """Give each pixel what the patch says in which it lies."""
    across = torch.arange(width, device=patches.device)
    down = torch.arange(height, device=patches.device)[:, None]
    left, top, right, bottom = patches[..., :4, None, None].unbind(2)
    inside = (across >= left) & (across < right) & (down >= top) & (down < bottom)
    owner = inside.to(torch.uint8).argmax(1).flatten(1)
    columns = patches[..., 4:].float().unbind(2)
    hue, saturation, exposure = (
        column.gather(1, owner).reshape(-1, height, width) for column in columns
    )
    return _Tints(inside.any(1), hue, saturation, exposure)


def _shift_gray(images: Tensor, tints: _Tints) -> list[Tensor]:
    return [_saturate(images[:, 0] * tints.exposure).to(torch.uint8)]


def _shift_colour(images: Tensor, tints: _Tints) -> list[Tensor]:
    hue, saturation, value = _to_hsv(*(plane.float() for plane in images.unbind(1)))
    # OpenCV rounds what it adds; a hue below 0 becomes 0 and does not come round.
    hue = _saturate(hue.add_((tints.hue * _LARGEST_HUE).round_()))
    saturation = _saturate(saturation.mul_(tints.saturation))
    value = _saturate(value.mul_(tints.exposure))
    sector, lost = hue.div_(_HUES // 6), saturation.mul_(value).div_(255)
    return [
        (value - _ramp((sector + start).remainder_(6)).mul_(lost)).to(torch.uint8)
        for start in _SECTORS
    ]


def _to_hsv(red: Tensor, green: Tensor, blue: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return hue 0 to 179, saturation and value 0 to 255, all whole numbers; exactly OpenCV's."""
    value = torch.maximum(torch.maximum(red, green), blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    from_blue = (red - green).add_(spread, alpha=4)
    turn = torch.where(value == green, (blue - red).add_(spread, alpha=2), from_blue)
    turn = torch.where(value == red, green - blue, turn)
    hue = _divide(turn, spread, _HUES // 6)
    return torch.where(hue < 0, hue + _HUES, hue), _divide(spread, value, 255), value


def _divide(part: Tensor, whole: Tensor, scale: int) -> Tensor:
    """Return `part` * `scale` / `whole` as OpenCV rounds it; 0 by 0 is 0."""
    inverse = (scale * _FIXED / whole.clamp(min=1)).round_()
    return inverse.mul_(part).div_(_FIXED).add_(0.5).floor_()


def _ramp(sector: Tensor) -> Tensor:
    """Return how much of the saturation a channel loses at a place on the circle of six sectors."""
    return torch.minimum(sector, 4 - sector).clamp_(0, 1)


def _saturate(levels: Tensor) -> Tensor:
    """Bring levels to whole numbers of 0 to 255, in place."""
    return levels.round_().clamp_(0, 255)
