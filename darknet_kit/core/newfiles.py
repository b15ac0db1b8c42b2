"""Small files where none is yet: each gets its name when it is whole, where the kernel can do that.

Millions of labels are written so, which is why as little as possible is asked of the kernel.
"""

import os
from typing import Self

_NAMELESS = os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_NONE = -1


class NewFiles:
    """Puts new files into one folder after another: a context, for the length of a shard.

    The folder of the last file is held open, as is that of descriptors in /proc, so that the
    kernel walks neither path for every file.
    """

    def __init__(self) -> None:
        self._path = ""
        self._folder = self._descriptors = _NONE

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def put(self, target: str, content: bytes) -> bool:
        """Write a file that has no name until it is whole (open(2), O_TMPFILE).

        Return False where it did not come about: something of this name is there already, or the
        file system cannot do that, or anything else that `files.put_bytes` will tell of.
        """
        cut = target.rfind("/") + 1
        folder, name = target[:cut] or ".", target[cut:]
        try:
            if folder != self._path:
                self._open(folder)
            stream = os.open(".", _NAMELESS, 0o666, dir_fd=self._folder)
        except OSError:
            return False
        try:
            if os.write(stream, content) != len(content):
                return False
            # With folders given, Python asks linkat(2) to follow the link in /proc.
            os.link(str(stream), name, src_dir_fd=self._descriptors, dst_dir_fd=self._folder)
        except OSError:
            return False
        finally:
            os.close(stream)
        return True

    def _open(self, folder: str) -> None:
        self._close()
        self._descriptors = os.open("/proc/self/fd", _FOLDER)
        self._folder = os.open(folder, _FOLDER)
        self._path = folder

    def _close(self) -> None:
        for stream in (self._folder, self._descriptors):
            if stream != _NONE:
                os.close(stream)
        self._path = ""
        self._folder = self._descriptors = _NONE
