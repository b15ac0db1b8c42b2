"""From one annotation to the lines of one label file."""

from dataclasses import dataclass

import msgspec

from darknet_kit.core.boxes import Box, clip, cxcywh_norm, inner_fractions, ordered, overhang
from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Annotation, Item, LabelledObject
from darknet_kit.formats.yolo import SMALLEST, format_label

EDGE_PX = 1.0
"""A box may reach so far beyond the image and only be of another pixel convention."""
LEFT_OUT = -1
"""In the place of a class_id: a class that is known, and left out on purpose."""


@dataclass(frozen=True, slots=True)
class ObjectRules:
    """Which objects become labels. The defaults are those of upstream's voc_label.py for VOC
    (difficult objects are left out) and of the COCO tools (crowds are left out)."""

    keep_difficult: bool = False
    keep_truncated: bool = True
    keep_crowd: bool = False

    def excludes(self, entry: LabelledObject) -> str:
        """Return why an object is left out on purpose, or an empty string."""
        if entry.difficult and not self.keep_difficult:
            return "difficult"
        if entry.truncated and not self.keep_truncated:
            return "truncated"
        if entry.iscrowd and not self.keep_crowd:
            return "crowd"
        return ""


class Labelled(msgspec.Struct, gc=False):
    """The label lines of one image, each with its class_id, and what was left out or repaired.

    `difficult` are the lines of difficult objects of an image to validate on.
    """

    lines: dict[str, int] = {}
    difficult: dict[str, int] = {}
    excluded: list[str] = []
    problems: list[Problem] = []


def label_objects(
    annotation: Annotation,
    item: Item,
    width: int,
    height: int,
    class_ids: dict[str, int],
    rules: ObjectRules,
) -> Labelled:
    """Return the labels of an image of width x height pixels, boxes clipped to it.

    `class_ids` are by class name, LEFT_OUT where objects of the class are not wanted.
    A class and box that are there already count once, since an engine would train on each.
    Difficult objects that are left out get lines apart where the image is to validate on.
    """
    result = Labelled(problems=list(annotation.problems))
    lines, difficult = result.lines, result.difficult
    for entry in annotation.objects:
        class_id = class_ids.get(entry.name)
        reason = "other-class" if class_id == LEFT_OUT else rules.excludes(entry)
        if reason:
            result.excluded.append(reason)
            if not (item.split == "valid" and reason == "difficult"):
                continue
        if class_id is None:
            message = f"class {entry.name!r} is not in the class list"
            result.problems.append(Problem("unknown-class", item.annotation, message, entry.line))
            continue
        line = _label_line(entry, item, width, height, class_id, result.problems)
        if line in lines or line in difficult:
            message = f"{entry.name}: {_edges(entry.box)} is there already"
            result.problems.append(Problem("duplicate-box", item.annotation, message, entry.line))
        elif line:
            (difficult if reason else lines)[line] = class_id
    return result


def _label_line(
    entry: LabelledObject,
    item: Item,
    width: int,
    height: int,
    class_id: int,
    problems: list[Problem],
) -> str:
    inner = inner_fractions(entry.box, width, height)
    if inner:
        cx, cy, inner_width, inner_height = inner
        if inner_width >= SMALLEST and inner_height >= SMALLEST:
            return format_label(class_id, cx, cy, inner_width, inner_height)
    return _mended_line(entry, item, width, height, class_id, problems)


def _mended_line(
    entry: LabelledObject,
    item: Item,
    width: int,
    height: int,
    class_id: int,
    problems: list[Problem],
) -> str:
    """Return the line of a box that is not just as it should be, and say why; or nothing."""
    box = ordered(entry.box)
    beyond = overhang(box, width, height)
    numbers = cxcywh_norm(clip(box, width, height), width, height)

    def note(code: str, message: str) -> None:
        shown = f"{entry.name}: {_edges(entry.box)} {message}"
        problems.append(Problem(code, item.annotation, shown, entry.line))

    if min(numbers[2:]) < SMALLEST:
        note("empty-box", f"has no area in {width} x {height} pixels")
        return ""
    if box is not entry.box:
        note("inverted-box", "ends before it begins")
    if beyond > 0:
        code = "clipped-box" if beyond > EDGE_PX else "box-at-edge"
        note(code, f"reaches {beyond:g} px beyond {width} x {height} pixels")
    return format_label(class_id, *numbers)


def _edges(box: Box) -> str:
    return f"edges {box.left:g},{box.top:g} to {box.right:g},{box.bottom:g}"


def shows_none(annotation: Annotation, class_ids: dict[str, int]) -> bool:
    """Tell whether an image shows, for sure, no object of a class that is wanted."""
    return not annotation.problems and all(
        class_ids.get(entry.name) == LEFT_OUT for entry in annotation.objects
    )
