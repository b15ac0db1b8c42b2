"""What takes seconds: reading and decoding images, and a multiplication by PyTorch."""

import os
import time
from collections.abc import Iterator, Sequence

from darknet_kit.core.contents import read_small
from darknet_kit.doctor.check import Check, found
from darknet_kit.engine.modules import decode, has_module, multiply

_ENOUGH_SECONDS = 5.0
# Images a second; a GPU of 2020 takes some hundred of 416 x 416 pixels.
_SLOW_IMAGES = 100.0
_FEW = 64


def check_reading(images: Sequence[str]) -> Iterator[Check]:
    """Read images as a loader does, those in the kernel's memory not from there."""
    total = read = 0
    begun = time.perf_counter()
    for image in images:
        _forget(image)
        try:
            total += len(read_small(image))
        except OSError:
            continue
        read += 1
        if time.perf_counter() - begun > _ENOUGH_SECONDS:
            break
    seconds = time.perf_counter() - begun
    if not read:
        yield found("slow-disk", "no image could be read", "`dkit check DATA` says why.")
        return
    speed = read / seconds
    told = f"{speed:,.0f} images/s, {total / seconds / 1e6:,.0f} MB/s, one after the other"
    yield found("slow-disk" if speed < _SLOW_IMAGES else "read-speed", f"{told} ({read} images)")


def check_decoding(images: Sequence[str]) -> Iterator[Check]:
    """Decode images as the embedded engine does, on one core."""
    if not has_module("cv2"):
        return
    told = decode(images[:_FEW])
    if told.images and told.seconds:
        speed = told.images / told.seconds
        yield found("decode-speed", f"{speed:,.0f} images/s on one core ({told.images} images)")


def check_multiplication() -> Iterator[Check]:
    """Let PyTorch compute something of which the result is known."""
    if not has_module("torch"):
        return
    told = multiply()
    if told.error or not told.right:
        yield found("computes-wrong", told.error or f"a wrong product on {told.device}")
    else:
        yield found("computes", f"on {told.device}, 1024 x 1024 in {told.seconds * 1000:,.0f} ms")


def _forget(path: str) -> None:
    """Ask the kernel to drop what it keeps of a file, so that the disk is measured."""
    try:
        stream = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return
    try:
        os.posix_fadvise(stream, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError:  # a pipe
        return
    finally:
        os.close(stream)
