"""`[reorg]` and `[reorg3d]`: space to channels, the odd way and the plain way."""

from torch import Tensor

from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.site import Site


def fold_space(x: Tensor, stride: int) -> Tensor:
    """Turn squares of `stride` x `stride` pixels into channels: [B, C s s, H / s, W / s].

    Channel (dy s + dx) C + c holds the pixels dy, dx of channel c (AlexeyAB `src/blas.c`,
    `reorg_cpu`).
    """
    batch, channels, height, width = x.shape
    split = x.reshape(batch, channels, height // stride, stride, width // stride, stride)
    order = split.permute(0, 3, 5, 1, 2, 4)
    return order.reshape(batch, -1, height // stride, width // stride)


def unfold_space(x: Tensor, stride: int) -> Tensor:
    """Undo `fold_space`."""
    batch, channels, height, width = x.shape
    split = x.reshape(batch, stride, stride, channels // stride**2, height, width)
    return split.permute(0, 3, 4, 1, 5, 2).reshape(batch, -1, height * stride, width * stride)


class Reorg(TorchLayer):
    """`[reorg3d]` is `fold_space`. `[reorg]` reads its input as [C / s / s, H s, W s] before that.

    So the bytes lie, whatever it means: the networks of YOLOv2 have learnt to live with it
    (AlexeyAB `src/reorg_old_layer.c`). With `reverse=1` each undoes what the plain one does to a
    layer of the output's shape.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        section, shape = site.section, site.layer.input
        self.stride = section.integer("stride", 1)
        self.reverse = bool(section.integer("reverse"))
        square = self.stride**2
        divides_space = not (shape.width % self.stride or shape.height % self.stride)
        if shape.channels % square and (self.reverse or self.kind == "reorg"):
            raise site.error(
                f"needs channels that {square} divides, and gets {shape}", "impossible-shape"
            )
        if not self.reverse and not divides_space:
            raise site.error(
                f"needs a width and height that {self.stride} divides, and gets {shape}",
                "impossible-shape",
            )
        if self.reverse and self.kind == "reorg3d" and shape.channels % square**2:
            raise site.error(f"with reverse=1 needs channels / {square**2}", "impossible-shape")

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        s, (batch, channels, height, width) = self.stride, previous.shape
        if self.reverse:
            if self.kind == "reorg":
                return unfold_space(previous, s)
            spread = previous.reshape(batch, channels // s**2, height * s, width * s)
            return unfold_space(spread, s).reshape(spread.shape)
        if self.kind == "reorg3d":
            return fold_space(previous, s)
        spread = previous.reshape(batch, channels // s**2, height * s, width * s)
        return fold_space(spread, s).reshape(batch, channels * s**2, height // s, width // s)
