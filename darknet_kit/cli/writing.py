"""Files that a command writes beside its summary: pictures and tables."""

from collections.abc import Mapping
from pathlib import Path

from darknet_kit.core.files import holds, make_folder, write_bytes
from darknet_kit.errors import AnyPath, ToolchainError, UsageError

PICTURES = ("png", "svg", "pdf")


def kind_of(path: AnyPath) -> str:
    """Return the ending of a file name, in lower case and without its dot."""
    return Path(path).suffix[1:].lower()


def require_charts() -> None:
    """Raise ToolchainError (`missing-extra`) where what draws charts is not installed."""
    try:
        import matplotlib  # noqa: F401
        import pandas  # noqa: F401
    except ImportError as error:
        raise ToolchainError(
            f"charts need {error.name}, which is not installed",
            code="missing-extra",
            hint="pip install 'darknet-kit[charts]'",
        ) from error


def write_files(contents: Mapping[Path, bytes], overwrite: bool) -> dict[Path, str]:
    """Write the files and return what was done about each. Raises UsageError, WriteError."""
    for path, content in contents.items():
        if path.exists() and not overwrite and not holds(path, content):
            raise UsageError(
                "this file is there already, with other content",
                code="file-exists",
                hint="Name another place with --out or -o, or add --overwrite.",
                path=path,
            )
    done = {}
    for path, content in contents.items():
        make_folder(path.parent)
        done[path] = "wrote" if write_bytes(path, content) else "up to date"
    return done
