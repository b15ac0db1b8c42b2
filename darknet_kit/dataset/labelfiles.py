"""Label files, each whole or absent, and in a view the links to their images."""

from typing import Self

from darknet_kit.core.contents import holds
from darknet_kit.core.files import leads_to, link, put_bytes
from darknet_kit.core.newfiles import NewFiles
from darknet_kit.core.problems import Problem
from darknet_kit.dataset.place import Placed


class LabelFiles:
    """Writes the labels of a shard: a context. Labels that hold something else are kept, unless
    it may `replace` them; nothing is written unless it may `write`."""

    def __init__(self, *, replace: bool, write: bool) -> None:
        self._replace, self._write = replace, write
        self._new_files = NewFiles()
        self._expect_new = False

    def __enter__(self) -> Self:
        self._new_files.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._new_files.__exit__()

    def put(self, image: str, placed: Placed, content: bytes) -> bool | Problem:
        """Write a label and, in a view, the link to its image; tell whether it was written.

        A problem says that another label is in its place. Raises WriteError.
        """
        label = placed.label
        # As the label before, so most often this one: there, or not. That saves a look.
        new = self._expect_new and self._new_files.put(label, content)
        if not new:
            there = holds(label, content)
            if there is False and not self._replace:
                self._expect_new = False
                message = f"{label} holds other labels; --overwrite replaces them"
                return Problem("label-exists", image, message)
            self._expect_new = new = self._write and not there
            if new:
                put_bytes(label, content, new=there is None)
        # Where the label was there, the link most often is.
        if self._write and placed.listed != image and (new or not leads_to(placed.listed, image)):
            link(image, placed.listed)
        return new
