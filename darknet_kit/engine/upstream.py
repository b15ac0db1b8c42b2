"""The Darknet sources that dkit builds: which repository, which commit."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from darknet_kit.core.flavor import Flavor
from darknet_kit.errors import UsageError

_HERE = Path(__file__).resolve().parent
THIRD_PARTY = _HERE.parents[1] / "third_party" / "darknet"


@dataclass(frozen=True, slots=True)
class Pin:
    """One upstream: `history` says that its build needs the tags, not only the one commit."""

    flavor: Flavor
    repositories: tuple[str, ...]
    commit: str
    license: str
    about: str
    history: bool


@cache
def read_pins() -> tuple[Pin, ...]:
    """Read `upstream.toml`: in the installed package beside this file, else in the checkout."""
    inside = _HERE / "upstream.toml"
    path = inside if inside.exists() else THIRD_PARTY / "upstream.toml"
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(
        Pin(
            flavor=Flavor(name),
            repositories=tuple(table["repositories"]),
            commit=table["commit"],
            license=table["license"],
            about=table["about"],
            history=table["history"],
        )
        for name, table in tables.items()
    )


def find_pin(flavor: Flavor) -> Pin:
    """Return the pin of a flavour. Raises UsageError for the original, which Debian packages."""
    for pin in read_pins():
        if pin.flavor is flavor:
            return pin
    raise UsageError(
        f"dkit does not build the {flavor} darknet",
        code="no-such-build",
        hint="Debian and Ubuntu package it: `apt-get install darknet`.",
    )


def find_word_tree() -> Path | None:
    """Find upstream's tree of synsets: in a checkout in third_party/darknet, else where Debian's
    package has it."""
    roots = (*(THIRD_PARTY / flavor.value for flavor in Flavor), Path("/usr/share/darknet"))
    trees = (root / "data" / "9k.tree" for root in roots)
    return next((tree for tree in trees if tree.is_file()), None)
