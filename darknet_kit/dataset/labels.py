"""From one annotation to the lines of one label file."""

from dataclasses import dataclass, field

from darknet_kit.core.boxes import clip, cxcywh_norm, ordered, overhang
from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Annotation, LabelledObject
from darknet_kit.formats.yolo import format_label


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


@dataclass(slots=True)
class Labelled:
    """The label lines of one image, their class_ids, and what was left out or repaired."""

    lines: list[str] = field(default_factory=list)
    class_ids: list[int] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def label_objects(
    annotation: Annotation,
    path: str,
    width: int,
    height: int,
    class_ids: dict[str, int],
    rules: ObjectRules,
) -> Labelled:
    """Return the labels of an image of width x height pixels, boxes clipped to it."""
    result = Labelled(problems=list(annotation.problems))
    for entry in annotation.objects:
        reason = rules.excludes(entry)
        if reason:
            result.excluded.append(reason)
            continue
        class_id = class_ids.get(entry.name)
        if class_id is None:
            message = f"class {entry.name!r} is not in the class list"
            result.problems.append(Problem("unknown-class", path, message, entry.line))
            continue
        line = _label_line(entry, path, width, height, class_id, result.problems)
        if line:
            result.lines.append(line)
            result.class_ids.append(class_id)
    return result


def _label_line(
    entry: LabelledObject,
    path: str,
    width: int,
    height: int,
    class_id: int,
    problems: list[Problem],
) -> str:
    box = ordered(entry.box)
    beyond = overhang(box, width, height)
    inside = clip(box, width, height)
    # Boxes as the annotation has them, so that a search in the file finds them.
    edges = f"{entry.box.left:g},{entry.box.top:g} to {entry.box.right:g},{entry.box.bottom:g}"
    if inside.width <= 0 or inside.height <= 0:
        message = f"{entry.name}: {edges} has no area in {width} x {height} pixels"
        problems.append(Problem("empty-box", path, message, entry.line))
        return ""
    if box is not entry.box:
        message = f"{entry.name}: {edges} ends before it begins"
        problems.append(Problem("inverted-box", path, message, entry.line))
    if beyond > 0:
        code = "clipped-box" if beyond > 1 else "box-at-edge"
        message = f"{entry.name}: {edges} reaches {beyond:g} px beyond {width} x {height} pixels"
        problems.append(Problem(code, path, message, entry.line))
    return format_label(class_id, *cxcywh_norm(inside, width, height))
