"""Small data sets that tests write, and what tests ask of folders."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

Thing = tuple[str, float, float, float, float]
"""Class name, xmin, ymin, xmax, ymax."""
Boxes = Sequence[tuple[int, float, float]] | None
"""Of one image: class_id, width and height of each box as fractions; None for no label file."""
CAT: Thing = ("cat", 11, 11, 60, 30)


def write_picture(path: Path, size: tuple[int, int] = (100, 50), color: str = "gray") -> Path:
    """Write an image of any suffix; its content is JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path, "JPEG")
    return path


def pascal_xml(
    *things: Thing, size: tuple[int, int] | None = (100, 50), filename: str = "", flags: str = ""
) -> str:
    """Return an annotation. `flags` go into every object, as they stand."""
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    objects = "".join(
        f"<object><name>{name}</name>{flags}<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
        f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>\n"
        for name, xmin, ymin, xmax, ymax in things
    )
    named = f"<filename>{filename}</filename>" if filename else ""
    return f"<annotation>{named}{stated}\n{objects}</annotation>\n"


def write_pair(image: Path, annotation: Path, *things: Thing, flags: str = "") -> None:
    """Write an image and its annotation."""
    write_picture(image)
    annotation.parent.mkdir(parents=True, exist_ok=True)
    annotation.write_text(pascal_xml(*(things or (CAT,)), flags=flags))


def write_voc(root: Path, stems: str, **lists: str) -> Path:
    """Write a devkit, `stems` and each list by words: write_voc(root, "1 2", train="1")."""
    for stem in stems.split():
        write_pair(root / f"JPEGImages/{stem}.jpg", root / f"Annotations/{stem}.xml")
    for name, listed in lists.items():
        path = root / f"ImageSets/Main/{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{stem}\n" for stem in listed.split()))
    return root


def write_labels(
    folder: Path,
    names: Sequence[str] = ("cat", "dog", "owl"),
    **lists: Mapping[str, Boxes],
) -> Path:
    """Write lists, labels and names, but no images; return the .data file."""
    for split, images in lists.items():
        for stem, boxes in images.items():
            if boxes is not None:
                lines = [f"{class_id} .5 .5 {w} {h}\n" for class_id, w, h in boxes]
                (folder / f"{stem}.txt").write_text("".join(lines))
        listed = "".join(f"{folder}/{stem}.jpg\n" for stem in images)
        (folder / f"{split}.txt").write_text(listed)
    (folder / "x.names").write_text("".join(f"{name}\n" for name in names))
    keys = "".join(f"{split} = {split}.txt\n" for split in lists if split != "test")
    (folder / "x.data").write_text(f"classes = {len(names)}\n{keys}names = x.names\n")
    return folder / "x.data"


def digests(root: Path) -> dict[str, tuple[str, int]]:
    """Return what every file below a folder holds, and when it was written; links unfollowed."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            content = os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes()
            key = str(path.relative_to(root))
            found[key] = (hashlib.sha256(content).hexdigest(), path.lstat().st_mtime_ns)
    return found


def contents(root: Path) -> dict[str, str]:
    """Return what every file below a folder holds."""
    return {name: digest for name, (digest, _) in digests(root).items()}


def lines(path: Path) -> list[str]:
    """Return the lines of a text file."""
    return path.read_text().splitlines()
