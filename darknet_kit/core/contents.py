"""What files hold, read without ever waiting: pipes and devices are refused."""

import errno
import hashlib
import os
import resource
import stat
from collections.abc import Generator, Sequence

from darknet_kit.errors import AnyPath

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe would be waited for
_SMALL = 1 << 16  # bytes; more takes a second call
_LARGEST = 16 << 20  # bytes; no annotation of one image has more
_MOST_OPEN, _ = resource.getrlimit(resource.RLIMIT_NOFILE)  # 1024, most often
_AHEAD = max(1, min(64, _MOST_OPEN // 4))  # files


def holds(path: AnyPath, content: bytes) -> bool | None:
    """Tell whether a file has exactly this content; None where nothing is of this name."""
    try:
        stream = os.open(path, _READ | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError:
        try:
            stream = os.open(path, _READ)  # a link is there: what it leads to counts
        except OSError:
            return False
    try:
        # That a pipe has no place to read from saves a look at what it is; a device may seem empty.
        same = os.pread(stream, len(content) + 1, 0) == content
        return same and (content != b"" or stat.S_ISREG(os.fstat(stream).st_mode))
    except OSError:
        return False
    finally:
        os.close(stream)


def iter_contents(paths: Sequence[str]) -> Generator[bytes | OSError, None, None]:
    """Yield what each file holds, or why it cannot be read, in order.

    Pipes, and what has more than 16 MiB, are refused: one would be waited for, the other may be a
    device without end.

    The kernel is asked for the next ones before the first is read, which on a disk or over a
    network saves most of the waiting.
    """
    for start in range(0, len(paths), _AHEAD):
        opened = [_open_ahead(path) for path in paths[start : start + _AHEAD]]
        opened.reverse()
        try:
            while opened:
                stream = opened.pop()
                yield stream if isinstance(stream, OSError) else _read_and_close(stream)
        finally:
            for stream in opened:
                if isinstance(stream, int):
                    os.close(stream)


def _open_ahead(path: str) -> int | OSError:
    try:
        stream = os.open(path, _READ)
    except OSError as error:
        return error
    try:
        os.posix_fadvise(stream, 0, 0, os.POSIX_FADV_WILLNEED)
    except OSError as error:  # a pipe
        os.close(stream)
        return error
    return stream


def _read_and_close(stream: int) -> bytes | OSError:
    try:
        content = os.read(stream, _SMALL)
        if len(content) < _SMALL:
            return content
        with open(stream, "rb", closefd=False) as rest:
            content += rest.read(_LARGEST)
        too_large = OSError(errno.EFBIG, f"it has more than {_LARGEST >> 20} MiB")
        return content if len(content) <= _LARGEST else too_large
    except OSError as error:
        return error
    finally:
        os.close(stream)


def read_small(path: AnyPath) -> bytes:
    """Return the content of a file as `iter_contents` yields it. Raises OSError."""
    (content,) = iter_contents([os.fspath(path)])
    if isinstance(content, OSError):
        raise content
    return content


def open_ordinary(path: AnyPath) -> int:
    """Open an ordinary file of any length for reading, no pipe and no device. Raises OSError."""
    stream = os.open(path, _READ)
    mode = os.fstat(stream).st_mode
    if stat.S_ISREG(mode):
        return stream
    os.close(stream)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.EINVAL, "this is a pipe or a device, no file")


def digest(path: AnyPath) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
