"""Numbers of things, in words."""

import pytest

from darknet_kit.core.wording import counted


@pytest.mark.parametrize(
    ("number", "noun", "width", "expected"),
    [
        (0, "image", 0, "0 images"),
        (1, "image", 0, "1 image"),
        (1200, "box", 0, "1,200 boxes"),
        (1, "class", 0, "1 class"),
        (2, "class", 0, "2 classes"),
        (1, "box", 5, "    1 box  "),
        (12, "box", 5, "   12 boxes"),
    ],
)
def test_numbers_of_things(number: int, noun: str, width: int, expected: str) -> None:
    assert counted(number, noun, width=width) == expected
