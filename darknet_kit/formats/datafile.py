"""Darknet's `.data` files and the lists they name: `.names`, `train.txt`, `valid.txt`.

`.data` is `key = value` by line. Darknet removes blanks even inside values, takes the first of
duplicate keys, and knows comments only at the start of a line (AlexeyAB `src/option_list.c`,
`read_data_cfg`). A path with a blank in it therefore cannot be written there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from darknet_kit.core.contents import open_ordinary
from darknet_kit.errors import AnyPath, DatasetError, UsageError


@dataclass(frozen=True, slots=True)
class DataFile:
    """A `.data` file, its paths made absolute; None stands for a key that is missing."""

    path: Path
    names: Path
    train: Path | None = None
    valid: Path | None = None
    backup: Path | None = None
    classes: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def require_train(self) -> Path:
        """Return the list of images to train on. Raises DatasetError where none is named."""
        if self.train is None:
            raise DatasetError(
                "this .data file has no line `train = ...`, so it says nothing to train on",
                code="no-train-list",
                hint="Name a list there: a text file with the path of one image a line.",
                path=self.path,
            )
        return self.train


_LONGEST_CLASS = 255  # bytes
_BLANKS = str.maketrans("", "", " \t\n\r")  # what Darknet drops; other blanks are text to it


def parse_data(text: str) -> dict[str, str]:
    """Return the keys and values of a `.data` file as Darknet would read them."""
    options: dict[str, str] = {}
    for line in text.removeprefix("\ufeff").split("\n"):
        stripped = line.translate(_BLANKS)
        if not stripped or stripped[0] in "#;" or "=" not in stripped:
            continue
        key, _, value = stripped.partition("=")
        options.setdefault(key, value)
    return options


def format_data(options: Mapping[str, object]) -> str:
    """Return the text of a `.data` file, one `key = value` a line."""
    return "".join(f"{key} = {value}\n" for key, value in options.items())


def can_hold(value: str) -> bool:
    """Tell whether a value comes back from a `.data` file as it was."""
    return value.translate(_BLANKS) == value


def read_data(path: AnyPath) -> DataFile:
    """Read a `.data` file and find the files that it names.

    A relative path means what it means to Darknet, relative to the current folder, where such a
    file exists; else relative to the `.data` file itself. Raises DatasetError, UsageError.
    """
    source = Path(path)
    if source.is_dir():
        raise not_a_folder(source)
    options = parse_data(read_text(source, "a Darknet .data file"))
    if not options.get("names"):
        raise DatasetError(
            "this is no Darknet .data file: it has no line `names = ...`",
            code="not-a-data-file",
            hint="`dkit convert` writes one; give the path of a file NAME.data.",
            path=source,
        )
    classes = options.get("classes")
    if classes is not None and not (classes.isascii() and classes.isdigit()):
        raise DatasetError(
            f"classes must be a whole number, not {classes!r}",
            code="bad-classes",
            hint="It is the number of lines of the .names file.",
            path=source,
        )
    keys = [key for key in ("names", "train", "valid", "backup") if options.get(key)]
    named = {key: locate(options[key], source) for key in keys}
    return DataFile(
        path=source.absolute(),
        names=named["names"],
        train=named.get("train"),
        valid=named.get("valid"),
        backup=named.get("backup"),
        classes=int(classes) if classes is not None else None,
        options=options,
    )


def locate(value: str, source: Path) -> Path:
    """Return the file that a value of the `.data` file `source` names; see `read_data`."""
    path = Path(value)
    if path.is_absolute() or path.exists():
        return path.absolute()
    beside = source.absolute().parent / path
    return beside if beside.exists() else path.absolute()


def read_difficult(data: DataFile, images: Sequence[str]) -> list[str]:
    """Return the paths that `difficult` lists, one for each of the images to validate on.

    Labels of difficult objects are found from them as an image's labels are. Empty where the
    file has no such key. Raises DatasetError for a list that is not as long as the images.
    """
    named = data.options.get("difficult")
    listed = list(iter_image_list(locate(named, data.path))) if named else []
    if named and len(listed) != len(images):
        raise DatasetError(
            f"{len(listed)} paths of difficult objects for {len(images)} images",
            code="difficult-list",
            hint="`difficult =` names one path for each line of `valid =`, in the same order.",
            path=data.path,
        )
    return listed


def parse_names(text: str) -> list[str]:
    """Return the class names in the order of their class_id; blank lines at the end are dropped.

    Darknet counts each blank line as a class, which is never meant.
    """
    names = [line.strip() for line in text.removeprefix("\ufeff").splitlines()]
    while names and not names[-1]:
        names.pop()
    return names


def one_line(name: str) -> str:
    """Return a class name as a `.names` file can hold it: on one line, single blanks, UTF-8."""
    return " ".join(name.split()).encode("utf-8", "backslashreplace").decode()


def class_name(text: str) -> str:
    """Return a class name as `one_line` does; empty where it is too long for an engine's buffers.

    AlexeyAB's joins the names of all classes of a box in 4096 bytes (`src/image.c`).
    """
    name = one_line(text)
    return name if len(name.encode()) <= _LONGEST_CLASS else ""


def read_names(path: AnyPath) -> list[str]:
    """Read a `.names` file. Raises DatasetError where it is missing, empty, or has a gap."""
    names = parse_names(read_text(path, "a .names file"))
    if not names:
        raise DatasetError(
            "there is no class in this file",
            code="no-classes",
            hint="Write one class name a line, in the order of the class ids.",
            path=path,
        )
    if "" in names:
        raise DatasetError(
            "a blank line between class names counts as a class",
            code="blank-class",
            hint="Remove the blank line, or name the class that belongs there.",
            path=path,
            line=names.index("") + 1,
        )
    _refuse_long(names, path)
    return names


def _refuse_long(names: Iterable[str], path: AnyPath) -> None:
    for number, name in enumerate(names, 1):
        if not class_name(name):
            raise DatasetError(
                f"a class name of {len(name):,} characters",
                code="long-class",
                hint=f"Engines have no room for more than {_LONGEST_CLASS} bytes: shorten it.",
                path=path,
                line=number,
            )


def format_lines(lines: Iterable[str]) -> str:
    """Return one item a line, as `.names` and image lists have it."""
    return "".join(f"{line}\n" for line in lines)


def iter_image_list(path: AnyPath) -> Iterator[str]:
    """Yield the image paths of a `train.txt` or `valid.txt`, streaming. Raises DatasetError."""
    return (entry for _, entry in iter_image_lines(path))


def iter_image_lines(path: AnyPath) -> Iterator[tuple[int, str]]:
    """Yield the same paths, each with the number of its line, from 1. Raises DatasetError."""
    try:
        with open(open_ordinary(path), encoding="utf-8", errors="surrogateescape") as stream:
            for number, line in enumerate(stream, start=1):
                entry = line.strip()
                if entry:
                    yield number, entry
    except OSError as error:
        raise unreadable_file(path, "an image list", error) from error


def read_text(path: AnyPath, kind: str) -> str:
    """Read a small text file as UTF-8. Raises DatasetError that says what `kind` was expected."""
    try:
        with open(open_ordinary(path), encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except OSError as error:
        raise unreadable_file(path, kind, error) from error


def not_a_folder(path: AnyPath) -> UsageError:
    """Return the error that says that a folder was given, and which `.data` file is in it."""
    inside = _find_data_files(Path(path))
    hint = f"Name the .data file in it, {inside[0]}." if inside else "Name a file NAME.data."
    return UsageError("this is a folder", code="is-a-folder", hint=hint, path=path)


def missing_file(path: AnyPath, kind: str) -> DatasetError:
    """Return the error that says that a file, `kind`, is missing, and which one may be meant."""
    others = _find_data_files(Path(path).parent) if Path(path).suffix == ".data" else []
    return DatasetError(
        f"no such file; expected {kind} here",
        code="missing-file",
        hint=f"Check the path: there is {others[0]}."
        if others
        else "Check the path; relative paths start at the current folder.",
        path=path,
    )


def _find_data_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.data") if file.is_file())


def unreadable_file(path: AnyPath, kind: str, error: OSError) -> DatasetError:
    """Return the error that says that a file, `kind`, is missing or cannot be read."""
    if isinstance(error, FileNotFoundError):
        return missing_file(path, kind)
    return DatasetError(
        f"cannot read {kind}: {error.strerror}",
        code="cannot-read",
        hint="Check that it is a file and that you may read it.",
        path=path,
    )
