"""Everything about a data set: its `.data` and `.names`, its lists, each image and label."""

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from darknet_kit.core.findings import Note, fault, of_error
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.pool import map_shards, shards
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import SPLITS, Split
from darknet_kit.core.wording import counted
from darknet_kit.dataset.checks.datafile import check_backup, check_data_text
from darknet_kit.dataset.checks.duplicates import Checked, find_duplicates
from darknet_kit.dataset.checks.images import (
    Entries,
    Entry,
    ImageRules,
    check_entries,
    follows_links,
)
from darknet_kit.dataset.checks.labels import LabelRules
from darknet_kit.dataset.checks.lists import read_list
from darknet_kit.dataset.checks.names import check_names, check_order
from darknet_kit.dataset.checks.unlisted import find_unlisted
from darknet_kit.dataset.reading import recorded_flavor
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.datafile import DataFile, locate, read_data
from darknet_kit.formats.yolo import label_path


@dataclass(frozen=True, slots=True)
class HowToCheck:
    """Choices of a check. `flavor` is by default the one that the set was converted for.

    `max_boxes` is what the heads of a network take, 0 for their default; `decode` reads all
    pixels of all images.
    """

    flavor: Flavor | None = None
    max_boxes: int = 0
    decode: bool = False
    workers: int | None = None


@dataclass(slots=True)
class DataCheck:
    """What was looked at: names, None where they are not known, and counts of each list."""

    flavor: Flavor
    names: list[str] | None = None
    lists: dict[Split, Entries] = field(default_factory=dict)

    @property
    def classes(self) -> int | None:
        """The number of names, None where they are not known."""
        return len(self.names) if self.names else None

    @property
    def train_images(self) -> int | None:
        return self.lists["train"].images if "train" in self.lists else None


def check_data(
    path: AnyPath,
    note: Note,
    how: HowToCheck = HowToCheck(),
    progress: Progress = no_progress,
) -> DataCheck:
    """Look at a whole data set and note each finding, lists in order; never raises for bad data.

    `progress` counts images; then, where files look alike, those that are read whole.
    """
    source = Path(path)
    result = DataCheck(how.flavor or recorded_flavor(source.absolute().parent))
    flavor = result.flavor
    check_data_text(str(source), flavor, note)
    try:
        data = read_data(source)
    except DatasetError as error:
        if error.code not in ("missing-file", "cannot-read"):  # noted already
            note(of_error(error))
        return result
    result.names = check_names(str(data.names), flavor, note)
    if result.names and data.classes not in (None, len(result.names)):
        message = f"classes = {data.classes}, and {data.names} has {len(result.names)} names"
        note(fault("classes-differ", flavor, str(source), message))
    for finding in check_backup(str(data.backup or ""), str(source), flavor):
        note(finding)
    _check_lists(data, result, how, note, progress)
    return result


def _check_lists(
    data: DataFile, result: DataCheck, how: HowToCheck, note: Note, progress: Progress
) -> None:
    paths = _find_lists(data, result.flavor, note)
    entries = {split: read_list(path, result.flavor, note) for split, path in paths.items()}
    _check_validation(data, paths, entries, result.flavor, note)
    if entries.get("valid") == entries.get("train"):
        entries.pop("valid", None)
    _check_order(data, result, entries, note)
    checked = [
        Checked(split, paths[split], listed, result.lists[split])
        for split, listed in _check_images(paths, entries, result, how, note, progress)
    ]
    for finding in find_duplicates(checked, result.flavor, workers=how.workers, progress=progress):
        note(finding)
    if how.decode:
        from darknet_kit.dataset.checks.lookalikes import find_lookalikes  # and NumPy

        alike = find_lookalikes(checked, result.flavor, workers=how.workers, progress=progress)
        for finding in alike:
            note(finding)
    difficult = _check_difficult(data, len(entries.get("valid", ())), result, how, note)
    unlisted = find_unlisted(
        [*entries.values(), difficult], paths.values(), _label_rules(result, how)
    )
    for finding in unlisted:
        note(finding)


def _find_lists(data: DataFile, flavor: Flavor, note: Note) -> dict[Split, str]:
    """Return the lists of a data set that are named, and a test.txt beside train's."""
    paths: dict[Split, str] = {}
    try:
        train = data.require_train()
    except DatasetError as error:
        note(of_error(error))
    else:
        paths["train"] = str(train)
        test = train.with_name("test.txt")
        if test.is_file() and test not in (train, data.valid):
            paths["test"] = str(test)
    if data.valid is not None:
        paths["valid"] = str(data.valid)
    return {split: paths[split] for split in SPLITS if split in paths}


def _check_validation(
    data: DataFile,
    paths: dict[Split, str],
    entries: dict[Split, list[Entry]],
    flavor: Flavor,
    note: Note,
) -> None:
    """Look whether there is something to train on, and something else to validate on."""
    train = entries.get("train")
    if train is not None and not train and os.path.isfile(paths["train"]):
        note(fault("empty-list", flavor, paths["train"], "lists no image"))
    if "valid" not in paths:
        note(fault("no-valid", flavor, str(data.path), "has no line `valid = ...`"))
    elif not entries["valid"] and os.path.isfile(paths["valid"]):
        note(fault("no-valid", flavor, paths["valid"], "lists no image"))
    elif train and entries["valid"] == train:
        note(fault("valid-is-train", flavor, paths["valid"], f"lists what {paths['train']} does"))


def _check_order(
    data: DataFile, result: DataCheck, entries: dict[Split, list[Entry]], note: Note
) -> None:
    """Look at the lists of classes where the first labels lie; labelImg leaves them there."""
    firsts = [label_path(listed[0][1], result.flavor) for listed in entries.values() if listed]
    folders = sorted({os.path.dirname(first) for first in firsts if first})
    for finding in check_order(str(data.names), result.names or (), folders, result.flavor):
        note(finding)


def _check_images(
    paths: dict[Split, str],
    entries: dict[Split, list[Entry]],
    result: DataCheck,
    how: HowToCheck,
    note: Note,
    progress: Progress,
) -> Iterator[tuple[Split, list[Entry]]]:
    """Look at all entries, in parallel; fill `result.lists`, and yield each list that was done."""
    done, total = 0, sum(map(len, entries.values()))
    for split, listed in entries.items():
        sums = result.lists[split] = Entries()
        rules = ImageRules(
            _label_rules(result, how),
            paths[split],
            decode=how.decode,
            links=follows_links(result.flavor, split),
        )
        look = functools.partial(check_entries, rules=rules)
        for found in map_shards(look, shards(listed), workers=how.workers):
            sums.add(found)
            for finding in found.findings:
                note(finding)
            progress(done + sums.images, total)
        done += sums.images
        if any(sums.files) and not sums.boxes:
            message = f"{counted(sums.images, 'image')}, {counted(sums.labels, 'label')}, no box"
            note(fault("no-boxes", result.flavor, paths[split], message))
        yield split, listed


def _label_rules(result: DataCheck, how: HowToCheck) -> LabelRules:
    classes = len(result.names) if result.names is not None else None
    return LabelRules(result.flavor, classes, how.max_boxes)


def _check_difficult(
    data: DataFile, valid: int, result: DataCheck, how: HowToCheck, note: Note
) -> list[Entry]:
    """Look at the labels of difficult objects, which AlexeyAB's map reads beside valid's.

    Returns each path once: images without such objects share one empty label.
    """
    named = data.options.get("difficult")
    if not named:
        return []
    path = str(locate(named, data.path))
    listed = read_list(path, result.flavor, note)
    if valid and len(listed) != valid:
        message = f"has {counted(len(listed), 'line')}, and valid {valid:,}"
        note(fault("difficult-list", result.flavor, path, message))
    rules = ImageRules(_label_rules(result, how), path, images=False)
    look = functools.partial(check_entries, rules=rules)
    once = list({path: (line, path) for line, path in reversed(listed)}.values())[::-1]
    for found in map_shards(look, shards(once), workers=how.workers):
        for finding in found.findings:
            note(finding)
    return once
