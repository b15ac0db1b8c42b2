"""YOLOv1 (Redmon, Divvala, Girshick and Farhadi, 2015), with upstream's batch normalization.

A `[connected]` layer predicts three boxes and one class for each of 7 x 7 cells.
"""

from darknet_kit.network.draft import Draft, alternate, conv, maxpool
from darknet_kit.network.heads import detection_outputs

_SIDE, _BOXES = 7, 3


def build_yolov1(draft: Draft, classes: int) -> None:
    """Add 24 convolutions, a local and a connected layer, and a head."""
    draft.title("backbone")
    conv(draft, 64, 7, stride=2)
    maxpool(draft, 2, 2)
    conv(draft, 192, 3)
    maxpool(draft, 2, 2)
    alternate(draft, 128, 2)
    alternate(draft, 256, 2)
    maxpool(draft, 2, 2)
    alternate(draft, 256, 8)
    alternate(draft, 512, 2)
    maxpool(draft, 2, 2)
    alternate(draft, 512, 4)
    conv(draft, 1024, 3)
    conv(draft, 1024, 3, stride=2)
    conv(draft, 1024, 3)
    conv(draft, 1024, 3)

    draft.title(f"head: {_SIDE} x {_SIDE} cells")
    draft.add("local", size=3, stride=1, pad=1, filters=256, activation="leaky")
    draft.add("dropout", probability=".5")
    outputs = detection_outputs(_SIDE * _SIDE, classes, _BOXES)
    draft.add("connected", output=outputs, activation="linear")
    draft.add(
        "detection",
        classes=classes,
        coords=4,
        rescore=1,
        side=_SIDE,
        num=_BOXES,
        softmax=0,
        sqrt=1,
        jitter=".2",
        object_scale=1,
        noobject_scale=".5",
        class_scale=1,
        coord_scale=5,
    )
