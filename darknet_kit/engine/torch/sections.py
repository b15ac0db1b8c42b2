"""Which builder makes which section; the names are Darknet's."""

from collections.abc import Callable, Mapping

from darknet_kit.engine.torch.heads.detection import build_detection
from darknet_kit.engine.torch.heads.gaussian_yolo import build_gaussian_yolo
from darknet_kit.engine.torch.heads.head import Head
from darknet_kit.engine.torch.heads.region import build_region
from darknet_kit.engine.torch.heads.yolo import build_yolo
from darknet_kit.engine.torch.layers.activation import ActivationLayer
from darknet_kit.engine.torch.layers.avgpool import Avgpool
from darknet_kit.engine.torch.layers.batchnorm import Batchnorm
from darknet_kit.engine.torch.layers.connected import Connected
from darknet_kit.engine.torch.layers.convolutional import Convolutional
from darknet_kit.engine.torch.layers.crop import Crop
from darknet_kit.engine.torch.layers.dropout import build_dropout
from darknet_kit.engine.torch.layers.empty import Empty
from darknet_kit.engine.torch.layers.implicit import Implicit
from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.layers.local import Local
from darknet_kit.engine.torch.layers.local_avgpool import LocalAvgpool
from darknet_kit.engine.torch.layers.maxpool import build_maxpool
from darknet_kit.engine.torch.layers.normalization import Normalization
from darknet_kit.engine.torch.layers.reorg import Reorg
from darknet_kit.engine.torch.layers.route import Route
from darknet_kit.engine.torch.layers.scale_channels import ScaleChannels
from darknet_kit.engine.torch.layers.shortcut import Shortcut
from darknet_kit.engine.torch.layers.softmax import Softmax
from darknet_kit.engine.torch.layers.upsample import Upsample
from darknet_kit.engine.torch.site import Site

BUILD: Mapping[str, Callable[[Site], TorchLayer | Head]] = {
    "Gaussian_yolo": build_gaussian_yolo,
    "activation": ActivationLayer,
    "avgpool": Avgpool,
    "batchnorm": Batchnorm,
    "connected": Connected,
    "convolutional": Convolutional,
    "cost": Empty,
    "crop": Crop,
    "detection": build_detection,
    "dropout": build_dropout,
    "empty": Empty,
    "implicit": Implicit,
    "local": Local,
    "local_avgpool": LocalAvgpool,
    "maxpool": build_maxpool,
    "normalization": Normalization,
    "region": build_region,
    "reorg": Reorg,
    "reorg3d": Reorg,
    "route": Route,
    "sam": ScaleChannels,
    "scale_channels": ScaleChannels,
    "shortcut": Shortcut,
    "softmax": Softmax,
    "upsample": Upsample,
    "yolo": build_yolo,
}
