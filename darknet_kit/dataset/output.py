"""The files of a finished data set, and the record that says whose they are.

`conversion.json` is written first, unfinished, and last, finished: a folder that holds one is
dkit's to complete or to bring up to date; any other folder with something in it is refused.
"""

import contextlib
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darknet_kit.core.files import (
    FolderInUseError,
    holding,
    is_part,
    make_folder,
    write_pieces,
    write_text,
)
from darknet_kit.core.problems import Problem, write_problems
from darknet_kit.core.records import SPLITS, Split
from darknet_kit.errors import DatasetError, UsageError
from darknet_kit.formats.datafile import can_hold, format_data, format_lines
from darknet_kit.formats.record import RECORD, read_record, write_record

Record = Mapping[str, Any]

_PATIENCE_SECONDS = 5.0  # for another part that marks the folder at this moment


@dataclass(frozen=True, slots=True)
class OutputPaths:
    """Where the files of a data set called `name` lie in `folder`."""

    folder: str
    name: str

    @property
    def data(self) -> str:
        return os.path.join(self.folder, f"{self.name}.data")

    @property
    def names(self) -> str:
        return os.path.join(self.folder, f"{self.name}.names")

    @property
    def wnids(self) -> str:
        return os.path.join(self.folder, f"{self.name}.wnids")

    @property
    def problems(self) -> str:
        return os.path.join(self.folder, "problems.csv")

    @property
    def record(self) -> str:
        return os.path.join(self.folder, RECORD)

    @property
    def difficult(self) -> str:
        return os.path.join(self.folder, "difficult.txt")

    def image_list(self, split: Split) -> str:
        return os.path.join(self.folder, f"{split}.txt")

    @property
    def lists(self) -> frozenset[str]:
        return frozenset((self.difficult, *map(self.image_list, SPLITS)))


@dataclass(slots=True)
class DatasetFiles:
    """What a data set consists of beside its images and labels.

    A list is kept in pieces, of whole lines. `difficult` runs parallel to the images to validate
    on, or is empty; see dataset/difficult.
    """

    names: Sequence[str]
    wnids: Sequence[str] = ()
    lists: dict[Split, list[str]] = field(default_factory=dict)
    difficult: list[str] = field(default_factory=list)


def paths_for(folder: str, name: str) -> OutputPaths:
    """Return the paths of a data set; its name loses what a `.data` file could not hold."""
    return OutputPaths(folder, re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "dataset")


@dataclass(frozen=True, slots=True)
class Target:
    """A folder to write a data set into, and on what terms.

    `own` says that the folder is meant to hold nothing else. Call `claim`; then, with `begin`,
    write the labels and call `finish`.
    """

    paths: OutputPaths
    settings: Record
    own: bool
    overwrite: bool
    dry_run: bool

    def notes(self) -> Iterator[str]:
        """Yield what people should know of the folder."""
        if not can_hold(self.paths.folder):
            yield (
                "Darknet drops blanks from what a .data file says, and this path holds some: its "
                f"own are relative, so that an engine must start in {self.paths.folder} "
                "(`dkit train` sees to that)"
            )
        before = read_record(self.paths.record)
        if before and before["settings"] != self.settings:
            for path in sorted(Path(self.paths.folder).glob("*.data")):
                if path.name != os.path.basename(self.paths.data):
                    yield f"{path.name} is of the set that was here; its lists are now this one's"

    def claim(self) -> None:
        """Make sure that a data set may be written here.

        Raises UsageError (`not-empty`, `other-settings`).
        """
        if self.overwrite:
            return
        in_the_way = _in_the_way(self.paths, self.own)
        # Read after that: another dkit that begins here at this moment writes the record first.
        before = read_record(self.paths.record)
        if in_the_way and not before:
            raise UsageError(
                f"{in_the_way} is there already, and not from dkit",
                code="not-empty",
                hint="Name another folder with --out, or other files with --name, or replace them "
                "with --overwrite.",
                path=self.paths.folder,
            )
        if before and before["settings"] != self.settings:
            raise UsageError(
                "this folder holds a data set made with other settings "
                f"({_changed(before['settings'], self.settings)})",
                code="other-settings",
                hint="Name another folder with --out, or replace it with --overwrite.",
                path=self.paths.folder,
            )

    @contextlib.contextmanager
    def begin(self, folders: Iterable[str], *, shared: bool = False) -> Iterator[None]:
        """Mark the folder as dkit's, make all folders that are needed, and keep other dkits out
        while the block runs; where it is `shared`, those alone that do not share it.

        Raises WriteError.
        """
        if self.dry_run:
            yield
            return
        make_folder(self.paths.folder)
        if shared:
            self._mark_first()
        with holding(self.paths.folder, shared=shared):
            self._mark()
            for folder in sorted(folders):
                if not os.path.isdir(folder):
                    make_folder(folder)
            yield

    def _mark_first(self) -> None:
        """Mark the folder before it is shared: one does, and others that begin then see that."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while not self._is_marked():
            try:
                with holding(self.paths.folder):
                    self._mark()
            except FolderInUseError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def _mark(self) -> None:
        if not self._is_marked():
            write_record(self.paths.record, {"settings": self.settings, "finished": False})

    def _is_marked(self) -> bool:
        before = read_record(self.paths.record)
        return before is not None and before["settings"] == self.settings

    def finish(
        self,
        files: DatasetFiles,
        problems: Iterable[Problem],
        counts: Record,
        more: Callable[[], Iterable[Problem]] = tuple,
    ) -> None:
        """Write everything beside the labels; the record last. `more` as in `write_problems`.

        Raises DatasetError (`nothing-left`, `no-classes`), WriteError.
        """
        if not self.dry_run:
            write_problems(self.paths.problems, problems, more)
        if not any(map(any, files.lists.values())):
            raise _nothing_left(self.paths, counts)
        if not files.names:
            raise DatasetError(
                "no annotation holds an object with a name: there is no class to learn",
                code="no-classes",
                hint="Annotate some objects, or name the classes with --names FILE.",
                path=self.paths.folder,
            )
        if not self.dry_run:
            _write_files(self.paths, files)
            record = {"settings": self.settings, "counts": counts, "finished": True}
            write_record(self.paths.record, record)


def _in_the_way(paths: OutputPaths, own: bool) -> str:
    """Return a name in the folder that is not dkit's, or an empty string."""
    try:
        names = sorted(os.listdir(paths.folder))
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UsageError(
            f"cannot write into this folder: {error.strerror}",
            code="no-folder",
            hint="Name a folder with --out that is yours, or that is not there yet.",
            path=paths.folder,
        ) from error
    files = (paths.data, paths.names, paths.wnids, paths.problems, paths.record, paths.difficult)
    ours = set(map(os.path.basename, (*files, *map(paths.image_list, SPLITS))))
    return next((name for name in names if (own or name in ours) and not is_part(name)), "")


def _changed(before: Record, now: Record) -> str:
    return ", ".join(key for key in now if before.get(key) != now[key]) or "a setting that is gone"


def _nothing_left(paths: OutputPaths, counts: Record) -> DatasetError:
    commonest = Counter[str](counts["problems"]).most_common(4)
    reasons = [f"{count:,} {code}" for code, count in commonest]
    others = counts["images_left_out"]
    why = ", ".join([f"{others:,} show none of the classes chosen"] * bool(others) + reasons)
    return DatasetError(
        "no image is left for any list" + (f" ({why})" if why else ""),
        code="nothing-left",
        hint=f"{paths.problems} says more, unless this was a dry run.",
        path=paths.folder,
    )


def _write_files(paths: OutputPaths, files: DatasetFiles) -> None:
    """Write lists, `.names`, `.wnids` and `.data`."""
    for split in SPLITS:
        pieces = files.lists.get(split, [])
        if any(pieces) or split != "test":
            write_pieces(paths.image_list(split), pieces.copy)
    write_text(paths.names, format_lines(files.names))
    if files.wnids:
        write_text(paths.wnids, format_lines(files.wnids))
    backup = make_folder(os.path.join(paths.folder, "backup"))
    # Darknet drops blanks inside values: then only names relative to this folder can be right.
    shown = os.fspath if can_hold(paths.folder) else os.path.basename
    options: dict[str, object] = {
        "classes": len(files.names),
        "train": shown(paths.image_list("train")),
        "valid": shown(paths.image_list("valid")),
        "names": shown(paths.names),
        "backup": shown(str(backup)),
    }
    if files.difficult:
        write_text(paths.difficult, format_lines(files.difficult))
        options["difficult"] = shown(paths.difficult)
    write_text(paths.data, format_data(options))
