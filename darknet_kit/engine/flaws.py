"""What engines compute wrongly, without a word.

AlexeyAB `src/col2im.c` (`col2im_cpu_ext` overwrites a gradient that came by another way),
`src/network.c` (`forward_network` clears the gradients of layers that are `train` alone, and
`update_network` passes over all others), `src/gemm.c` (`forward_maxpool_layer_avx`),
`src/convolutional_kernels.cu`; hank-ai's `src-lib` has the same code.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.find import Engine
from darknet_kit.engine.support import find_unsupported
from darknet_kit.formats.cfg import Cfg
from darknet_kit.network.kinds import canonical_kind
from darknet_kit.network.layers import infer_layers

# A chain of layers learns well; where a layer is read twice, or its gradient is never cleared, not.
_WRONG_ON_CPU = frozenset(
    {
        *("route", "upsample", "shortcut", "scale_channels", "sam"),
        *("avgpool", "connected", "dropout", "reorg", "reorg3d"),
    }
)
_NEVER_TRAINED = frozenset({"connected", "local", "implicit", "rnn", "gru", "lstm"})
_AVX_MARK = b"FMA & AVX2"  # what both forks print of themselves when built with AVX
_AVX_LANES = 8


@dataclass(frozen=True, slots=True)
class Flaw:
    """A sentence on what an engine gets wrong, a code, and what to do about it."""

    code: str
    message: str
    cure: str


def find_ruinous(cfg: Cfg, engine: Engine) -> list[Flaw]:
    """Return why a training with this engine teaches a network something else; mostly nothing."""
    if not _is_fork(engine):
        return []
    kinds = {canonical_kind(section.kind) for section in cfg.layers}
    found = []
    if untrained := sorted(_NEVER_TRAINED & kinds):
        message = f"{engine.flavor} darknet never trains {_name(untrained)}: they stay as they are"
        found.append(Flaw("never-trained", message, _advise(cfg)))
    if errs_on_cpu(engine) and (wrong := sorted(_WRONG_ON_CPU & kinds - {*untrained})):
        message = f"on a CPU, {engine.flavor} darknet computes wrong gradients for {_name(wrong)}"
        found.append(Flaw("wrong-gradients", message, _advise(cfg, "on a GPU")))
    return found


def errs_on_cpu(engine: Engine) -> bool:
    """Tell whether an engine computes gradients on a CPU, and wrong ones where layers branch."""
    return _is_fork(engine) and engine.features.gpu is False


def _is_fork(engine: Engine) -> bool:
    return not engine.embedded and engine.flavor is not Flavor.ORIGINAL


def _name(kinds: list[str]) -> str:
    return f"{', '.join(kinds)} layers"


def _advise(cfg: Cfg, *ways: str) -> str:
    ways = ("with --engine torch", *ways)
    if not find_unsupported(cfg, Flavor.ORIGINAL):
        ways += ("with the 2018 original (apt-get install darknet)",)
    return f"Train {', or '.join(ways)}; --force trains all the same."


def iter_doubts(cfg: Cfg, engine: Engine, *, with_map: bool) -> Iterator[str]:
    """Yield sentences on what an engine computes less well than it could. Raises CfgError."""
    if not _is_fork(engine):
        return
    scale = cfg.net.number("loss_scale", 1.0)
    if engine.features.cudnn_half and scale not in (0, 1):
        yield (
            f"loss_scale={scale:g} makes {engine.flavor} darknet train in half precision after "
            "3 x burn_in iterations, where gradients that come by [route] or [shortcut] are lost "
            "and users saw nan; leave it out of [net]"
        )
    pools = _find_bad_pools(cfg) if with_map and engine.features.gpu is False else []
    if pools and _has_avx(engine):
        lines = ", ".join(str(line) for line in pools)
        yield (
            f"this darknet is built with AVX, and errs in pooling with stride=1 (line {lines}) "
            "when it computes mAP; `dkit build --without avx` makes one that does not"
        )


def _find_bad_pools(cfg: Cfg) -> list[int]:
    """Return the lines of poolings whose first eight columns come out wrong with AVX.

    A window that begins left of the image is skipped for all eight at once; such a block is used
    where `out_w - 8 - (size - 1)` is above 0, and a window of 2 begins in the image.
    """
    lines = []
    for section, layer in zip(cfg.layers, infer_layers(cfg), strict=True):
        stride = section.integer("stride", 1)
        size = section.integer("size", stride)
        begins_outside = section.integer("padding", size - 1) // 2 > 0
        in_blocks = layer.output.width > _AVX_LANES + size - 1
        if layer.kind == "maxpool" and stride == 1 and begins_outside and in_blocks:
            lines.append(section.line)
    return lines


def _has_avx(engine: Engine) -> bool:
    try:
        with (
            open(engine.path, "rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as program,
        ):
            return program.find(_AVX_MARK) >= 0
    except (OSError, ValueError):
        return False
