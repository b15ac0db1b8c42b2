"""The layers of a whole cfg, as the engine would build them.

Recurrent layers are not supported: nothing that detects objects uses them.
"""

from darknet_kit.core.spelling import find_near
from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.network.kinds import INFER, canonical_kind
from darknet_kit.network.layer import Layer, Place, Shape

__all__ = [
    "Layer",
    "Shape",
    "infer_layers",
    "largest_stride",
    "total_bflops",
    "weight_floats",
]


def infer_layers(cfg: Cfg) -> tuple[Layer, ...]:
    """Compute every layer of a network. Raises CfgError at the first section that cannot work."""
    shape = _input_shape(cfg)
    stride = (1, 1)
    layers: list[Layer] = []
    for index, section in enumerate(cfg.layers):
        kind = canonical_kind(section.kind)
        place = Place(cfg, section, index, kind, shape, stride, layers)
        infer = INFER.get(kind)
        if infer is None:
            raise place.error(
                "is of a kind that dkit does not know",
                "unsupported-section",
                hint=_meant(kind)
                + "Section names are case-sensitive; no comment may follow one on its line.",
            )
        layer = infer(place)
        layers.append(layer)
        shape, stride = layer.output, layer.stride
    return tuple(layers)


def _meant(kind: str) -> str:
    near = find_near(kind.partition("]")[0], INFER, likeness=0.7)
    return f"Did you mean [{near[0]}]? " if near else ""


def weight_floats(cfg: Cfg) -> int | None:
    """Return how many floats a whole `.weights` file of this network holds after its header.

    None where the network has a section of a kind that dkit does not know. Raises CfgError where
    it cannot work at all.
    """
    try:
        return sum(layer.weight_floats for layer in infer_layers(cfg))
    except CfgError as error:
        if error.code == "unsupported-section":
            return None
        raise


def total_bflops(layers: tuple[Layer, ...]) -> float:
    """Return billions of operations for one image, the engine's `Total BFLOPS`."""
    return sum(layer.bflops for layer in layers)


def largest_stride(layers: tuple[Layer, ...]) -> tuple[int, int]:
    """Return the coarsest grid in the network, in input pixels (x, y); the size is a multiple."""
    return (
        max((layer.stride[0] for layer in layers), default=1),
        max((layer.stride[1] for layer in layers), default=1),
    )


def _input_shape(cfg: Cfg) -> Shape:
    net = cfg.net
    shape = Shape(net.integer("width"), net.integer("height"), net.integer("channels"))
    if min(shape.width, shape.height, shape.channels) > 0:
        return shape
    if net.integer("inputs") > 0:
        return Shape(1, 1, net.integer("inputs"))
    raise CfgError(
        "[net] must say width, height and channels, each above 0",
        code="no-input-size",
        hint="Usual are width=416, height=416, channels=3.",
        path=cfg.path,
        line=net.line,
    )
