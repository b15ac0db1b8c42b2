"""The same few images as VOC, ILSVRC and COCO, to convert in place, as a view, and to subset."""

import json
import os
import random
from pathlib import Path

from .sets import Thing, pascal_xml, write_picture

WNIDS = ("n01440764", "n01748264", "n01484850")
Words = list[str | Path]


def _draw(count: int) -> list[list[Thing]]:
    """Draw up to three objects for each image, some of them beyond its edges."""
    drawn = random.Random(count)

    def thing() -> Thing:
        x, y = drawn.randint(1, 40), drawn.randint(1, 20)
        return (drawn.choice(WNIDS), x, y, x + drawn.randint(3, 70), y + drawn.randint(3, 40))

    return [[thing() for _ in range(number % 4)] for number in range(count)]


def write_tree(kind: str, root: Path, count: int) -> Path:
    """Write `count` images of one kind of data set, a fifth of them to validate on."""
    picture = write_picture(root.parent / "picture.jpg")
    images: list[dict[str, object]] = []
    objects: list[dict[str, object]] = []
    for number, things in enumerate(_draw(count)):
        split = "train" if number % 5 else "val"
        folder, stem = f"Data/CLS-LOC/{split}/{WNIDS[0] if split == 'train' else ''}", f"{number}"
        place = {"voc": "JPEGImages", "coco": f"{split}2017", "ilsvrc": folder}[kind]
        (root / place).mkdir(parents=True, exist_ok=True)
        os.link(picture, root / place / f"{stem}.{'JPEG' if kind == 'ilsvrc' else 'jpg'}")
        if kind == "coco":
            images.append({"id": number, "file_name": f"{stem}.jpg", "width": 100, "height": 50})
            objects.extend(_object(number, *thing) for thing in things)
        else:
            above = place.replace("Data", "Annotations") if kind == "ilsvrc" else "Annotations"
            (root / above).mkdir(parents=True, exist_ok=True)
            flags = f"<difficult>{int(number % 10 == 5)}</difficult>"
            (root / above / f"{stem}.xml").write_text(pascal_xml(*things, flags=flags))
    if kind == "voc":
        _write_lists(root / "ImageSets/Main", count)
    elif kind == "ilsvrc":
        mapping = "".join(f"{wnid} {wnid}\n" for wnid in WNIDS)
        (root / "LOC_synset_mapping.txt").write_text(mapping)
    else:
        _write_instances(root / "annotations", images, objects)
    return root


def _object(image: int, name: str, x1: float, y1: float, x2: float, y2: float) -> dict[str, object]:
    bbox = [x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1]
    return {"image_id": image, "category_id": WNIDS.index(name), "bbox": bbox}


def _write_lists(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for name, stems in (("train", range(count)), ("val", range(0, count, 5))):
        listed = [stem for stem in stems if name == "val" or stem % 5]
        (folder / f"{name}.txt").write_text("".join(f"{stem}\n" for stem in listed))


def _write_instances(
    folder: Path, images: list[dict[str, object]], objects: list[dict[str, object]]
) -> None:
    folder.mkdir(parents=True)
    categories = [{"id": number, "name": wnid} for number, wnid in enumerate(WNIDS)]
    for split, validates in (("train", False), ("val", True)):
        chosen = [one for one in images if (int(str(one["id"])) % 5 == 0) is validates]
        numbers = {one["id"] for one in chosen}
        document = {
            "images": chosen,
            "annotations": [one for one in objects if one["image_id"] in numbers],
            "categories": categories,
        }
        (folder / f"instances_{split}2017.json").write_text(json.dumps(document))
