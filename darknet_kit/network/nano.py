"""dkit-nano: a network small enough to train on a CPU in about a minute.

A plain chain of convolutions and poolings with one head, and nothing else: in AlexeyAB's and
hank-ai's forks the CPU code computes wrong gradients where a layer's output is read twice (route,
shortcut), and the 2018 original knows no mish, no CIoU and no mosaic. So every engine trains this
network, and trains it right.
"""

from darknet_kit.network.draft import Draft, conv, format_anchors, maxpool, predict
from darknet_kit.network.heads import head_filters

_ANCHORS = ((20, 20), (32, 32), (48, 48))


def build_nano(draft: Draft, classes: int) -> None:
    """Add five convolutions, three poolings and one head. Anchors suit an input of 96 x 96."""
    draft.title("backbone: convolutions and poolings")
    # The first layer sees the largest image: a stride of 2 halves the cost of the whole network.
    conv(draft, 8, 3, stride=2)
    for filters in (16, 32, 64):
        conv(draft, filters, 3)
        maxpool(draft, 2, 2)
    conv(draft, 128, 3)

    draft.title("head: one cell is 16 pixels")
    predict(draft, head_filters("yolo", classes, len(_ANCHORS)))
    draft.add(
        "yolo",
        mask=",".join(str(number) for number in range(len(_ANCHORS))),
        anchors=format_anchors(_ANCHORS),
        classes=classes,
        num=len(_ANCHORS),
        jitter=".1",
        ignore_thresh=".5",
        truth_thresh=1,
        random=0,
    )
