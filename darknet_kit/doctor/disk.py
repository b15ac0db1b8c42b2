"""Disk: is there room for what a training writes, and how far away are the images."""

import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from darknet_kit.doctor.check import Check, found
from darknet_kit.doctor.machine import Machine
from darknet_kit.doctor.mounts import find_mount, read_mounts
from darknet_kit.doctor.surroundings import find_surroundings
from darknet_kit.doctor.system import GIB
from darknet_kit.formats.datafile import iter_image_list, read_data

_LITTLE = 5 * GIB
_SAMPLE = 512
# Each opening of a file is a question to another machine, or to the hypervisor's.
_FAR = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "virtiofs", "vboxsf", "vmhgfs"),
        *("ceph", "lustre", "glusterfs", "beegfs", "gpfs", "davfs", "ncpfs"),
    }
)
_NEAR_FUSE = frozenset({"fuse.ntfs-3g", "fuse.overlayfs", "fuse.fuse-overlayfs"})
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def check_runs(machine: Machine, runs: Path, wanted: int = 0) -> Iterator[Check]:
    """Look at where runs are kept: room, kind, whether it may be written, whether it lasts.

    `wanted` are the bytes that a run will take.
    """
    folder = _find_existing(machine, runs)
    kind = _find_kind(machine, folder)
    if machine.is_here:
        yield from _check_room(folder, kind, wanted)
    else:
        yield found("disk", f"runs: {folder}, {kind or 'unknown'}")
    if kind in _IN_MEMORY:
        yield found("lost-at-restart", f"{folder} is {kind}")
    container = find_surroundings(machine).container
    if container and kind in ("overlay", "aufs"):
        yield found("lost-with-container", f"{folder} is {kind} in {container}")


def draw_images(data: Path) -> list[str]:
    """Return paths of a few training images, drawn by lot. Raises DatasetError, UsageError."""
    listed = list(iter_image_list(read_data(data).require_train()))
    return random.Random(0).sample(listed, min(len(listed), _SAMPLE))


def check_images(machine: Machine, images: Sequence[str]) -> Iterator[Check]:
    """Look at where the images of a data set lie, by one of them; links lead to it."""
    if not images:
        return
    image = os.path.realpath(images[0]) if machine.is_here else images[0]
    folder = _find_existing(machine, Path(image).parent)
    kind = _find_kind(machine, folder)
    yield found("disk", f"images: {folder}, {kind or 'unknown'}")
    if is_far(kind):
        yield found("slow-files", f"{folder} is {kind}")


def is_far(kind: str) -> bool:
    """Tell whether files of such a file system lie behind a network, a hypervisor or a program."""
    return kind in _FAR or (kind.startswith("fuse") and kind not in _NEAR_FUSE)


def _check_room(folder: Path, kind: str, wanted: int) -> Iterator[Check]:
    told = os.statvfs(folder)
    free = told.f_bavail * told.f_frsize
    needed = f", of which this training takes {wanted / GIB:.1f} GiB" if wanted else ""
    yield found("disk", f"runs: {folder}, {kind or 'unknown'}, {free / GIB:.1f} GiB free{needed}")
    if not os.access(folder, os.W_OK | os.X_OK):
        yield found("read-only", f"{folder} may not be written into")
    if told.f_files and not told.f_favail:
        yield found("no-inodes", f"{folder}: all {told.f_files:,} are used")
    if wanted > free:
        yield found(
            "no-room", f"this training takes {wanted / GIB:.1f} GiB, {folder} has {free / GIB:.1f}"
        )
    elif free < _LITTLE:
        yield found("little-room", f"{folder} has {free / GIB:.1f} GiB")


def _find_existing(machine: Machine, path: Path) -> Path:
    """Return a folder, or the nearest one above it that is there; of a record, the path alone."""
    if not machine.is_here:
        return path.absolute()
    whole = Path(os.path.realpath(path))
    return next((one for one in (whole, *whole.parents) if one.is_dir()), Path("/"))


def _find_kind(machine: Machine, folder: Path) -> str:
    mount = find_mount(read_mounts(machine), str(folder))
    return mount.kind if mount else ""
