"""Every write to disk goes through here: whole or absent, and never twice for nothing.

A file is written under a temporary name in its own folder and renamed, so a kill at any moment
leaves the old file or the new one. The temporary name is fixed (`.NAME.part`), so that running
again after a kill overwrites the leftover instead of adding to it. A small file where none is yet
has no name at all until it is whole (`core/newfiles`), where the file system can do that.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from darknet_kit.core.contents import holds, open_ordinary
from darknet_kit.core.newfiles import NewFiles
from darknet_kit.errors import AnyPath, DkitError

_ELSEWHERE = "Name another place with --out or -o."
_CURES = {
    errno.ENOSPC: ("disk-full", "the disk is full", "Free some space and run the command again."),
    errno.EDQUOT: ("disk-full", "the disk quota is used up", "Free some space and run again."),
    errno.EFBIG: ("file-too-large", "the file is larger than allowed here", "See `ulimit -f`."),
    errno.EROFS: ("read-only", "the file system is read-only", _ELSEWHERE),
    errno.EACCES: ("no-permission", "permission denied", _ELSEWHERE),
    errno.EPERM: ("no-permission", "permission denied", _ELSEWHERE),
    errno.ENOENT: ("missing-folder", "there is no such folder", "Make the folder first."),
    errno.ENOTDIR: ("not-a-folder", "a part of this path is a file, not a folder", _ELSEWHERE),
    errno.EISDIR: ("is-a-folder", "this is a folder", "Name a file in it."),
    errno.ELOOP: ("link-loop", "links in this path lead in a circle", _ELSEWHERE),
    errno.ENAMETOOLONG: (
        "name-too-long",
        "the path is too long",
        "Use a shorter folder or file name.",
    ),
}
_CHUNK = 1 << 20
_LONGEST_NAME = 255  # bytes, in every file system of Linux


class WriteError(DkitError):
    """A file or folder could not be written; nothing half-written is left."""


class FolderInUseError(WriteError):
    """Another dkit is writing into a folder."""


def as_write_error(error: OSError, path: AnyPath) -> WriteError:
    """Return what a failed write means and what to do about it."""
    reason = error.strerror or str(error)
    code, message, hint = _CURES.get(
        error.errno or 0, ("cannot-write", reason, "Check the disk, then run the command again.")
    )
    return WriteError(f"cannot write: {message}", code=code, hint=hint, path=path)


def _part_path(path: str) -> str:
    folder, name = os.path.split(path)
    part = f".{name}.part"
    if len(os.fsencode(part)) > _LONGEST_NAME:
        part = f".{hashlib.sha256(os.fsencode(name)).hexdigest()}.part"
    return os.path.join(folder, part)


def is_part(name: str) -> bool:
    """Tell whether a file name is that of a write that was broken off."""
    return name.startswith(".") and name.endswith(".part")


@contextlib.contextmanager
def replacing(path: AnyPath, *, binary: bool = False) -> Iterator[IO[Any]]:
    """Open `path` for writing; it appears, whole, when the block ends without an exception.

    Text is UTF-8 with line feeds; bytes that were none where the text was read come out as they
    were. Raises WriteError.
    """
    target = os.fspath(path)
    part = _part_path(target)
    try:
        with _open(_make(part), "wb" if binary else "w") as stream:
            yield stream
        if _same_content(part, target):
            os.unlink(part)  # right already: leave even its time as it was
        else:
            os.replace(part, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(part)
        if isinstance(error, OSError):
            raise as_write_error(error, target) from error
        raise


def _make(part: str) -> int:
    """Open a file that is new: nothing is written through a link or a pipe of that name."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part)
    return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _open(path: AnyPath | int, mode: str) -> IO[Any]:
    if "b" in mode:
        return open(path, mode)
    return open(path, mode, encoding="utf-8", errors="surrogateescape", newline="\n")


def _same_content(part: str, target: str) -> bool:
    """Compare byte by byte; `filecmp` would trust sizes and times that a quick writer repeats."""
    try:
        if not os.path.isfile(target) or os.path.getsize(part) != os.path.getsize(target):
            return False
        with open(part, "rb") as new, open(target, "rb") as old:
            while chunk := new.read(_CHUNK):
                if chunk != old.read(_CHUNK):
                    return False
    except OSError:
        return False
    return True


def write_bytes(path: AnyPath, content: bytes) -> bool:
    """Write `content` unless the file holds it already; return whether it was written.

    Raises WriteError.
    """
    there = holds(path, content)
    if not there:
        put_bytes(path, content, new=there is None)
    return not there


def put_bytes(path: AnyPath, content: bytes, *, new: bool) -> None:
    """Write `content`, which `holds` did not find; `new` says that it found nothing.

    Raises WriteError.
    """
    target = os.fspath(path)
    with NewFiles() as files:
        done = new and files.put(target, content)
    if not done:
        with replacing(target, binary=True) as stream:
            stream.write(content)


def write_text(path: AnyPath, content: str) -> bool:
    """Write text as `replacing` does, unless the file holds it already; return whether it was
    written. Raises WriteError."""
    return write_bytes(path, content.encode("utf-8", "surrogateescape"))


def write_pieces(path: AnyPath, make: Callable[[], Iterable[str]]) -> bool:
    """Write text that comes in pieces, unless the file holds it already; return whether it was
    written. `make` is called once for either. Raises WriteError."""
    if _holds_pieces(path, make()):
        return False
    with replacing(path) as stream:
        stream.writelines(make())
    return True


def _holds_pieces(path: AnyPath, pieces: Iterable[str]) -> bool:
    try:
        with open(open_ordinary(path), "rb") as stream:
            encoded = (piece.encode("utf-8", "surrogateescape") for piece in pieces)
            return all(stream.read(len(piece)) == piece for piece in encoded) and not stream.read(1)
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
        raise as_write_error(error, path) from error
    return Path(path)


@contextlib.contextmanager
def holding(folder: AnyPath, *, shared: bool = False) -> Iterator[None]:
    """Keep other dkits out of a folder while the block runs; the end of this process ends it too.

    A `shared` folder is kept from those alone that do not share it. A file system that has no
    locks is trusted. Raises FolderInUseError; WriteError (`folder-moved`) where the folder is not
    in its place when the block ends, so that files may lie elsewhere.
    """
    stream = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderInUseError(
                "another dkit is writing into this folder",
                code="folder-in-use",
                hint="Wait until it is done, or name another folder with --out.",
                path=folder,
            ) from error
        except OSError:  # some network file systems
            pass
        yield
        if not _is_at(stream, folder):
            raise WriteError(
                "this folder was moved or replaced while dkit wrote into it",
                code="folder-moved",
                hint="Run the command again; what was moved away is not needed for that.",
                path=folder,
            )
    finally:
        os.close(stream)


def _is_at(stream: int, path: AnyPath) -> bool:
    try:
        return os.path.samestat(os.fstat(stream), os.stat(path))
    except OSError:
        return False


def link(target: AnyPath, path: AnyPath) -> bool:
    """Make `path` a symbolic link to `target`; return False when it is that already.

    A link that points elsewhere is replaced; anything else in the way is an error, since it
    could be somebody's only copy. Raises WriteError.
    """
    wanted, place = os.fspath(target), os.fspath(path)
    try:
        os.symlink(wanted, place)
    except FileExistsError as error:
        if leads_to(place, wanted):
            return False
        if not os.path.islink(place):
            raise WriteError(
                "cannot link here: a file of that name is there",
                code="file-in-the-way",
                hint="Move it away, or name another folder with --out.",
                path=place,
            ) from error
        _turn_link(wanted, place)
    except OSError as error:
        raise _link_error(error, place) from error
    return True


def leads_to(path: str, target: str) -> bool:
    """Tell whether `path` is a symbolic link to `target`, word for word."""
    try:
        return os.readlink(path) == target
    except OSError:
        return False


def _turn_link(wanted: str, place: str) -> None:
    """Let a link that is there lead to `wanted`. Raises WriteError."""
    part = _part_path(place)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
        os.symlink(wanted, part)
        os.replace(part, place)
    except OSError as error:
        raise _link_error(error, place) from error


def _link_error(error: OSError, place: str) -> WriteError:
    if error.errno in (errno.EPERM, errno.EOPNOTSUPP):
        return WriteError(
            "cannot link here: this file system has no symbolic links",
            code="no-links",
            hint="Name a folder on one that has, such as ext4 or xfs.",
            path=place,
        )
    return as_write_error(error, place)


def open_append(path: AnyPath, *, binary: bool = False) -> IO[Any]:
    """Open a file that only ever grows: logs, metrics, events. Raises WriteError."""
    try:
        return _open(path, "ab" if binary else "a")
    except OSError as error:
        raise as_write_error(error, path) from error
