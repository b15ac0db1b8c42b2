"""A Darknet data set, read back as an engine would read it: images, labels, class names."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.records import Split
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.datafile import DataFile, iter_image_list, read_data, read_names
from darknet_kit.formats.record import RECORD, read_record
from darknet_kit.formats.yolo import Label, label_path, read_labels


@dataclass(frozen=True, slots=True)
class Dataset:
    """A `.data` file with its class names and the flavour that its labels were laid out for."""

    data: DataFile
    names: list[str]
    flavor: Flavor

    def image_list(self, split: Split) -> Path | None:
        if split == "train":
            return self.data.require_train()
        if split == "valid":
            return self.data.valid
        beside = self.data.require_train().with_name("test.txt")
        return beside if beside.exists() else None


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An entry of an image list. `labels` is None where the engine would find no label file."""

    image: str
    label: str
    labels: list[Label] | None


def read_dataset(path: AnyPath, flavor: Flavor | None = None) -> Dataset:
    """Read a `.data` file and its names.

    The flavour is that of the conversion that made the set, AlexeyAB's where nothing says so.
    Raises DatasetError.
    """
    data = read_data(path)
    names = read_names(data.names)
    if data.classes is not None and data.classes != len(names):
        raise DatasetError(
            f"classes = {data.classes}, but {data.names} has {len(names)} names",
            code="classes-differ",
            hint="Make the two agree; blank lines in the .names file count as classes.",
            path=data.path,
        )
    return Dataset(data, names, flavor or recorded_flavor(data.path.parent))


def recorded_flavor(folder: Path) -> Flavor:
    """Return the flavour that dkit wrote the set in a folder for; AlexeyAB's where it did not."""
    record = read_record(folder / RECORD)
    try:
        return Flavor((record or {})["settings"]["flavor"])
    except (KeyError, TypeError, ValueError):
        return Flavor.ALEXEYAB


def read_wnids(dataset: Dataset) -> list[str]:
    """Return the wnid of each class, from the `.wnids` file beside the names; [] without one.

    The line of a merged class holds several, joined by `+`. Raises DatasetError.
    """
    beside = dataset.data.names.with_suffix(".wnids")
    wnids = read_names(beside) if beside.exists() else []
    return wnids if len(wnids) == len(dataset.names) else []


def iter_listed(dataset: Dataset, split: Split) -> Iterator[str]:
    """Yield the path of each image of a split. Raises DatasetError where a list is missing."""
    listing = dataset.image_list(split)
    if listing is not None:
        yield from iter_image_list(listing)


def iter_images(dataset: Dataset, split: Split) -> Iterator[LabelledImage]:
    """Yield each image of a split with its labels. Raises DatasetError where a list is missing."""
    for image in iter_listed(dataset, split):
        yield read_image(image, dataset.flavor)


def read_image(image: str, flavor: Flavor) -> LabelledImage:
    """Read the labels of an image where this engine would look for them."""
    label = label_path(image, flavor)
    return LabelledImage(image, label or "", read_labels(label) if label else None)
