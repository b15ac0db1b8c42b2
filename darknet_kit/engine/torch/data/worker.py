"""What a worker process of the loader does; it never imports PyTorch, which would cost seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darknet_kit.core.problems import Problem
from darknet_kit.engine.torch.data.picture import Pixels, prepare_opencv
from darknet_kit.engine.torch.data.sample import SampleMaker, Size
from darknet_kit.engine.torch.data.shared import SharedBytes
from darknet_kit.engine.torch.data.truth import to_truths

Told = tuple[NDArray[np.float32], NDArray[np.float32], list[Problem]]
"""The truths [n, 5] of an image, its patches [n, 7], and the problems met on the way."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a mini-batch: images of these `numbers`, to be written at `offset` bytes."""

    numbers: Sequence[int]
    size: Size
    channels: int
    offset: int

    def view(self, memory: SharedBytes) -> Pixels:
        """Return the piece's pixels [images, height, width, channels] in the shared memory."""
        shape = (len(self.numbers), self.size[1], self.size[0], self.channels)
        length = int(np.prod(shape))
        return memory.array[self.offset : self.offset + length].reshape(shape)


class _Worker:
    """What a process is given when it starts."""

    maker: SampleMaker
    memory: SharedBytes


def start_worker(maker: SampleMaker, memory: SharedBytes) -> None:
    """Keep what all chunks have in common. Runs once in each process."""
    prepare_opencv()
    _Worker.maker, _Worker.memory = maker, memory


def fill_chunk(chunk: Chunk) -> list[Told]:
    """Make the images of a chunk in the shared memory; return the rest image by image."""
    return fill(_Worker.maker, chunk.numbers, chunk.view(_Worker.memory))


def fill(maker: SampleMaker, numbers: Sequence[int], pixels: Pixels) -> list[Told]:
    """Make images [images, height, width, channels] in place; return the rest image by image."""
    told = []
    size = (pixels.shape[2], pixels.shape[1])
    for place, number in zip(pixels, numbers, strict=True):
        sample = maker.make(number, size)
        place[:] = sample.image
        patches = np.array(sample.patches, np.float32).reshape(-1, 7)
        told.append((to_truths(sample.edges), patches, sample.problems))
    return told
