"""The networks that dkit can write, and how each is usually trained."""

from collections.abc import Callable
from dataclasses import dataclass

from darknet_kit.core.spelling import find_near
from darknet_kit.errors import UsageError
from darknet_kit.network.draft import Draft
from darknet_kit.network.nano import build_nano
from darknet_kit.network.yolov1 import build_yolov1
from darknet_kit.network.yolov2 import build_yolov2, build_yolov2_tiny
from darknet_kit.network.yolov3 import build_yolov3, build_yolov3_spp, build_yolov3_tiny
from darknet_kit.network.yolov4 import build_yolov4
from darknet_kit.network.yolov4csp import build_yolov4_csp, build_yolov4x_mish
from darknet_kit.network.yolov4tiny import build_yolov4_tiny, build_yolov4_tiny_3l
from darknet_kit.network.yolov7 import build_yolov7, build_yolov7_tiny

DEFAULT_MODEL = "yolov4"


@dataclass(frozen=True, slots=True)
class Model:
    """A network and the settings it is usually trained with.

    `size` is the default width and height in pixels. `pretrained` names the published weights of
    its first `pretrained_layers` layers, from which training starts; empty where there are none.
    """

    name: str
    build: Callable[[Draft, int], None]
    about: str
    good_for: str
    size: int
    batch: int
    subdivisions: int
    learning_rate: float
    momentum: float = 0.9
    mosaic: bool = False
    pretrained: str = ""
    pretrained_layers: int = 0


_MODELS = (
    Model(
        name="yolov4",
        build=build_yolov4,
        about="CSPDarknet-53, spatial pyramid pooling, path aggregation, three heads",
        good_for="good detections, well understood; the usual choice",
        size=416,
        batch=64,
        subdivisions=16,
        learning_rate=0.001,
        momentum=0.949,
        mosaic=True,
        pretrained="yolov4.conv.137",
        pretrained_layers=137,
    ),
    Model(
        name="yolov4-tiny",
        build=build_yolov4_tiny,
        about="a small CSP backbone and two heads",
        good_for="fast detection on small machines; trains in hours",
        size=416,
        batch=64,
        subdivisions=1,
        learning_rate=0.00261,
        pretrained="yolov4-tiny.conv.29",
        pretrained_layers=29,
    ),
    Model(
        name="yolov4-tiny-3l",
        build=build_yolov4_tiny_3l,
        about="yolov4-tiny with a third head",
        good_for="small objects on small machines",
        size=608,
        batch=64,
        subdivisions=4,
        learning_rate=0.00261,
        pretrained="yolov4-tiny.conv.29",
        pretrained_layers=29,
    ),
    Model(
        name="yolov4-csp",
        build=build_yolov4_csp,
        about="Scaled-YOLOv4: CSP blocks in the neck too, three heads",
        good_for="better detections than yolov4 in the same time",
        size=512,
        batch=64,
        subdivisions=16,
        learning_rate=0.001,
        momentum=0.949,
        mosaic=True,
        pretrained="yolov4-csp.conv.142",
        pretrained_layers=142,
    ),
    Model(
        name="yolov4x-mish",
        build=build_yolov4x_mish,
        about="yolov4-csp, a quarter wider and deeper",
        good_for="the best detections of these, and the slowest",
        size=640,
        batch=64,
        subdivisions=32,
        learning_rate=0.001,
        momentum=0.949,
        mosaic=True,
        pretrained="yolov4x-mish.conv.166",
        pretrained_layers=166,
    ),
    Model(
        name="yolov7",
        build=build_yolov7,
        about="E-ELAN backbone, path aggregation, three heads",
        good_for="newer than yolov4-csp, as large; no published backbone",
        size=640,
        batch=64,
        subdivisions=16,
        learning_rate=0.00261,
    ),
    Model(
        name="yolov7-tiny",
        build=build_yolov7_tiny,
        about="a small ELAN backbone, path aggregation, three heads",
        good_for="fast detection with three heads; no published backbone",
        size=416,
        batch=64,
        subdivisions=2,
        learning_rate=0.00261,
    ),
    Model(
        name="yolov3",
        build=build_yolov3,
        about="Darknet-53 and three heads",
        good_for="comparison with older work; any Darknet runs it",
        size=416,
        batch=64,
        subdivisions=16,
        learning_rate=0.001,
        pretrained="darknet53.conv.74",
        pretrained_layers=74,
    ),
    Model(
        name="yolov3-spp",
        build=build_yolov3_spp,
        about="Darknet-53, spatial pyramid pooling and three heads",
        good_for="comparison with older work; any Darknet runs it",
        size=608,
        batch=64,
        subdivisions=16,
        learning_rate=0.001,
        pretrained="darknet53.conv.74",
        pretrained_layers=74,
    ),
    Model(
        name="yolov3-tiny",
        build=build_yolov3_tiny,
        about="seven convolutions between poolings and two heads",
        good_for="comparison with older work on small machines",
        size=416,
        batch=64,
        subdivisions=2,
        learning_rate=0.001,
        pretrained="yolov3-tiny.conv.11",
        pretrained_layers=11,
    ),
    Model(
        name="yolov2",
        build=build_yolov2,
        about="Darknet-19 and one head of the older kind",
        good_for="comparison with older work; any Darknet but hank-ai's runs it",
        size=416,
        batch=64,
        subdivisions=8,
        learning_rate=0.001,
        pretrained="darknet19_448.conv.23",
        pretrained_layers=23,
    ),
    Model(
        name="yolov2-tiny",
        build=build_yolov2_tiny,
        about="seven convolutions between poolings and one head of the older kind",
        good_for="comparison with older work on small machines",
        size=416,
        batch=64,
        subdivisions=2,
        learning_rate=0.001,
    ),
    Model(
        name="yolov1",
        build=build_yolov1,
        about="24 convolutions, a local and a connected layer, one head of the oldest kind",
        good_for="history; the embedded engine trains it",
        size=448,
        batch=64,
        subdivisions=8,
        learning_rate=0.0005,
    ),
    Model(
        name="dkit-nano",
        build=build_nano,
        about="five convolutions, three poolings and one head",
        good_for="trying things out: trains on a CPU in a minute (--max-batches 800)",
        size=96,
        batch=8,
        subdivisions=1,
        # 0.003 learns faster in the original; from 0.002 on AlexeyAB's CPU code diverges.
        learning_rate=0.0015,
    ),
)
MODELS: dict[str, Model] = {model.name: model for model in _MODELS}


def find_model(name: str) -> Model:
    """Return the model of this name. Raises UsageError with the nearest names."""
    model = MODELS.get(name)
    if model is not None:
        return model
    near = find_near(name, MODELS, most=2, likeness=0.5)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(
        f"there is no model {name!r}",
        code="unknown-model",
        hint=f"{meant}`dkit make-cfg --list` shows them all.",
    )
