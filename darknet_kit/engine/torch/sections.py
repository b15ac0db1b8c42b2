"""Which builder makes which section; the names are Darknet's."""

from collections.abc import Callable, Mapping

from darknet_kit.engine.torch.heads.head import Head
from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.site import Site

BUILD: Mapping[str, Callable[[Site], TorchLayer | Head]] = {}
