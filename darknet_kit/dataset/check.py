"""What the lists of a data set hold, seen as one engine would see it before it trains."""

import os
from dataclasses import dataclass

from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Split
from darknet_kit.dataset.reading import Dataset, iter_images
from darknet_kit.errors import DatasetError


@dataclass(slots=True)
class ListCheck:
    """Counts of one list; `first_…` are the first entries of each kind, as examples."""

    split: Split
    images: int = 0
    boxes: int = 0
    missing_images: int = 0
    missing_labels: int = 0
    wrong_classes: int = 0
    first_missing_image: str = ""
    first_missing_label: str = ""
    first_wrong_class: str = ""


def check_list(dataset: Dataset, split: Split, progress: Progress = no_progress) -> ListCheck:
    """Look at every image and label of a list. Raises DatasetError where there is no list."""
    result = ListCheck(split)
    for image in iter_images(dataset, split):
        result.images += 1
        progress(result.images, 0)
        if not os.path.isfile(image.image):
            result.missing_images += 1
            result.first_missing_image = result.first_missing_image or image.image
        if image.labels is None:
            result.missing_labels += 1
            result.first_missing_label = result.first_missing_label or image.label or image.image
            continue
        result.boxes += len(image.labels)
        if any(not 0 <= label.class_id < len(dataset.names) for label in image.labels):
            result.wrong_classes += 1
            result.first_wrong_class = result.first_wrong_class or image.label
    return result


def require_trainable(dataset: Dataset, check: ListCheck) -> None:
    """Refuse a list with which a run would be wasted. Raises DatasetError, the worst thing first.

    A missing image is a black one to some engines and the end of others; without any label an
    engine trains for days on what it takes for empty images.
    """
    path = dataset.image_list(check.split)
    listed = f"{check.images:,} {check.split} images"
    if not check.images:
        raise DatasetError(
            f"the {check.split} list is empty",
            code="empty-list",
            hint="Convert again, or choose other classes or splits.",
            path=path,
        )
    if check.missing_images:
        raise DatasetError(
            f"{check.missing_images:,} of {listed} are not there, as {check.first_missing_image}",
            code="missing-image",
            hint="Lists hold full paths; convert again where the images have moved.",
            path=path,
        )
    if not check.boxes:
        where = check.first_missing_label
        raise DatasetError(
            f"none of {listed} has a box"
            + (f"; labels are looked for as {where}" if where else ""),
            code="no-boxes",
            hint=f"That is where {dataset.flavor.value} darknet looks: convert with "
            f"--flavor {dataset.flavor.value}, or with --out for all of them.",
            path=path,
        )
    if check.wrong_classes:
        raise DatasetError(
            f"{check.wrong_classes:,} label files name a class beyond the {len(dataset.names)} "
            f"in use, as {check.first_wrong_class}",
            code="class-out-of-range",
            hint="class_id counts from 0; labels and .names belong to different conversions.",
            path=path,
        )
