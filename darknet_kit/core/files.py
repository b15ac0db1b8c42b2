"""Every write to disk goes through here: whole or absent, and never twice for nothing.

A file is written under a temporary name in its own folder and renamed, so a kill at any moment
leaves the old file or the new one. The temporary name is fixed (`.NAME.part`), so that running
again after a kill overwrites the leftover instead of adding to it.
"""

import contextlib
import errno
import filecmp
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from darknet_kit.errors import AnyPath, DkitError

_CURES = {
    errno.ENOSPC: ("disk-full", "the disk is full", "Free some space and run the command again."),
    errno.EDQUOT: ("disk-full", "the disk quota is used up", "Free some space and run again."),
    errno.EROFS: (
        "read-only",
        "the file system is read-only",
        "Name a writable folder with --out.",
    ),
    errno.EACCES: ("no-permission", "permission denied", "Name a writable folder with --out."),
    errno.EPERM: ("no-permission", "permission denied", "Name a writable folder with --out."),
    errno.ENOTDIR: (
        "not-a-folder",
        "a part of this path is a file, not a folder",
        "Name another place with --out.",
    ),
    errno.ENAMETOOLONG: (
        "name-too-long",
        "the path is too long",
        "Use a shorter folder or file name.",
    ),
}


class WriteError(DkitError):
    """A file or folder could not be written; nothing half-written is left."""


def _write_error(error: OSError, path: AnyPath) -> WriteError:
    code, message, hint = _CURES.get(
        error.errno or 0, ("cannot-write", error.strerror or str(error), "")
    )
    return WriteError(f"cannot write: {message}", code=code, hint=hint, path=path)


def _part_path(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.part")


@contextlib.contextmanager
def replacing(path: AnyPath, *, binary: bool = False) -> Iterator[IO[Any]]:
    """Open `path` for writing; it appears, whole, when the block ends without an exception.

    Text is UTF-8 with line feeds. Raises WriteError.
    """
    target = os.fspath(path)
    part = _part_path(target)
    try:
        text: dict[str, Any] = {} if binary else {"encoding": "utf-8", "newline": "\n"}
        with open(part, "wb" if binary else "w", **text) as stream:
            yield stream
        if os.path.isfile(target) and filecmp.cmp(part, target, shallow=False):
            os.unlink(part)  # right already: leave even its time as it was
        else:
            os.replace(part, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(part)
        if isinstance(error, OSError):
            raise _write_error(error, target) from error
        raise


def write_bytes(path: AnyPath, content: bytes) -> bool:
    """Write `content` unless the file holds it already; return whether it was written.

    Raises WriteError.
    """
    target = os.fspath(path)
    if holds(target, content):
        return False
    with replacing(target, binary=True) as stream:
        stream.write(content)
    return True


def write_text(path: AnyPath, content: str) -> bool:
    """Write UTF-8 text unless the file holds it already; return whether it was written."""
    return write_bytes(path, content.encode("utf-8"))


def holds(path: AnyPath, content: bytes) -> bool:
    """Tell whether a file exists with exactly this content."""
    try:
        with open(path, "rb", buffering=0) as stream:
            return stream.read(len(content) + 1) == content
    except OSError:
        return False


def make_folder(path: AnyPath) -> Path:
    """Make a folder and its parents where they are missing. Raises WriteError."""
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError as error:
        raise WriteError(
            "cannot make this folder: a file of that name is there",
            code="not-a-folder",
            hint="Name another folder, or move the file away.",
            path=path,
        ) from error
    except OSError as error:
        raise _write_error(error, path) from error
    return Path(path)


def link(target: AnyPath, path: AnyPath) -> bool:
    """Make `path` a symbolic link to `target`; return False when it is that already.

    A link that points elsewhere is replaced; anything else in the way is an error, since it
    could be somebody's only copy. Raises WriteError.
    """
    wanted, place = os.fspath(target), os.fspath(path)
    try:
        os.symlink(wanted, place)
        return True
    except FileExistsError as error:
        if not os.path.islink(place):
            raise WriteError(
                "cannot link here: a file of that name is there",
                code="file-in-the-way",
                hint="Move it away, or name another folder with --out.",
                path=place,
            ) from error
    except OSError as error:
        raise _write_error(error, place) from error
    if os.readlink(place) == wanted:
        return False
    part = _part_path(place)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part)
    os.symlink(wanted, part)
    os.replace(part, place)
    return True


def open_append(path: AnyPath, *, binary: bool = False) -> IO[Any]:
    """Open a file that only ever grows: logs, metrics, events. Raises WriteError."""
    try:
        if binary:
            return open(path, "ab")
        return open(path, "a", encoding="utf-8", newline="\n")
    except OSError as error:
        raise _write_error(error, path) from error


def digest(path: AnyPath) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
