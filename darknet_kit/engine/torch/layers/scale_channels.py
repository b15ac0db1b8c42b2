"""`[scale_channels]` and `[sam]`: one layer times another."""

from torch import Tensor

from darknet_kit.engine.torch.activations import find_activation
from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.site import Site


class ScaleChannels(TorchLayer):
    """The layer in `from` times the one before, then an activation.

    `[sam]` multiplies value by value. `[scale_channels]` has one factor for a channel, or with
    `scale_wh=1` one for a pixel (AlexeyAB `src/scale_channels_layer.c`, `src/sam_layer.c`). The
    gradient of a factor for a pixel is divided by the number of pixels, as on Darknet's GPU
    (`src/blas_kernels.cu`, `backward_scale_channels_kernel`).
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.activate = find_activation(site, "linear", fresh=True)
        factor, output = site.layer.input, site.layer.output
        size = (output.width, output.height)
        wanted = {
            "sam": (*size, output.channels),
            "scale_channels": (1, 1, output.channels),
        }[self.kind]
        self.by_pixel = False
        if self.kind == "scale_channels" and site.section.integer("scale_wh"):
            wanted = (*size, 1)
            self.by_pixel = True
        if (factor.width, factor.height, factor.channels) != wanted:
            raise site.error(
                f"needs {' x '.join(map(str, wanted))} before it, and gets {factor}",
                "impossible-shape",
            )

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        factor = previous
        if self.by_pixel:
            fixed = previous.detach()
            factor = fixed + (previous - fixed) / previous[0].numel()
        return self.activate(others[0] * factor)
