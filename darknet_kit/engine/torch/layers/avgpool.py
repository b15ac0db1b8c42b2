"""`[avgpool]`."""

from torch import Tensor

from darknet_kit.engine.torch.layers.layer import TorchLayer


class Avgpool(TorchLayer):
    """The mean of each channel, [B, C, 1, 1]."""

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        return previous.mean((2, 3), keepdim=True)
