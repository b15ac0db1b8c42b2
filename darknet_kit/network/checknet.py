"""Checks of `[net]`: numbers, batch, length and steps of a training run."""

import re
from collections.abc import Iterator

from darknet_kit.core.wording import counted
from darknet_kit.network.problem import CfgProblem, Subject, warning

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}(\.0*)?")
_COUNTS = ("batch", "subdivisions", "width", "height", "channels", "max_batches", "burn_in")


def check_numbers(subject: Subject) -> Iterator[CfgProblem]:
    """Find values that are no numbers, and a learning rate of nothing."""
    net = subject.cfg.net
    for key in _COUNTS:
        entry = net.find(key)
        if entry and not _WHOLE.fullmatch(entry.value.partition("#")[0]):
            yield CfgProblem(
                "not-a-number",
                entry.line,
                f"{key}={entry.value} is no whole number; Darknet reads {net.integer(key)}",
                f"Write a whole number after {key}=.",
            )
    if net.number("learning_rate", 0.001) <= 0:
        yield CfgProblem(
            "no-learning-rate",
            subject.line("learning_rate"),
            f"learning_rate={net.text('learning_rate')}: nothing would be learned",
            "Usual are 0.001 to 0.003.",
        )


def check_batch(subject: Subject) -> Iterator[CfgProblem]:
    """Find a batch that Darknet would change without a word."""
    net = subject.cfg.net
    batch, subdivisions = net.integer("batch", 1), net.integer("subdivisions", 1)
    line = subject.line("batch")
    if batch < 1 or subdivisions < 1:
        yield CfgProblem(
            "bad-batch",
            line,
            f"batch={batch} and subdivisions={subdivisions} must both be at least 1",
            "Usual are batch=64 and subdivisions=16.",
        )
    elif batch == subdivisions == 1:
        yield CfgProblem(
            "test-cfg",
            line,
            "batch=1 and subdivisions=1 make this a cfg for testing, not for training",
            "Set batch=64 and subdivisions=16, or what your GPU's memory allows.",
        )
    elif batch % subdivisions:
        effective = max(1, batch // subdivisions) * subdivisions
        yield CfgProblem(
            "bad-subdivisions",
            subject.line("subdivisions"),
            f"subdivisions={subdivisions} does not divide batch={batch}; "
            f"Darknet would train with a batch of {effective}",
            "Make subdivisions a divisor of batch: 64 has 1, 2, 4, 8, 16, 32 and 64.",
        )
    if net.integer("mosaic") and net.integer("letter_box"):
        yield CfgProblem(
            "mosaic-letter-box",
            subject.line("letter_box"),
            "mosaic=1 and letter_box=1 exclude each other",
            "Remove one of the two.",
        )


def check_length(subject: Subject) -> Iterator[CfgProblem]:
    """Find a run that is too short, or whose warm-up does not fit into it."""
    net = subject.cfg.net
    max_batches, line = net.integer("max_batches"), subject.line("max_batches")
    if max_batches < 1:
        yield CfgProblem(
            "no-max-batches",
            line,
            "without max_batches above 0 Darknet trains not at all, and reports success",
            "`dkit make-cfg` computes it: 2000 for each class, at least 6000.",
        )
        return
    images = subject.train_images
    if images and max_batches * net.integer("batch", 1) < images:
        seen = max_batches * net.integer("batch", 1)
        yield warning(
            "too-short",
            line,
            f"max_batches={max_batches} shows {seen:,} images, and the data set has {images:,}",
            "Raise max_batches; `dkit make-cfg --data DATA` computes it.",
        )
    burn_in = net.integer("burn_in")
    steps = net.integers("steps") if net.text("policy") == "steps" else ()
    if burn_in < 1:
        yield warning(
            "no-burn-in",
            subject.line("burn_in"),
            "without burn_in the full learning rate meets untrained weights; losses become nan",
            "Set burn_in=1000, or a tenth of max_batches when that is less.",
        )
    elif burn_in >= min((max_batches, *steps)):
        yield warning(
            "burn-in-too-long",
            subject.line("burn_in"),
            f"burn_in={burn_in} does not end before the first step at {min((max_batches, *steps))}",
            "Set burn_in=1000, or a tenth of max_batches when that is less.",
        )


def check_steps(subject: Subject) -> Iterator[CfgProblem]:
    """Find steps that are missing, unsorted, unscaled or never reached."""
    net = subject.cfg.net
    if net.text("policy") != "steps":
        return
    steps, scales, line = net.integers("steps"), net.numbers("scales"), subject.line("steps")
    cure = "Set steps to 80 % and 90 % of max_batches, and scales=.1,.1."
    if not steps or not scales:
        missing = "steps" if not steps else "scales"
        yield CfgProblem("no-steps", line, f"policy=steps needs {missing}=", cure)
        return
    there = f"there are {counted(len(steps), 'step')} and {counted(len(scales), 'scale')}"
    if len(scales) < len(steps):
        message = f"{there}; Darknet crashes"
        yield CfgProblem("scales-missing", subject.line("scales"), message, cure)
    elif len(scales) > len(steps):
        message = f"{there}; the last scales are never used"
        yield warning("scales-surplus", subject.line("scales"), message, cure)
    if list(steps) != sorted(set(steps)) or steps[0] < 1:
        message = f"steps={net.text('steps')} must rise from left to right"
        yield CfgProblem("steps-unsorted", line, message, cure)
    late = [step for step in steps if step >= net.integer("max_batches") > 0]
    if late:
        yield warning(
            "step-never-reached",
            line,
            f"training ends at {net.integer('max_batches')}, before the step at {late[0]}: "
            "the learning rate never drops",
            cure,
        )
