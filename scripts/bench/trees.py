"""Make ILSVRC and VOC trees of any size, in the genuine layouts and the genuine form of XML.

    python scripts/bench/trees.py ilsvrc FOLDER --images 544546 --unlabelled 736714

All images are hard links to one small JPEG: conversion lists them and opens none.
"""

import argparse
import os
import random
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

_SIZE = (500, 375)
_LINKS = 30_000  # to one file; ext4 allows 65,000
_OBJECT = """\
	<object>
		<name>{name}</name>
		<pose>Unspecified</pose>
		<truncated>{truncated}</truncated>
		<difficult>{difficult}</difficult>
		<bndbox>
			<xmin>{xmin}</xmin>
			<ymin>{ymin}</ymin>
			<xmax>{xmax}</xmax>
			<ymax>{ymax}</ymax>
		</bndbox>
	</object>
"""
_ANNOTATION = """\
<annotation>
	<folder>{folder}</folder>
	<filename>{filename}</filename>
	<source>
		<database>{database}</database>
	</source>
	<size>
		<width>500</width>
		<height>375</height>
		<depth>3</depth>
	</size>
	<segmented>0</segmented>
{objects}</annotation>
"""


def make_ilsvrc(root: Path, images: int, unlabelled: int = 0, classes: int = 1000) -> Path:
    """Write a tree of `images` annotated images, a tenth of them in the flat `val`; `unlabelled`
    more, without XML, lie in the nested `train`. Return the folder ILSVRC."""
    chance, data, notes = random.Random(0), *_kinds(root / "ILSVRC")
    for folder in _wnids(min(classes, images)):
        (data / "train" / folder).mkdir(parents=True)
        (notes / "train" / folder).mkdir(parents=True)
    (data / "val").mkdir()
    (notes / "val").mkdir()
    pictures = _Pictures(root)
    wnids = list(_wnids(min(classes, images)))
    for number in range(images + unlabelled):
        wnid = wnids[number % len(wnids)]
        folder, stem = f"train/{wnid}", f"{wnid}_{number}"
        if number < images // 10:
            folder, stem = "val", f"ILSVRC2012_val_{number + 1:08d}"
        pictures.put(data / folder / f"{stem}.JPEG")
        if number < images:
            text = _annotation(chance, folder, stem, "ILSVRC_2012", [wnid], flags=False)
            (notes / folder / f"{stem}.xml").write_text(text)
    return root / "ILSVRC"


def make_voc(root: Path, images: int, classes: int = 20) -> Path:
    """Write a devkit with `trainval` and `test` lists. Return the folder VOC2012."""
    chance, kit, pictures = random.Random(0), root / "VOC2012", _Pictures(root)
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (kit / folder).mkdir(parents=True)
    names = [f"thing{number}" for number in range(classes)]
    stems = [f"{2007 + number % 6}_{number:06d}" for number in range(images)]
    for stem in stems:
        pictures.put(kit / "JPEGImages" / f"{stem}.jpg")
        text = _annotation(chance, "VOC2012", f"{stem}.jpg", "PASCAL VOC", names, flags=True)
        (kit / "Annotations" / f"{stem}.xml").write_text(text)
    for name, listed in (("trainval", stems[images // 10 :]), ("test", stems[: images // 10])):
        (kit / f"ImageSets/Main/{name}.txt").write_text("".join(f"{stem}\n" for stem in listed))
    return kit


def _kinds(root: Path) -> tuple[Path, Path]:
    return root / "Data/CLS-LOC", root / "Annotations/CLS-LOC"


def _wnids(classes: int) -> Iterator[str]:
    return (f"n{10_000_000 + number:08d}" for number in range(classes))


def _annotation(
    chance: random.Random, folder: str, filename: str, database: str, names: list[str], flags: bool
) -> str:
    objects = ""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        xmin, ymin = chance.randrange(1, 200), chance.randrange(1, 150)
        objects += _OBJECT.format(
            name=chance.choice(names),
            truncated=int(flags and chance.random() < 0.4),
            difficult=int(flags and chance.random() < 0.1),
            xmin=xmin,
            ymin=ymin,
            xmax=xmin + chance.randrange(20, 290),
            ymax=ymin + chance.randrange(20, 220),
        )
    return _ANNOTATION.format(folder=folder, filename=filename, database=database, objects=objects)


class _Pictures:
    """Hands out one picture under many names."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._count = 0
        root.mkdir(parents=True, exist_ok=True)

    def put(self, path: Path) -> None:
        source = self._root / f"picture{self._count // _LINKS}.JPEG"
        if self._count % _LINKS == 0:
            Image.new("RGB", _SIZE).save(source)
        os.link(source, path)
        self._count += 1


def main() -> None:
    """Make the tree that the command line asks for."""
    parser = argparse.ArgumentParser(description="Make a tree of annotated images.")
    parser.add_argument("kind", choices=["ilsvrc", "voc"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=50_000, help="images with an annotation")
    parser.add_argument("--unlabelled", type=int, default=0, help="ilsvrc: images without one")
    chosen = parser.parse_args()
    if chosen.kind == "ilsvrc":
        print(make_ilsvrc(chosen.folder, chosen.images, chosen.unlabelled))
    else:
        print(make_voc(chosen.folder, chosen.images))


if __name__ == "__main__":
    main()
