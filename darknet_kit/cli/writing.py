"""Files that a command writes beside its summary: pictures, tables, networks."""

import os
from collections.abc import Mapping
from pathlib import Path

from darknet_kit.core.contents import holds
from darknet_kit.core.files import make_folder, write_bytes
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


def require_free(path: AnyPath, content: bytes | None, overwrite: bool) -> None:
    """Refuse to replace a file unasked; one that holds `content` already is as good as none.

    `content` is None where it is not known beforehand. Raises UsageError (`is-a-folder`,
    `file-exists`).
    """
    if os.path.isdir(path):
        raise UsageError(
            "this is a folder, and a file is to be written",
            code="is-a-folder",
            hint="Name the file in it.",
            path=path,
        )
    if overwrite or not os.path.lexists(path) or (content is not None and holds(path, content)):
        return
    raise UsageError(
        "another file is there already",
        code="file-exists",
        hint="Name another place, or add --overwrite.",
        path=path,
    )


def write_files(contents: Mapping[Path, bytes], overwrite: bool) -> dict[Path, str]:
    """Write all files, or none where others are in the way; return what was done about each.

    Folders that are missing are made. Raises UsageError as `require_free`, WriteError.
    """
    for path, content in contents.items():
        require_free(path, content, overwrite)
    for folder in {path.parent for path in contents}:
        make_folder(folder)
    return {
        path: "wrote" if write_bytes(path, content) else "up to date"
        for path, content in contents.items()
    }
