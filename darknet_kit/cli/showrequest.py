"""What `dkit show` is asked to draw, and how much of it fits."""

import os
from dataclasses import dataclass

from darknet_kit.cli.paths import shown
from darknet_kit.core.records import SPLITS, Split
from darknet_kit.dataset.reading import Dataset, iter_listed
from darknet_kit.errors import UsageError

ON_SHEET, ON_PAGE = 12, 300
"""How many images are drawn unless somebody says otherwise."""
_MOST_ON_SHEET, _MOST_ON_PAGE = 400, 5000


@dataclass(frozen=True, slots=True)
class ShowRequest:
    """What to draw of which data set, and where to. `what` is a split, `all` or `problems`."""

    dataset: Dataset
    path: str
    what: str
    is_page: bool
    problems: str
    workers: int | None

    @property
    def of_problems(self) -> bool:
        return self.what == "problems"

    @property
    def kind(self) -> str:
        """What there are so and so many of."""
        kinds = {"all": "images", "problems": f"images in {shown(self.problems)}"}
        return kinds.get(self.what, f"{self.what} images")

    @property
    def splits(self) -> list[Split]:
        return [split for split in SPLITS if self.what in (split, "all")]

    def limit(self, count: int | None) -> int:
        """Return how many images to draw. Raises UsageError where a picture cannot hold them."""
        usual, most = (ON_PAGE, _MOST_ON_PAGE) if self.is_page else (ON_SHEET, _MOST_ON_SHEET)
        if count and count > most:
            raise UsageError(
                f"{count:,} images are too many; at most {most:,} fit",
                code="too-many",
                hint="Choose fewer, by --class or --problem."
                if self.is_page
                else f"A page, -o NAME.html, holds {_MOST_ON_PAGE:,}.",
            )
        return count or usual


def first_split(dataset: Dataset) -> Split:
    """Return the first split with an image, `train` without any. Raises DatasetError."""
    return next((split for split in SPLITS if any(iter_listed(dataset, split))), "train")


def is_page(output: str | None) -> bool:
    """Tell a page from a sheet by the name of the file. Raises UsageError."""
    suffix = os.path.splitext(output or ".png")[1].lower()
    if output and suffix not in (".png", ".html"):
        raise UsageError(
            "dkit show writes .png and .html",
            code="unknown-suffix",
            hint="Name a sheet NAME.png, or a page NAME.html.",
            path=output,
        )
    return suffix == ".html"
