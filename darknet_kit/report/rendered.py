"""Pictures and pages that are ready to be written."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from darknet_kit.core.files import holds, make_folder, write_bytes
from darknet_kit.errors import UsageError


@dataclass(frozen=True, slots=True)
class Rendered:
    """The files of a sheet or a page, by path, the main one last; how many of its images could
    not be read; the class names whose letters no font of this machine has."""

    files: dict[str, bytes]
    unreadable: int
    undrawn: Sequence[str] = ()

    def write(self, overwrite: bool) -> None:
        """Write all files, or none where others are in the way. Raises UsageError, WriteError."""
        for path, content in self.files.items():
            if not overwrite and os.path.exists(path) and not holds(path, content):
                raise UsageError(
                    "this is a folder" if os.path.isdir(path) else "another file is there already",
                    code="file-exists",
                    hint="Name another one with -o, or add --overwrite.",
                    path=path,
                )
        *beside, _ = self.files
        if beside:
            make_folder(os.path.dirname(beside[0]))
        for path, content in self.files.items():
            write_bytes(path, content)
