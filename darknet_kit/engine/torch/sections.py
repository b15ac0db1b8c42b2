"""Which builder makes which section; the names are Darknet's."""

from collections.abc import Callable, Mapping

from darknet_kit.engine.torch.heads.detection import build_detection
from darknet_kit.engine.torch.heads.head import Head
from darknet_kit.engine.torch.heads.region import build_region
from darknet_kit.engine.torch.heads.yolo import build_yolo
from darknet_kit.engine.torch.layers.convolutional import Convolutional
from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.layers.maxpool import build_maxpool
from darknet_kit.engine.torch.layers.route import Route
from darknet_kit.engine.torch.layers.shortcut import Shortcut
from darknet_kit.engine.torch.layers.upsample import Upsample
from darknet_kit.engine.torch.site import Site

BUILD: Mapping[str, Callable[[Site], TorchLayer | Head]] = {
    "convolutional": Convolutional,
    "maxpool": build_maxpool,
    "route": Route,
    "shortcut": Shortcut,
    "upsample": Upsample,
    "detection": build_detection,
    "region": build_region,
    "yolo": build_yolo,
}
