"""The records that pass between the floors of a conversion.

Structs rather than dataclasses: made, pickled and unpickled a million times, they take a tenth of
the time. They hold no cycles, so the garbage collector need not look at them.
"""

from typing import Literal

import msgspec

from darknet_kit.core.boxes import Box
from darknet_kit.core.problems import Problem

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


class LabelledObject(msgspec.Struct, frozen=True, gc=False):
    """One object of an annotation. `box` is in pixels, as yet unchecked; `line` is 1-based."""

    name: str
    box: Box
    line: int = 0
    difficult: bool = False
    truncated: bool = False
    iscrowd: bool = False


class Annotation(msgspec.Struct, frozen=True, gc=False):
    """What an annotation says of one image. Width and height are 0 where they are not usable.

    `filename` is what the annotation calls its image; real sets often name another one. A format
    that has no place for the size does not state it.
    """

    objects: tuple[LabelledObject, ...]
    width: int = 0
    height: int = 0
    filename: str = ""
    problems: tuple[Problem, ...] = ()
    states_size: bool = True


class Item(msgspec.Struct, frozen=True, gc=False):
    """One image to convert and the file that annotates it, both absolute paths.

    `name` is the image's path below the data set's images, with `/` and without its suffix.
    `split` is empty where the data set does not say; `annotation` where there is none.
    """

    image: str
    annotation: str
    name: str
    split: Split | Literal[""] = ""
