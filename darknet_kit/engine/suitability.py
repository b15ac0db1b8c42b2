"""Whether this engine can train this network, and does it right."""

from collections.abc import Iterator, Sequence

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.find import Engine
from darknet_kit.engine.flaws import find_ruinous, iter_doubts
from darknet_kit.engine.nvidia import find_driver
from darknet_kit.engine.support import TAKE_ANOTHER, find_own_keys, find_unsupported
from darknet_kit.engine.torch.keys import check_keys
from darknet_kit.errors import AnyPath, ToolchainError, UsageError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.network.keys import iter_unknown_keys


def check_engine(
    cfg: Cfg, engine: Engine, *, gpus: Sequence[int] = (), with_map: bool, force: bool
) -> list[str]:
    """Refuse an engine that cannot train this network, or, unless `force`, ruins it; return what a
    person should know all the same.

    Raises CfgError, UsageError (`unsupported-by-engine`, `never-trained`, `wrong-gradients`),
    ToolchainError (`no-gpu`, `no-opencv`).
    """
    _check_gpus(engine, gpus)
    check = _check_embedded if engine.embedded else _check_darknet
    warnings = list(check(cfg, engine))
    for flaw in find_ruinous(cfg, engine):
        warnings += refuse(flaw.message, flaw.code, flaw.cure, cfg.path, force=force)
    return [*warnings, *iter_doubts(cfg, engine, with_map=with_map)]


def refuse(message: str, code: str, cure: str, path: AnyPath | None, *, force: bool) -> list[str]:
    """Raise UsageError of this code; with `force`, return its sentence as a warning instead."""
    if not force:
        raise UsageError(message, code=code, hint=cure, path=path)
    return [message]


def _check_gpus(engine: Engine, gpus: Sequence[int]) -> None:
    if gpus and engine.features.gpu is False:
        raise ToolchainError(
            f"--gpus names GPUs, and {engine} computes on the CPU",
            code="no-gpu",
            hint="Leave --gpus out; or `dkit build`, or PyTorch's default build, for the GPU.",
        )


def _check_embedded(cfg: Cfg, engine: Engine) -> Iterator[str]:
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
    for problem in found:
        if problem.line not in told:
            yield f"line {problem.line}: {problem.message}"
    if engine.features.gpu is False and find_driver().gpus:
        yield (
            "this machine has a GPU, and its PyTorch cannot use it: install PyTorch's default build"
        )


def _check_darknet(cfg: Cfg, engine: Engine) -> Iterator[str]:
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
        yield f"{engine.flavor} darknet ignores {', '.join(own)}: only --engine torch knows them"
    mosaic = cfg.net.integer("mosaic")
    if mosaic and engine.flavor is Flavor.ALEXEYAB and engine.features.opencv is False:
        raise ToolchainError(
            "the network wants mosaic=1, which this darknet cannot do without OpenCV",
            code="no-opencv",
            hint="Train with --engine torch, or `dkit build` with libopencv-dev installed, or set "
            "mosaic=0 in the cfg.",
            path=engine.path,
        )
