"""What is looked at before the first iteration, because later it costs a night."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from darknet_kit.core.faults import FAULTS
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.dataset.check import ListCheck, check_list, require_trainable
from darknet_kit.dataset.reading import Dataset, iter_listed
from darknet_kit.engine.find import Engine
from darknet_kit.engine.suitability import check_engine, refuse
from darknet_kit.errors import CfgError, UsageError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.formats.datafile import read_difficult
from darknet_kit.formats.yolo import label_path
from darknet_kit.network.check import check_cfg
from darknet_kit.train.checks.start import check_start, tell_batch

_DOUBTFUL = ("label-columns", "label-number", "bad-coordinate", "outside-box", "empty-box")


@dataclass(slots=True)
class Preflight:
    """What was found to be good enough, and what a person should know all the same."""

    train: ListCheck
    valid: ListCheck | None
    warnings: list[str] = field(default_factory=list)


def check_run(
    dataset: Dataset,
    cfg: Cfg,
    weights: str,
    engine: Engine,
    *,
    with_map: bool = True,
    clear: bool = False,
    gpus: Sequence[int] = (),
    force: bool = False,
    progress: Progress = no_progress,
) -> Preflight:
    """Refuse a run that cannot work; with `force`, warn of what only works badly.

    Raises CfgError, DatasetError, WeightsError, UsageError, ToolchainError.
    """
    if clear and not weights:
        raise UsageError(
            "there is no iteration count to clear without weights",
            code="clear-without-weights",
            hint="Name the weights to start from, or leave --clear out.",
        )
    result = _check_lists(dataset, progress)
    _check_network(dataset, cfg, result)
    has_map = with_map and result.valid is not None
    result.warnings += check_engine(cfg, engine, gpus=gpus, with_map=has_map, force=force)
    _check_labels(result, engine)
    result.warnings += _doubt_labels(result)
    if with_map and result.valid and engine.flavor is Flavor.ALEXEYAB:
        _check_difficult(dataset, result)
    if with_map and result.valid:
        _check_links(result.valid)
    if weights:
        _check_start(cfg, weights, engine, result, clear=clear, force=force)
    return result


def _check_lists(dataset: Dataset, progress: Progress) -> Preflight:
    train = check_list(dataset, "train", progress)
    require_trainable(dataset, train)
    if dataset.data.valid is None or not dataset.data.valid.exists():
        return Preflight(train, None)
    valid = check_list(dataset, "valid", progress)
    if not valid.images:
        return Preflight(train, None)
    require_trainable(dataset, valid)
    return Preflight(train, valid)


def _check_start(
    cfg: Cfg, weights: str, engine: Engine, result: Preflight, *, clear: bool, force: bool
) -> None:
    if not clear and (other := tell_batch(cfg, weights)):
        cure = "Give the cfg that batch, or start the count anew with --clear; --force goes on."
        result.warnings += refuse(other, "another-batch", cure, weights, force=force)
    if doubt := check_start(cfg, weights, clear=clear, flavor=engine.flavor):
        result.warnings.append(doubt)


def _check_network(dataset: Dataset, cfg: Cfg, result: Preflight) -> None:
    found = check_cfg(cfg, classes=len(dataset.names), train_images=result.train.images)
    errors = [problem for problem in found if problem.is_error]
    result.warnings += [
        f"{f'line {p.line}: ' if p.line else ''}{p.message} ({p.cure})"
        for p in found
        if not p.is_error
    ]
    if errors:
        first, more = errors[0], len(errors) - 1
        raise CfgError(
            first.message + (f" (and {more} more)" if more else ""),
            code=first.code,
            hint=first.cure,
            path=cfg.path,
            line=first.line or None,
        )


def _check_labels(result: Preflight, engine: Engine) -> None:
    for check in (result.train, result.valid):
        if check is None or not check.missing_labels:
            continue
        what = f"{check.missing_labels:,} of {check.images:,} {check.split} images have no label"
        if engine.flavor is not Flavor.ALEXEYAB:
            raise UsageError(
                f"{what}, and {engine.flavor.value} darknet ends at the first such image",
                code="missing-label",
                hint="Convert again with --flavor, or add empty label files.",
                path=check.first_missing_label,
            )
        result.warnings.append(f"{what}: they train as images that show nothing")


def _check_difficult(dataset: Dataset, result: Preflight) -> None:
    """Refuse a list of difficult objects beyond whose end AlexeyAB's darknet would read."""
    paths = set(read_difficult(dataset.data, list(iter_listed(dataset, "valid"))))
    labels = [label_path(path, dataset.flavor) or path for path in sorted(paths)]
    missing = [label for label in labels if not os.path.exists(label)]
    if missing:
        result.warnings.append(
            f"{len(missing):,} label files of difficult objects are missing, as {missing[0]}: "
            "mAP takes their images for free of such objects"
        )


def _doubt_labels(result: Preflight) -> Iterator[str]:
    """Yield what engines make of label files that are wrong in a way that ends no run."""
    for check in (result.train, result.valid):
        for code in _DOUBTFUL if check else ():
            if check and (count := check.codes[code]):
                first = check.first[code]
                yield (
                    f"{count:,} of the {check.split} labels have {FAULTS[code].meaning}; "
                    f"as {first.path}:{first.line} ({first.message}); `dkit check` lists them"
                )


def _check_links(valid: ListCheck) -> None:
    """Refuse mAP where hank-ai's would follow links away from the labels."""
    finding = valid.first.get("labels-behind-links")
    if finding:
        raise UsageError(
            f"hank-ai darknet follows links when it computes mAP, and {finding.message}",
            code=finding.code,
            hint=finding.cure,
            path=finding.path,
        )
