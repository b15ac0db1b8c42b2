"""Variables on a build tool's command line, and which libraries they have to tell of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.engine.libraries import Library

LINKS_FOLDER = "dkit-lib"  # beside the source: plain names of libraries that lack them

# The compiler looks here by itself; naming these would change the order of its search.
_STANDARD_FOLDERS = ("/usr/include", "/usr/local/include", "/usr/lib", "/lib", "/usr/lib64")


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable on the build tool's command line, and why it has this value."""

    name: str
    value: str
    reason: str


def used_libraries(libraries: Iterable[Library], cudnn: bool) -> list[Library]:
    """Return those to compile with: what is whole, and the driver's, for which a stub will do."""
    return [
        one
        for one in libraries
        if one.header and (one.file or one.name == "cuda") and (one.name != "cudnn" or cudnn)
    ]


def is_numbered(library: Library) -> bool:
    """Tell whether the linker does not find a library, because its name ends in a number."""
    return library.file is not None and library.file.suffix != ".so"


def outside_standard(folders: Sequence[Path]) -> list[Path]:
    """Return the folders that compilers and the loader must be told of, each once."""
    standard = tuple(Path(folder) for folder in _STANDARD_FOLDERS)
    unique = dict.fromkeys(folders)
    return [one for one in unique if one not in standard and one.parent not in standard]
