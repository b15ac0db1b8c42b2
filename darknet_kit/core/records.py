"""The records that pass between the floors of a conversion.

Structs rather than dataclasses: made, pickled and unpickled a million times, they take a tenth of
the time. They hold no cycles, so the garbage collector need not look at them.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from darknet_kit.core.boxes import Box
from darknet_kit.core.problems import Problem

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


def stem_of(name: str) -> str:
    """Return a file name without its last suffix; faster than os.path.splitext."""
    return name.rpartition(".")[0] or name


def stems_of(names: Iterable[str]) -> list[str]:
    """Return `stem_of` each name; a call for each would take longer than the work."""
    return [name.rpartition(".")[0] or name for name in names]


class LabelledObject(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One object of an annotation. `box` is in pixels, as yet unchecked; `line` is 1-based."""

    name: str
    box: Box
    line: int = 0
    difficult: bool = False
    truncated: bool = False
    iscrowd: bool = False


class Annotation(msgspec.Struct, frozen=True, gc=False, array_like=True):
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

    def pack(self) -> bytes:
        """Return about 60 bytes an object, for `unpack`."""
        return _ENCODER.encode(self)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Annotation)


def unpack(packed: bytes) -> Annotation:
    """Return the annotation that was packed."""
    return _DECODER.decode(packed)


class Item(msgspec.Struct, frozen=True, gc=False):
    """One image to convert, called `file` in the absolute `folder`, and what annotates it.

    `place` are the folders of its name in the data set, with `/`. `notes` is a file that
    annotates many images or, where there is a `suffix`, a folder with a file for each, under the
    image's stem; it is empty where there is no annotation. `split` is empty where the data set
    does not say. Images of a folder share all texts but `file`. `packed` is its annotation where
    that was read already.
    """

    folder: str
    file: str
    place: str = ""
    notes: str = ""
    suffix: str = ""
    split: Split | Literal[""] = ""
    packed: bytes = b""

    @property
    def stem(self) -> str:
        return stem_of(self.file)

    @property
    def image(self) -> str:
        """Its absolute path."""
        return f"{self.folder}/{self.file}"

    @property
    def annotation(self) -> str:
        """The absolute path of what annotates it, or nothing."""
        return f"{self.notes}/{self.stem}{self.suffix}" if self.suffix else self.notes

    @property
    def name(self) -> str:
        """Its path below the data set's images, without its suffix."""
        return f"{self.place}/{self.stem}" if self.place else self.stem
