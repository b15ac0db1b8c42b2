"""Other ways to convert Pascal XML, to compare with: what people use today."""

import importlib
import os
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from floor import label_folder


def voc_label(root: str) -> None:
    """Convert as Darknet's voc_label.py does: ElementTree, one file after the other."""
    classes: dict[str, int] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith(".xml"):
                _convert_one(folder, name, classes)


def _convert_one(folder: str, name: str, classes: dict[str, int]) -> None:
    labels = label_folder(folder)
    os.makedirs(labels, exist_ok=True)
    with open(f"{folder}/{name}") as source, open(f"{labels}/{name[:-4]}.txt", "w") as target:
        tree = ET.parse(source).getroot()
        size = tree.find("size")
        assert size is not None
        width, height = int(size.findtext("width", "")), int(size.findtext("height", ""))
        for entry in tree.iter("object"):
            if int(entry.findtext("difficult", "0")) == 1:
                continue
            class_id = classes.setdefault(entry.findtext("name", ""), len(classes))
            box = entry.find("bndbox")
            assert box is not None
            x1, x2, y1, y2 = (float(box.findtext(tag, "")) for tag in _CORNERS)
            cx, cy = ((x1 + x2) / 2 - 1) / width, ((y1 + y2) / 2 - 1) / height
            target.write(f"{class_id} {cx} {cy} {(x2 - x1) / width} {(y2 - y1) / height}\n")


_CORNERS = ("xmin", "xmax", "ymin", "ymax")


def globox(root: str) -> None:
    """Convert with globox, folder by folder, as its flat reader asks for."""
    annotation_set = importlib.import_module("globox").AnnotationSet
    classes: dict[str, int] = {}
    for folder, _, names in os.walk(root):
        if any(name.endswith(".xml") for name in names):
            found = annotation_set.from_pascal_voc(folder)
            for label in sorted(found._labels()):
                classes.setdefault(label, len(classes))
            labels = label_folder(folder)
            os.makedirs(labels, exist_ok=True)
            found.save_yolo_darknet(Path(labels), label_to_id=classes)


if __name__ == "__main__":
    {"voc_label": voc_label, "globox": globox}[sys.argv[1]](os.path.abspath(sys.argv[2]))
