"""Correcting a cfg: for each mistake that has one right answer, the change that the check asks for.

Nothing else changes. What could be corrected in several ways (anchors, masks, a network that
cannot be built) stays as it is, and stays reported.
"""

from collections.abc import Callable, Mapping

from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import (
    Cfg,
    Section,
    comment_out,
    format_cfg,
    parse_cfg,
    rename_key,
    set_value,
)
from darknet_kit.network.check import check_cfg
from darknet_kit.network.estimate import list_parts
from darknet_kit.network.heads import find_filters_key, find_heads
from darknet_kit.network.keys import iter_unknown_keys
from darknet_kit.network.problem import CfgProblem
from darknet_kit.network.retarget import retarget_heads, set_net
from darknet_kit.network.schedule import plan_schedule
from darknet_kit.network.size import nearest_size

_USUAL_BATCH = {"batch": 64, "subdivisions": 16}
_MOST_CHANGES = 1000


def mend_cfg(
    cfg: Cfg, classes: int | None = None, train_images: int | None = None
) -> tuple[Cfg, list[CfgProblem]]:
    """Return the corrected cfg and the problems that were corrected, in that order.

    `classes` and `train_images` are those of the data set that it is to train on; without them
    heads that differ follow the first. What is returned may still have problems.
    """
    mended: list[CfgProblem] = []
    hopeless: set[tuple[str, int]] = set()
    while len(mended) + len(hopeless) < _MOST_CHANGES:
        problem = next(
            (
                one
                for one in check_cfg(cfg, classes, train_images)
                if one.code in _MENDS and (one.code, one.line) not in hopeless
            ),
            None,
        )
        if problem is None:
            break
        better = _mend(cfg, problem, classes, train_images)
        if format_cfg(better) == format_cfg(cfg):
            hopeless.add((problem.code, problem.line))
        else:
            mended.append(problem)
            cfg = better
    return cfg, mended


def _mend(cfg: Cfg, problem: CfgProblem, classes: int | None, train_images: int | None) -> Cfg:
    try:
        return _MENDS[problem.code](cfg, problem, classes, train_images)
    except CfgError:
        return cfg  # its layers cannot be built; that is reported apart


Mend = Callable[[Cfg, CfgProblem, int | None, int | None], Cfg]


def _mend_text(cfg: Cfg, *_: object) -> Cfg:
    text = format_cfg(cfg).removeprefix("\ufeff").replace("\r\n", "\n")
    return parse_cfg(text, cfg.path)


def _mend_batch(cfg: Cfg, *_: object) -> Cfg:
    return set_net(cfg, _USUAL_BATCH)


def _mend_subdivisions(cfg: Cfg, *_: object) -> Cfg:
    """Take the next larger divisor: more parts need less memory, never more."""
    batch, asked = cfg.net.integer("batch", 1), cfg.net.integer("subdivisions", 1)
    fitting = next((count for count in list_parts(batch) if count >= asked), batch)
    return set_net(cfg, {"subdivisions": fitting})


def _mend_letter_box(cfg: Cfg, *_: object) -> Cfg:
    entry = cfg.net.find("letter_box")
    return comment_out(cfg, cfg.net, entry.line) if entry else cfg


def _mend_length(cfg: Cfg, _: CfgProblem, classes: int | None, train_images: int | None) -> Cfg:
    heads = find_heads(cfg)
    count = classes or (heads[0].classes if heads else 1)
    schedule = plan_schedule(count, 0.001, train_images=train_images)
    longer = max(schedule.max_batches, cfg.net.integer("max_batches"))
    return set_net(cfg, {"max_batches": longer})


def _mend_steps(cfg: Cfg, *_: object) -> Cfg:
    total = cfg.net.integer("max_batches")
    if total < 10:
        return cfg
    schedule = plan_schedule(1, 0.001, max_batches=total)
    steps = ",".join(map(str, schedule.steps))
    return set_net(cfg, {"steps": steps, "scales": ".1,.1"})


def _mend_burn_in(cfg: Cfg, *_: object) -> Cfg:
    total = cfg.net.integer("max_batches")
    if total < 10:
        return cfg
    return set_net(cfg, {"burn_in": plan_schedule(1, 0.001, max_batches=total).burn_in})


def _mend_rate(cfg: Cfg, *_: object) -> Cfg:
    return set_net(cfg, {"learning_rate": "0.001"})


def _mend_size(cfg: Cfg, *_: object) -> Cfg:
    width, height = nearest_size(cfg)
    return set_net(cfg, {"width": width, "height": height})


def _mend_heads(cfg: Cfg, _: CfgProblem, classes: int | None, __: int | None) -> Cfg:
    return retarget_heads(cfg, classes or find_heads(cfg)[0].classes)


def _mend_filters(cfg: Cfg, problem: CfgProblem, *_: object) -> Cfg:
    """Set the filters that one head asks for, in the layer that the problem names."""
    for head in find_heads(cfg):
        key = find_filters_key(cfg, head)
        if key is None:
            continue
        before = cfg.layers[head.index - 1]
        entry = before.find(key)
        if (entry.line if entry else before.line) == problem.line:
            return set_value(cfg, before, key, head.filters)
    return cfg


def _mend_key(cfg: Cfg, problem: CfgProblem, *_: object) -> Cfg:
    """Write the key that was meant; without one make the line a comment."""
    for unknown in iter_unknown_keys(cfg):
        if unknown.entry.line == problem.line:
            section, key = unknown.section, unknown.entry.key
            if unknown.near and section.find(unknown.near) is None:
                renamed = rename_key(cfg, section, key, unknown.near)
                # A value that nobody read may be nonsense: `siz==1`.
                if _count_errors(renamed) <= _count_errors(cfg):
                    return renamed
            return comment_out(cfg, section, unknown.entry.line)
    return cfg


def _count_errors(cfg: Cfg) -> int:
    return sum(problem.is_error for problem in check_cfg(cfg))


def _mend_duplicate(cfg: Cfg, problem: CfgProblem, *_: object) -> Cfg:
    return comment_out(cfg, _section_at(cfg, problem.line), problem.line)


def _section_at(cfg: Cfg, line: int) -> Section:
    return next(section for section in reversed(cfg.sections) if section.line <= line)


_MENDS: Mapping[str, Mend] = {
    "byte-order-mark": _mend_text,
    "crlf": _mend_text,
    "bad-batch": _mend_batch,
    "test-cfg": _mend_batch,
    "bad-subdivisions": _mend_subdivisions,
    "mosaic-letter-box": _mend_letter_box,
    "no-max-batches": _mend_length,
    "too-short": _mend_length,
    "no-learning-rate": _mend_rate,
    "no-steps": _mend_steps,
    "scales-missing": _mend_steps,
    "scales-surplus": _mend_steps,
    "steps-unsorted": _mend_steps,
    "step-never-reached": _mend_steps,
    "no-burn-in": _mend_burn_in,
    "burn-in-too-long": _mend_burn_in,
    "size-not-multiple": _mend_size,
    "wrong-classes": _mend_heads,
    "unequal-classes": _mend_heads,
    "wrong-filters": _mend_filters,
    "unknown-key": _mend_key,
    "duplicate-key": _mend_duplicate,
}
