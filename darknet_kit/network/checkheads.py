"""Checks of the heads: filters before them, anchors, masks, classes."""

from collections.abc import Iterator

from darknet_kit.network.heads import HEAD_KINDS, MASKED_KINDS, Head, find_filters_key
from darknet_kit.network.problem import CfgProblem, Subject, warning

_SMALLEST_PX = 4.0
"""A head all of whose anchors are smaller has them in another unit."""


def check_heads(subject: Subject) -> Iterator[CfgProblem]:
    """Find a network without head, and heads that do not fit their convolution or anchors."""
    layers = subject.cfg.layers
    if not subject.heads:
        yield CfgProblem(
            "no-head",
            0,
            "there is no head, so nothing is detected and no boxes are learned",
            "A detector ends with [yolo]; `dkit make-cfg` writes one.",
        )
    elif layers[-1].kind not in HEAD_KINDS:
        yield CfgProblem(
            "head-not-last",
            layers[-1].line,
            f"the last layer is [{layers[-1].kind}], and Darknet asks the last layer how to train",
            "Let a head be the last section.",
        )
    for head in subject.heads:
        if head.section.kind == "detection":
            yield warning(
                "v1-head",
                head.section.line,
                "a YOLOv1 head trains with the embedded engine, or with `darknet yolo train`; "
                "with `darknet detector train` it diverges",
                "Take `--engine torch`; `dkit make-cfg` writes a network of today.",
            )
        yield from _check_filters(subject, head)
        yield from _check_anchors(subject, head)


def _check_filters(subject: Subject, head: Head) -> Iterator[CfgProblem]:
    before = subject.cfg.layers[head.index - 1] if head.index else subject.cfg.net
    usual = "output" if head.section.kind == "detection" else "filters"
    key = find_filters_key(subject.cfg, head)
    if subject.layers and head.index:
        shape = subject.layers[head.index].input
        found = shape.elements if head.section.kind == "detection" else shape.channels
    elif key:
        found = before.integer(key, 1)
    else:
        return
    if found != head.filters:
        entry = before.find(key) if key else None
        name = "connected" if usual == "output" else "convolutional"
        yield CfgProblem(
            "wrong-filters",
            entry.line if entry else before.line,
            f"{key or usual}={found} before [{head.section.kind}] must be {head.filters}: "
            f"{_rule(head)}",
            f"Set {key}={head.filters} there."
            if key
            else f"Put [{name}] with {usual}={head.filters} between [{before.kind}] and the head.",
        )


def _rule(head: Head) -> str:
    section, anchors = head.section, len(head.mask)
    if section.kind == "detection":
        return "side x side x (classes + num x (coords + 1))"
    per_anchor = head.filters // anchors if anchors else 0
    return f"({head.classes} classes + {per_anchor - head.classes}) x {anchors} anchors"


def _check_anchors(subject: Subject, head: Head) -> Iterator[CfgProblem]:
    section = head.section
    if section.kind == "detection":
        return
    entry = section.find("anchors")
    line = entry.line if entry else section.line
    pairs = f"{head.anchor_values} numbers under anchors, and num={head.num} needs {2 * head.num}"
    cure = f"List {head.num} pairs of width and height; `dkit anchors DATA` computes them."
    if head.anchor_values < 2 * head.num:
        yield CfgProblem("too-few-anchors", line, pairs, cure)
    elif head.anchor_values > 2 * head.num:
        message = f"{pairs}; the 2018 original and hank-ai's fork crash"
        yield warning("too-many-anchors", line, message, cure)
    yield from _check_scale(subject, head, line)
    outside = [number for number in head.mask if not 0 <= number < head.num]
    if section.kind in MASKED_KINDS and outside:
        mask = section.find("mask")
        yield CfgProblem(
            "mask-out-of-range",
            mask.line if mask else section.line,
            f"the mask names anchor {outside[0]}, and there are only 0 to {head.num - 1}",
            "Use each anchor's 0-based number in one head.",
        )


def _check_scale(subject: Subject, head: Head, line: int) -> Iterator[CfgProblem]:
    """Find anchors in the wrong unit: `[region]` counts cells, the younger heads pixels."""
    numbers = head.section.numbers("anchors")
    used = [value for at in head.mask for value in numbers[2 * at : 2 * at + 2]]
    if not used or not subject.layers:
        return
    net = subject.cfg.net
    size = max(net.integer("width"), net.integer("height"))
    if head.section.kind == "region":
        cells = size / subject.layers[head.index].stride[0]
        if min(used) > cells:
            yield warning(
                "anchors-in-pixels",
                line,
                f"anchors of [region] are in cells, and there are {cells:g}; these are {used[0]:g} "
                "and more",
                "Divide them by the pixels of a cell, as `dkit anchors` does.",
            )
    elif max(used) < _SMALLEST_PX:
        yield warning(
            "anchors-in-cells",
            line,
            f"anchors of [{head.section.kind}] are in pixels, and these are {max(used):g} at most",
            "Multiply them by the pixels of a cell; `dkit anchors DATA` computes them.",
        )
    elif min(used) > size:
        yield warning(
            "anchors-too-large",
            line,
            f"every anchor of this head is larger than the input of {size} pixels",
            "`dkit anchors DATA` computes anchors for this size.",
        )


def check_classes(subject: Subject) -> Iterator[CfgProblem]:
    """Find heads that differ in their classes, or from the data set."""
    counts = [head.classes for head in subject.heads]
    for head, count in zip(subject.heads, counts, strict=True):
        entry = head.section.find("classes")
        line = entry.line if entry else head.section.line
        if subject.classes is not None and count != subject.classes:
            yield CfgProblem(
                "wrong-classes",
                line,
                f"classes={count}, and the data set has {subject.classes} names",
                f"Set classes={subject.classes} and the filters before the head, in every head.",
            )
        elif count != counts[0]:
            listed = ", ".join(str(number) for number in counts)
            yield CfgProblem(
                "unequal-classes",
                line,
                f"the heads differ in their classes: {listed}",
                "Give every head the same classes, and set the filters before each.",
            )
