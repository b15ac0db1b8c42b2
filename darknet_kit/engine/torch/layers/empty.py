"""`[empty]`, `[silence]`, and `[cost]`, which judges classifiers and changes nothing."""

from torch import Tensor

from darknet_kit.engine.torch.layers.layer import TorchLayer


class Empty(TorchLayer):
    """What came in."""

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        return previous
