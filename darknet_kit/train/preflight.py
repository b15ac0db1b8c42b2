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
from darknet_kit.engine.flaws import find_ruinous, iter_doubts
from darknet_kit.engine.nvidia import find_driver
from darknet_kit.engine.support import TAKE_ANOTHER, find_own_keys, find_unsupported
from darknet_kit.engine.torch.keys import check_keys
from darknet_kit.errors import AnyPath, CfgError, ToolchainError, UsageError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.formats.datafile import read_difficult
from darknet_kit.formats.yolo import label_path
from darknet_kit.network.check import check_cfg
from darknet_kit.network.keys import iter_unknown_keys
from darknet_kit.train.start import check_start, tell_batch

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
    train = check_list(dataset, "train", progress)
    require_trainable(dataset, train)
    valid = None
    if dataset.data.valid is not None and dataset.data.valid.exists():
        valid = check_list(dataset, "valid", progress)
        if valid.images:
            require_trainable(dataset, valid)
    result = Preflight(train, valid if valid and valid.images else None)
    _check_network(dataset, cfg, train, result)
    _check_gpus(engine, gpus)
    if engine.embedded:
        _check_embedded(cfg, engine, result)
    else:
        _check_darknet(cfg, engine, result)
    for flaw in find_ruinous(cfg, engine):
        refuse(flaw.message, flaw.code, flaw.cure, cfg.path, result.warnings, force=force)
    result.warnings += iter_doubts(cfg, engine, with_map=with_map and result.valid is not None)
    _check_labels(result, engine)
    result.warnings += _doubt_labels(result)
    if with_map and result.valid and engine.flavor is Flavor.ALEXEYAB:
        _check_difficult(dataset, result)
    if with_map and result.valid:
        _check_links(result.valid)
    if weights:
        _check_start(cfg, weights, engine, result, clear=clear, force=force)
    return result


def refuse(
    message: str, code: str, cure: str, path: AnyPath | None, warnings: list[str], *, force: bool
) -> None:
    """Raise UsageError of this code; with `force`, add a warning instead."""
    if not force:
        raise UsageError(message, code=code, hint=cure, path=path)
    warnings.append(message)


def _check_start(
    cfg: Cfg, weights: str, engine: Engine, result: Preflight, *, clear: bool, force: bool
) -> None:
    if not clear and (other := tell_batch(cfg, weights)):
        cure = "Give the cfg that batch, or start the count anew with --clear; --force goes on."
        refuse(other, "another-batch", cure, weights, result.warnings, force=force)
    if doubt := check_start(cfg, weights, clear=clear, flavor=engine.flavor):
        result.warnings.append(doubt)


def _check_network(dataset: Dataset, cfg: Cfg, train: ListCheck, result: Preflight) -> None:
    found = check_cfg(cfg, classes=len(dataset.names), train_images=train.images)
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


def _check_gpus(engine: Engine, gpus: Sequence[int]) -> None:
    if gpus and engine.features.gpu is False:
        raise ToolchainError(
            f"--gpus names GPUs, and {engine} computes on the CPU",
            code="no-gpu",
            hint="Leave --gpus out; or `dkit build`, or PyTorch's default build, for the GPU.",
        )


def _check_embedded(cfg: Cfg, engine: Engine, result: Preflight) -> None:
    found = check_keys(cfg)
    for problem in found:
        if problem.is_error:
            raise UsageError(
                problem.message,
                code="unsupported-by-engine",
                hint="Change the cfg, or train with a darknet: --engine darknet",
                path=cfg.path,
                line=problem.line,
            )
    told = {unknown.entry.line for unknown in iter_unknown_keys(cfg)}  # with the network
    result.warnings += [
        f"line {problem.line}: {problem.message}" for problem in found if problem.line not in told
    ]
    if engine.features.gpu is False and find_driver().gpus:
        result.warnings.append(
            "this machine has a GPU, and its PyTorch cannot use it: install PyTorch's default build"
        )


def _check_darknet(cfg: Cfg, engine: Engine, result: Preflight) -> None:
    lacks = find_unsupported(cfg, engine.flavor)
    if lacks:
        raise UsageError(
            lacks[0].told_of(engine.flavor),
            code="unsupported-by-engine",
            hint=TAKE_ANOTHER,
            path=cfg.path,
            line=lacks[0].line,
        )
    if own := sorted({found.what for found in find_own_keys(cfg)}):
        result.warnings.append(
            f"{engine.flavor} darknet ignores {', '.join(own)}: only --engine torch knows them"
        )
    mosaic = cfg.net.integer("mosaic")
    if mosaic and engine.flavor is Flavor.ALEXEYAB and engine.features.opencv is False:
        raise ToolchainError(
            "the network wants mosaic=1, which this darknet cannot do without OpenCV",
            code="no-opencv",
            hint="Train with --engine torch, or `dkit build` with libopencv-dev installed, or set "
            "mosaic=0 in the cfg.",
            path=engine.path,
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
