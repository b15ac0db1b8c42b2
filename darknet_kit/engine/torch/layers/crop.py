"""`[crop]`."""

from torch import Tensor

from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.site import Site


class Crop(TorchLayer):
    """The middle of the images, from -1 to 1 unless `noadjust=1`.

    In training too: Darknet would then move and mirror them, and their boxes not (AlexeyAB
    `src/crop_layer.c`, `forward_crop_layer`).
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.height = site.layer.output.height
        self.width = site.layer.output.width
        self.noadjust = bool(site.section.integer("noadjust"))
        if self.height > site.layer.input.height or self.width > site.layer.input.width:
            raise site.error(f"cuts more than it gets, {site.layer.input}", "impossible-shape")

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        top = (previous.shape[2] - self.height) // 2
        left = (previous.shape[3] - self.width) // 2
        x = previous[:, :, top : top + self.height, left : left + self.width]
        return x if self.noadjust else x * 2 - 1
