"""A data set, a network and weights, looked at alone or together, as a training would need them."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from darknet_kit.core.faults import Level
from darknet_kit.core.findings import Finding, Note, of_error
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.dataset.checks.whole import DataCheck, HowToCheck, check_data
from darknet_kit.engine.support import TAKE_ANOTHER, find_unsupported
from darknet_kit.errors import CfgError, DatasetError, DkitError, UsageError, WeightsError
from darknet_kit.formats.cfg import Cfg, read_cfg
from darknet_kit.formats.datafile import missing_file, not_a_folder, parse_data
from darknet_kit.formats.weights import WeightsHeader, read_weights_header
from darknet_kit.network.check import check_cfg
from darknet_kit.network.heads import find_heads
from darknet_kit.train.checks.start import check_start, tell_batch

_START_BYTES = 4096
_BACKBONE = re.compile(r"\.conv\.[0-9]+$")

OTHER_CODES = frozenset(
    {
        # what keeps a .data file, a cfg or weights from being looked at
        *("not-a-data-file", "bad-classes", "no-train-list", "not-a-cfg", "not-weights"),
        *("key-before-section", "no-net-section", "bad-value", "no-input-size", "bad-source"),
        *("impossible-shape", "unsupported-section", "truncated-weights", "cannot-read"),
        # a cfg: their texts and cures stand in network/check*
        *("anchors-in-cells", "anchors-in-pixels", "anchors-too-large", "bad-batch"),
        *("bad-subdivisions", "burn-in-too-long", "head-not-last"),
        *("mask-out-of-range", "mosaic-letter-box", "no-burn-in", "no-head"),
        *("no-learning-rate", "no-max-batches", "no-steps", "not-a-number", "scales-missing"),
        *("scales-surplus", "size-not-multiple", "step-never-reached", "steps-unsorted"),
        *("test-cfg", "too-few-anchors", "too-many-anchors", "too-short", "unequal-classes"),
        *("unknown-activation", "v1-head", "wrong-classes", "wrong-filters"),
        # between files
        *("unsupported-by-engine", "weights-do-not-fit", "nothing-to-train", "partial-weights"),
        *("another-batch", "hank-partial-weights"),
    }
)
"""Codes of findings that are not in `core.faults`: what they say depends on the file."""


class FileKind(StrEnum):
    """What `dkit check` knows to look at."""

    DATA = "data"
    CFG = "cfg"
    WEIGHTS = "weights"


@dataclass(slots=True)
class Inspection:
    """What was looked at; None for what was not given, or could not be read."""

    data: DataCheck | None = None
    cfg: Cfg | None = None
    weights: WeightsHeader | None = None


def sort_files(paths: Sequence[str]) -> dict[FileKind, str]:
    """Return which of these files is the data set, which the network, which the weights.

    Raises DatasetError for a file that is not there, UsageError for one that is none of them, and
    for two of a kind.
    """
    files: dict[FileKind, str] = {}
    for path in paths:
        kind = tell_kind(path)
        if kind in files:
            raise UsageError(
                f"{files[kind]} and {path} are both {kind}: one of a kind can be checked at a time",
                code="two-of-a-kind",
                hint="Run `dkit check` for each.",
            )
        files[kind] = path
    return files


def tell_kind(path: str) -> FileKind:
    """Tell by its suffix, else by its content, what a file is. Raises DatasetError, UsageError."""
    if not os.path.isfile(path):
        raise _not_a_file(path)
    suffix = os.path.splitext(path)[1].lower()
    by_suffix = {".data": FileKind.DATA, ".cfg": FileKind.CFG, ".weights": FileKind.WEIGHTS}
    if suffix in by_suffix:
        return by_suffix[suffix]
    try:
        with open(path, "rb") as stream:
            start = stream.read(_START_BYTES)
    except OSError as error:
        raise DatasetError(
            f"cannot read this file: {error.strerror}", code="cannot-read", path=path
        ) from error
    lines = [line.strip() for line in start.decode("utf-8", "replace").splitlines()]
    first = next((line for line in lines if line and line[0] not in "#;"), "")
    if _BACKBONE.search(path) or suffix == ".backup" or (b"\0" in start and _is_weights(path)):
        return FileKind.WEIGHTS
    if first.startswith("["):
        return FileKind.CFG
    if {"train", "valid", "names"} & parse_data("\n".join(lines)).keys():
        return FileKind.DATA
    raise UsageError(
        "this is no .data file, no cfg and no weights",
        code="unknown-file",
        hint="Lists, names, labels and images are checked by the .data file that names them.",
        path=path,
    )


def _is_weights(path: str) -> bool:
    try:
        read_weights_header(path)
    except WeightsError:
        return False
    return True


def _not_a_file(path: str) -> DkitError:
    if os.path.isdir(path):
        return not_a_folder(path)
    if os.path.lexists(path):
        return UsageError(
            "this is no regular file", code="not-a-file", hint="Name a .data file.", path=path
        )
    return missing_file(path, "a .data file, a cfg or weights")


def inspect(
    files: dict[FileKind, str], how: HowToCheck, note: Note, progress: Progress = no_progress
) -> Inspection:
    """Look at each of the files and at whether they fit together; never raises for bad data."""
    result = Inspection()
    if FileKind.CFG in files:
        result.cfg = _read_network(files[FileKind.CFG], note)
    if FileKind.DATA in files:
        how = replace(how, max_boxes=_max_boxes(result.cfg))
        result.data = check_data(files[FileKind.DATA], note, how, progress)
    if result.cfg is not None:
        _check_network(result.cfg, result.data, how.flavor, note)
    if FileKind.WEIGHTS in files:
        _check_weights(files[FileKind.WEIGHTS], result, how.flavor, note)
    return result


def _read_network(path: str, note: Note) -> Cfg | None:
    try:
        return read_cfg(path)
    except CfgError as error:
        note(of_error(error, path))
        return None


def _max_boxes(cfg: Cfg | None) -> int:
    """Return how many boxes the last head takes, which in AlexeyAB's decides; 0 for its default."""
    heads = find_heads(cfg) if cfg is not None else ()
    return max(0, heads[-1].section.integer("max")) if heads else 0


def _check_network(cfg: Cfg, data: DataCheck | None, flavor: Flavor | None, note: Note) -> None:
    """Note what is wrong with a network, alone and for this data set."""
    path = os.fspath(cfg.path or "")
    for problem in check_cfg(
        cfg,
        classes=data.classes if data else None,
        train_images=data.train_images if data else None,
    ):
        level = Level.ERROR if problem.is_error else Level.WARNING
        note(Finding(problem.code, level, path, problem.message, problem.cure, problem.line))
    flavor = data.flavor if data else flavor
    if flavor is None:
        return
    for lack in find_unsupported(cfg, flavor):
        message = lack.told_of(flavor)
        note(Finding("unsupported-by-engine", Level.ERROR, path, message, TAKE_ANOTHER, lack.line))


def _check_weights(path: str, result: Inspection, flavor: Flavor | None, note: Note) -> None:
    """Note whether these are weights, and whether a training of the network starts from them."""
    try:
        result.weights = read_weights_header(path)
        if result.cfg is not None and (other := tell_batch(result.cfg, path)):
            cure = "Give the cfg that batch; or `dkit train --clear` starts the count anew."
            note(Finding("another-batch", Level.WARNING, path, other, cure))
        flavor = result.data.flavor if result.data else flavor
        doubt = check_start(result.cfg, path, flavor=flavor) if result.cfg is not None else ""
    except UsageError as error:  # weights of a finished training are right for all else
        note(Finding(error.code, Level.WARNING, path, error.message, error.hint))
    except WeightsError as error:
        note(of_error(error, path))
    except CfgError:
        pass  # a network that cannot be built was noted as such
    else:
        if doubt:
            cure = "That is how a training from pre-trained weights begins."
            note(Finding("partial-weights", Level.NOTE, path, doubt, cure))
