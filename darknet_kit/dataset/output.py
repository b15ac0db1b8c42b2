"""The files of a finished data set, and the record that says whose they are.

`conversion.json` is written first, unfinished, and last, finished: a folder that holds one is
dkit's to complete or to bring up to date; any other folder with something in it is refused.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from darknet_kit import __version__
from darknet_kit.core.files import make_folder, replacing, write_text
from darknet_kit.core.records import SPLITS, Split
from darknet_kit.errors import DatasetError, UsageError
from darknet_kit.formats.datafile import format_data, format_lines

RECORD = "conversion.json"


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

    def image_list(self, split: Split) -> str:
        return os.path.join(self.folder, f"{split}.txt")


@dataclass(slots=True)
class DatasetFiles:
    """What a data set consists of beside its images and labels."""

    names: Sequence[str]
    wnids: Sequence[str] = ()
    lists: dict[Split, list[str]] = field(default_factory=dict)


def claim_folder(paths: OutputPaths, record: Mapping[str, Any], *, own: bool, again: bool) -> bool:
    """Make sure that a data set may be written here; return whether labels may be replaced.

    `own` says that the folder is meant to hold nothing else, `again` that --overwrite was given.
    Raises UsageError (`not-empty`, `other-settings`).
    """
    before = read_record(paths.record)
    if before is None:
        in_the_way = _in_the_way(paths, own)
        if in_the_way and not again:
            raise UsageError(
                f"{in_the_way} is there already, and not from dkit",
                code="not-empty",
                hint="Name another folder with --out, or add --overwrite.",
                path=paths.folder,
            )
    elif before.get("settings") != record["settings"] and not again:
        changed = _changed(before.get("settings", {}), record["settings"])
        raise UsageError(
            f"this folder holds a data set made with other settings ({changed})",
            code="other-settings",
            hint="Name another folder with --out, or replace it with --overwrite.",
            path=paths.folder,
        )
    return again or before is not None


def _in_the_way(paths: OutputPaths, own: bool) -> str:
    if not os.path.isdir(paths.folder):
        return ""
    if own:
        return next(iter(sorted(os.listdir(paths.folder))), "")
    ours = (paths.data, paths.names, paths.image_list("train"), paths.image_list("valid"))
    return next((os.path.basename(path) for path in ours if os.path.exists(path)), "")


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    keys = [key for key in now if before.get(key) != now[key]]
    return ", ".join(keys) or "a setting that is gone"


def read_record(path: str) -> dict[str, Any] | None:
    """Read a conversion.json; None where there is none that dkit wrote."""
    try:
        with open(path, encoding="utf-8") as stream:
            record = json.load(stream)
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and "settings" in record else None


def begin_record(paths: OutputPaths, record: Mapping[str, Any]) -> None:
    """Mark the folder as dkit's, unless a finished record with these settings says so already."""
    before = read_record(paths.record)
    if before is None or before.get("settings") != record["settings"]:
        make_folder(paths.folder)
        write_record(paths, {**record, "finished": False})


def write_record(paths: OutputPaths, record: Mapping[str, Any]) -> None:
    """Write conversion.json; it holds no time, so that the same work gives the same file."""
    document = {"tool": "darknet-kit", "version": __version__, **record}
    write_text(paths.record, json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def write_files(paths: OutputPaths, files: DatasetFiles) -> None:
    """Write lists, `.names`, `.wnids` and `.data`. Raises DatasetError where nothing is left."""
    if not any(files.lists.values()):
        raise DatasetError(
            "no image is left for any list",
            code="nothing-left",
            hint=f"{paths.problems} lists what was left out, and why.",
            path=paths.folder,
        )
    for split in SPLITS:
        entries = files.lists.get(split, [])
        if entries or split != "test":
            _write_list(paths.image_list(split), entries)
    write_text(paths.names, format_lines(files.names))
    if files.wnids:
        write_text(paths.wnids, format_lines(files.wnids))
    backup = make_folder(os.path.join(paths.folder, "backup"))
    # Darknet drops blanks inside values: then only names relative to this folder can be right.
    relative = any(character.isspace() for character in paths.folder)
    shown = os.path.basename if relative else os.fspath
    options: dict[str, object] = {
        "classes": len(files.names),
        "train": shown(paths.image_list("train")),
        "valid": shown(paths.image_list("valid")),
        "names": shown(paths.names),
        "backup": shown(str(backup)),
    }
    write_text(paths.data, format_data(options))


def _write_list(path: str, entries: Sequence[str]) -> None:
    with replacing(path) as stream:
        stream.writelines(f"{entry}\n" for entry in entries)
