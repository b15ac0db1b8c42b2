"""A log that is still being written, read on from where it was."""

import os
from collections.abc import Sequence

from darknet_kit.core.progress import no_progress
from darknet_kit.errors import AnyPath, LogError
from darknet_kit.formats.loggather import LogGatherer
from darknet_kit.formats.logline import LogReader
from darknet_kit.formats.lognoise import PADDING
from darknet_kit.formats.lognotebook import is_notebook
from darknet_kit.formats.logpacked import is_packed
from darknet_kit.formats.logresult import Log
from darknet_kit.formats.logsource import LogSource, as_block, unreadable
from darknet_kit.formats.logstranger import refuse_binary
from darknet_kit.formats.logstream import iter_told, read_block

_BLOCK_BYTES = 1 << 21


class LogFollower:
    """Reads a plain log again and again, each time only what is new.

    `offset` is the byte up to which it was read: the end of a line, as the last one may not be
    whole yet. A log that begins anew, shorter or as another file, goes on as a resumed run does.
    """

    def __init__(self, path: AnyPath, before: Sequence[AnyPath] = ()) -> None:
        """Read the logs `before`, of the same run, as a whole at once. Raises LogError."""
        self.path = os.fspath(path)
        self.offset = 0
        self._line = 1
        self._file: tuple[int, int] | None = None
        self._reader = LogReader()
        self._gatherer = LogGatherer()
        for earlier in before:
            self._gatherer.start(os.fspath(earlier))
            for line, told in iter_told(LogSource(earlier), no_progress, self._reader):
                self._gatherer.add_told(line, told)
        self._gatherer.start(self.path)

    @property
    def log(self) -> Log:
        """Return what was read so far; it may have no iterations yet."""
        return self._gatherer.log(self._reader)

    def update(self) -> bool:
        """Read what is new and tell whether there was anything. Raises LogError."""
        try:
            with open(self.path, "rb", buffering=0) as stream:
                found = os.fstat(stream.fileno())
                self._note_file((found.st_dev, found.st_ino), found.st_size)
                stream.seek(self.offset)
                before = self.offset
                buffer = bytearray(_BLOCK_BYTES + PADDING)
                while size := stream.readinto(memoryview(buffer)[:_BLOCK_BYTES]):
                    cut = buffer.rfind(b"\n", 0, size) + 1
                    cut = size if not cut and size == _BLOCK_BYTES else cut
                    if not cut:
                        break
                    if not self.offset:
                        self._refuse(bytes(buffer[:cut]))
                    self._read(buffer, cut)
                    stream.seek(self.offset)
                return self.offset > before
        except OSError as error:
            raise unreadable(self.path, error) from error

    def _note_file(self, file: tuple[int, int], size: int) -> None:
        if self._file not in (None, file) or size < self.offset:
            self.offset, self._line = 0, 1
            self._gatherer.start()
        self._file = file

    def _refuse(self, head: bytes) -> None:
        refuse_binary(head, self.path)
        if is_packed(head) or is_notebook(head):
            raise LogError(
                "only a plain log can be followed",
                code="not-a-log",
                hint="Read it as a whole: without --follow.",
                path=self.path,
            )

    def _read(self, buffer: bytearray, size: int) -> None:
        block = as_block(buffer, size)
        for line, told in read_block(self._reader, block, self._line):
            self._gatherer.add_told(line, told)
        self._line += block.lines
        self.offset += size
