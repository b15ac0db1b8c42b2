"""Where the windows of a pooling layer lie."""

from darknet_kit.engine.torch.site import Site


class Windows:
    """Windows of `size` whose padding (both sides together, `padding`) may be odd.

    The first window begins at -(padding / 2), rounded towards 0, so that an odd padding has its
    extra pixel at the right and the bottom; `strides` are (y, x). There are
    (length + padding - size) / stride + 1 windows a side (AlexeyAB `src/maxpool_layer.c`,
    `make_maxpool_layer`).
    """

    def __init__(self, site: Site, strides: tuple[int, int]) -> None:
        section = site.section
        self.size = section.integer("size", section.integer("stride", 1))
        self.padding = section.integer("padding", self.size - 1)
        self.strides = strides
        if not 0 <= self.padding <= 2 * (self.size - 1):
            raise site.error(
                f"has padding={self.padding}: a window of {self.size} would lie outside",
                "impossible-shape",
                key="padding",
            )

    def pads(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Return left, right, top and bottom padding in pixels; negative where some are cut."""
        left, right = self._pad(width, self.strides[1])
        top, bottom = self._pad(height, self.strides[0])
        return left, right, top, bottom

    def _pad(self, length: int, stride: int) -> tuple[int, int]:
        count = (length + self.padding - self.size) // stride + 1
        before = self.padding // 2
        return before, (count - 1) * stride + self.size - before - length


def read_strides(site: Site) -> tuple[int, int]:
    """Return the strides (y, x)."""
    both = site.section.integer("stride", 1)
    across, down = (site.section.integer(f"stride_{axis}", both) for axis in "xy")
    return (down if down > 0 else both, across if across > 0 else both)
