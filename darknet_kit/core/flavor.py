"""The kinds of Darknet that exist. They share a name and little else that a caller can rely on."""

from enum import Enum


class Flavor(Enum):
    """A line of Darknet; the value is what `--flavor` takes.

    They differ in options, log, label paths, exit codes and the names of their checkpoints.
    """

    ALEXEYAB = "alexeyab"  # AlexeyAB/darknet: YOLOv4, mAP while training, the widest use
    ORIGINAL = "original"  # pjreddie/darknet of 2018, which Debian packages as `darknet`
    HANK_AI = "hank-ai"  # hank-ai/darknet V3 to V5: C++, CMake, strict about its files

    def __str__(self) -> str:
        return self.value
