"""Sources that cannot be converted as they were named: what they are, and what to type instead.

Nothing here decides how a good source is read. Only names and the beginnings of files are looked
at, and of a large tree only a part.
"""

import itertools
import os
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from darknet_kit.core.contents import open_ordinary
from darknet_kit.core.wording import counted
from darknet_kit.errors import DatasetError
from darknet_kit.formats.image import is_image
from darknet_kit.formats.locsolution import SOLUTION
from darknet_kit.formats.record import RECORD, is_view
from darknet_kit.formats.tree import ANNOTATION_FOLDERS, IMAGE_FOLDERS

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".gz", ".7z", ".rar")
_LOOKED_AT = 20_000  # files of a tree
_TEXTS = 50  # of them, opened to see whether they are labels
_BEGINNING = 1 << 14  # bytes of a file
_LEVELS = 3  # up from a folder that is one of a data set
_YOLO_LINE = re.compile(r"\s*\d+(?:\s+[-+.\deE]+){4,}\s*")
# A large file may begin with all its categories; Label Studio's YOLO has a file of these alone.
_COCO_KEYS = (re.compile(r'"(images|categories|annotations|info)"'), re.compile(r'"images"'))
_CVAT_HINT = "Export it anew, as `PASCAL VOC 1.1` or `COCO 1.0`."
_JSON_KINDS = (
    (("shapes", "imagePath"), "labelme's own JSON", "VOC or COCO (labelme2voc, labelme2coco)"),
    (("coordinates", "image"), "CreateML's JSON", "Pascal VOC or COCO"),
    (("dm_format_version", "categories"), "Datumaro's own JSON", "COCO"),
)


@dataclass(slots=True)
class _Sight:
    """What lies in a folder and below it: counts, and the first path of each kind."""

    images: int = 0
    first: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, path: str) -> None:
        self.first.setdefault(kind, path)
        self.counts[kind] = self.counts.get(kind, 0) + 1


def no_annotations(source: str, wanted: str) -> DatasetError:
    """Return the error for a source without annotations of the kind `wanted`.

    `wanted` is what the person typed: ilsvrc, voc or coco.
    """
    if not os.path.exists(source):
        return _error("there is no such folder", "missing-folder", "Check the path.", source)
    if not os.path.isdir(source):
        return _of_file(source)
    sight = _look(source)
    for explain in _EXPLANATIONS:
        error = explain(source, wanted, sight)
        if error:
            return error
    kinds = {"voc": "XML annotation", "ilsvrc": "ILSVRC tree", "coco": "COCO instances file"}
    what = f"{counted(sight.images, 'image')}, but" if sight.images else "there is"
    return _error(
        f"{what} no {kinds[wanted]} here or below",
        "wrong-layout" if wanted == "ilsvrc" else "no-annotations",
        "Give the folder that holds the annotations and the images.",
        source,
    )


def no_images(source: str, count: int, images: str = "") -> DatasetError:
    """Return the error for a source of `count` annotations, none of which has its image there, or
    in the folder `images`."""
    sight = _look(source)
    if _begins(sight.first.get("xml", ""), "<annotations"):
        return _error("this is CVAT's own XML for images", "not-pascal", _CVAT_HINT, source)
    part = _of_ilsvrc(source, "voc", sight)
    if part:
        return part
    if images:
        message = f"none of the annotations has its image in {images} ({count:,} are without)"
        return _error(message, "no-images", "Images and annotations need the same names.", source)
    above = _above(source, IMAGE_FOLDERS, is_image)
    hint = _command("voc", above) if above else ""
    return _error(
        f"none of the annotations has its image here ({count:,} are without)",
        "no-images",
        hint or _unpack(sight) or "Name the folder that has the images with --images DIR.",
        source,
    )


def _of_file(path: str) -> DatasetError:
    folder, name = os.path.split(os.path.abspath(path))
    suffix = os.path.splitext(name)[1].lower()
    if name.lower().endswith(_ARCHIVES):
        return _error("this is an archive", "not-a-folder", _unpack_command(path), path)
    hint = "Give the folder that holds the annotations and the images."
    if suffix == ".xml":
        base = os.path.basename(folder).lower() in ANNOTATION_FOLDERS
        hint = _command("voc", os.path.dirname(folder) if base else folder)
    elif suffix == ".json":
        hint = _command("coco", path)
    elif SOLUTION.fullmatch(name):
        hint = _command("ilsvrc", folder)
    elif suffix == ".data":
        hint = f"It is a Darknet data set already: dkit show {shlex.quote(path)}"
    return _error("this is a file, not a folder", "not-a-folder", hint, path)


def _look(root: str) -> _Sight:
    sight = _Sight()
    for number, path in enumerate(_walk(root)):
        name = os.path.basename(path)
        if is_image(name):
            sight.images += 1
        elif name == RECORD:
            sight.add("record", path)
        else:
            archive = name.lower().endswith(_ARCHIVES)
            sight.add("archive" if archive else os.path.splitext(name)[1][1:].lower(), path)
        if number > _LOOKED_AT:
            break
    return sight


def _walk(root: str) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(folder, name) for name in sorted(names) if name[0] != ".")


def _of_dkit(source: str, wanted: str, sight: _Sight) -> DatasetError | None:
    if "data" not in sight.first or not is_view(os.path.dirname(sight.first.get("record", ""))):
        return None
    data = shlex.quote(sight.first["data"])
    return _error(
        "this is a Darknet data set that dkit made", "wrong-layout", f"dkit show {data}", source
    )


def _of_ilsvrc(source: str, wanted: str, sight: _Sight) -> DatasetError | None:
    """Find an ILSVRC tree around the folder that was named."""
    parents = itertools.islice(Path(os.path.abspath(source)).parents, _LEVELS)
    root = next((str(parent) for parent in parents if _is_tree(parent)), "")
    if not root:
        return None
    message = "this is a part of an ILSVRC tree"
    return _error(message, "wrong-layout", _command("ilsvrc", root), source)


def _is_tree(root: Path) -> bool:
    return all((root / kind / "CLS-LOC").is_dir() for kind in ("Annotations", "Data"))


def _of_pascal(source: str, wanted: str, sight: _Sight) -> DatasetError | None:
    if "xml" not in sight.first:
        return None
    return _error(
        "this is no ILSVRC tree: expected Annotations/CLS-LOC and Data/CLS-LOC in it",
        "wrong-layout",
        f"For any other tree of XML: {_command('voc', source)}",
        source,
    )


def _of_json(source: str, wanted: str, sight: _Sight) -> DatasetError | None:
    path = sight.first.get("json", "")
    text = _beginning(path)
    for keys, what, cure in _JSON_KINDS:
        if all(f'"{key}"' in text for key in keys):
            return _error(
                f"this is {what}: {path}", "wrong-layout", f"Make {cure} of it first.", source
            )
    if wanted != "coco" and _COCO_KEYS[len(text) < _BEGINNING].search(text):
        return _error(
            f"this is COCO data: {path}", "wrong-layout", _command("coco", source), source
        )
    if wanted == "coco" and path:
        return _error(
            f"there are {sight.counts['json']:,} JSON files, none called as instances files are",
            "no-annotations",
            f"Give the right one itself, and its images: {_command('coco', path)} --images DIR",
            source,
        )
    return None


def _of_yolo(source: str, wanted: str, sight: _Sight) -> DatasetError | None:
    looked_at = itertools.islice(_walk(source), _LOOKED_AT)
    texts = (path for path in looked_at if path.endswith(".txt"))
    first = next(filter(_is_label, itertools.islice(texts, _TEXTS)), "")
    if not first:
        return None
    if "data" in sight.first:
        check = f"dkit check {shlex.quote(sight.first['data'])}"
        return _error("this is a Darknet data set already", "already-yolo", check, source)
    return _error(
        f"these are YOLO labels already: {counted(sight.counts['txt'], 'text file')} as {first}",
        "already-yolo",
        "Darknet reads them beside their images, not in a folder labels: put them there, list the "
        "images in train.txt and valid.txt, and name both and the class names in a .data file.",
        source,
    )


def _is_label(path: str) -> bool:
    lines = _beginning(path).splitlines()[:3]
    return bool(lines) and all(map(_YOLO_LINE.fullmatch, lines))


def _too_low(source: str, wanted: str, sight: _Sight) -> DatasetError | None:
    above = _above(source, ANNOTATION_FOLDERS, lambda name: name.lower().endswith(".xml"))
    if not above or not sight.images:
        return None
    return _error(
        f"{counted(sight.images, 'image')} here, and the annotations in another folder",
        "no-annotations",
        _command("voc", above),
        source,
    )


def _packed(source: str, wanted: str, sight: _Sight) -> DatasetError | None:
    hint = _unpack(sight)
    if not hint:
        return None
    return _error("the archives in this folder are not unpacked", "no-annotations", hint, source)


_EXPLANATIONS: tuple[Callable[[str, str, _Sight], DatasetError | None], ...] = (
    _of_dkit,
    _of_ilsvrc,
    _of_pascal,
    _of_json,
    _of_yolo,
    _too_low,
    _packed,
)


def _above(source: str, folders: tuple[str, ...], fits: Callable[[str], bool]) -> str:
    """Return the folder above that has, beside the source, a folder of files that fit."""
    above = os.path.dirname(os.path.abspath(source))
    for name in sorted(os.listdir(above)):
        path = os.path.join(above, name)
        if name.lower() in folders and os.path.isdir(path) and any(map(fits, os.listdir(path))):
            return above
    return ""


def _unpack(sight: _Sight) -> str:
    return _unpack_command(sight.first["archive"]) if "archive" in sight.first else ""


def _unpack_command(path: str) -> str:
    tool = "gunzip" if path.lower().endswith(".gz") else "unzip"
    tool = "tar xf" if ".tar" in path.lower() or path.lower().endswith(".tgz") else tool
    return f"Unpack it: {tool} {shlex.quote(path)}"


def _beginning(path: str) -> str:
    try:
        with open(open_ordinary(path), encoding="utf-8", errors="replace") as stream:
            return stream.read(_BEGINNING)
    except OSError:
        return ""


def _begins(path: str, tag: str) -> bool:
    return re.search(rf"{tag}\b", _beginning(path)) is not None


def _command(kind: str, path: str) -> str:
    return f"dkit convert {kind} {shlex.quote(path)}"


def _error(message: str, code: str, hint: str, path: str) -> DatasetError:
    return DatasetError(message, code=code, hint=hint, path=path)
