"""Whether a list of a data set can be trained on: what a run is refused for."""

import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from darknet_kit.core.faults import FAULTS
from darknet_kit.core.findings import Finding
from darknet_kit.core.pool import map_shards, shards
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Split
from darknet_kit.dataset.checks.images import ImageRules, check_entries, follows_links
from darknet_kit.dataset.checks.labels import LabelRules
from darknet_kit.dataset.reading import Dataset, iter_listed
from darknet_kit.errors import DatasetError


@dataclass(slots=True)
class ListCheck:
    """Counts of one list: images and boxes, findings by code, and the first of each code."""

    split: Split
    images: int = 0
    boxes: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    first: dict[str, Finding] = field(default_factory=dict)

    @property
    def missing_labels(self) -> int:
        """How many images the engine would take for empty, or end at."""
        return self.codes["missing-label"] + self.codes["unsupported-image"]

    @property
    def first_missing_label(self) -> str:
        finding = self.first.get("missing-label") or self.first.get("unsupported-image")
        return finding.path if finding else ""


def check_list(dataset: Dataset, split: Split, progress: Progress = no_progress) -> ListCheck:
    """Look at every label of a list, and whether its image is there.

    Raises DatasetError where there is no list.
    """
    result = ListCheck(split)
    entries = list(enumerate(iter_listed(dataset, split), start=1))
    labels = LabelRules(dataset.flavor, len(dataset.names))
    rules = ImageRules(
        labels,
        str(dataset.image_list(split)),
        pictures=False,
        links=follows_links(dataset.flavor, split),
    )
    look = functools.partial(check_entries, rules=rules)
    for found in map_shards(look, shards(entries)):
        result.images += found.images
        result.boxes += found.boxes
        for finding in found.findings:
            result.codes[finding.code] += 1
            result.first.setdefault(finding.code, finding)
        progress(result.images, len(entries))
    return result


def require_trainable(dataset: Dataset, check: ListCheck) -> None:
    """Refuse a list with which a run would be wasted. Raises DatasetError, the worst thing first.

    A missing image is a black one to some engines and the end of others; without any label an
    engine trains for days on what it takes for empty images.
    """
    found = next(_refusals(dataset, check), None)
    if found:
        code, message, hint = found
        path = dataset.image_list(check.split)
        raise DatasetError(message, code=code, hint=hint or FAULTS[code].cure, path=path)


def _refusals(dataset: Dataset, check: ListCheck) -> Iterator[tuple[str, str, str]]:
    """Yield code, message, and a cure where the table's own would say less."""
    listed = f"{check.images:,} {check.split} images"
    if not check.images:
        yield "empty-list", f"the {check.split} list is empty", ""
    for code, what in (("missing-image", "not there"), ("unreadable-image", "no files")):
        if count := check.codes[code]:
            yield code, f"{count:,} of {listed} are {what}, as {check.first[code].path}", ""
    if not check.boxes:
        where = check.first_missing_label
        looked = f"; labels are looked for as {where}" if where else ""
        flavor = dataset.flavor.value
        hint = (
            f"That is where {flavor} darknet looks: convert with --flavor {flavor}, or with "
            "--out for all of them."
        )
        yield "no-boxes", f"none of {listed} has a box{looked}", hint
    if wrong := check.codes["class-out-of-range"]:
        message = (
            f"{wrong:,} label files name a class beyond the {len(dataset.names)} in use, as "
            f"{check.first['class-out-of-range'].path}"
        )
        yield "class-out-of-range", message, ""
