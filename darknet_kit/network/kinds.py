"""What a section of each kind makes of its input: shape, weights and work.

All follows AlexeyAB's `src/parser.c` and the `make_*_layer` function of each kind; the test suite
holds it against what the binary prints and writes.
"""

from collections.abc import Callable, Mapping

from darknet_kit.formats.cfg import Section
from darknet_kit.network.layer import LARGEST, Layer, Place, Shape
from darknet_kit.network.parameters import is_normalized

_ALIASES = {
    "conv": "convolutional",
    "conn": "connected",
    "max": "maxpool",
    "avg": "avgpool",
    "local_avg": "local_avgpool",
    "soft": "softmax",
    "lrn": "normalization",
    "silence": "empty",
}


def canonical_kind(kind: str) -> str:
    """Return the long name of a section: `conv` is `convolutional`."""
    return _ALIASES.get(kind, kind)


def _convolutional(place: Place) -> Layer:
    section, shape = place.section, place.input
    filters = place.at_least_one("filters", 1)
    size = place.window("size", 1)
    stride_x, stride_y = _strides(place)
    groups = 1 if section.integer("xnor") else max(1, section.integer("groups", 1))
    if shape.channels % groups or filters % groups:
        raise place.error(
            f"has groups={groups}, which divides {shape.channels} channels and {filters} filters "
            "into no equal parts",
            "impossible-shape",
        )
    padding = size // 2 if section.integer("pad") else section.integer("padding")
    antialiased = section.integer("antialiasing") > 0
    host_x, host_y = (1, 1) if antialiased else (stride_x, stride_y)
    host = Shape(
        _slide(shape.width, size, host_x, 2 * padding),
        _slide(shape.height, size, host_y, 2 * padding),
        filters,
    )
    kernel_floats = shape.channels // groups * filters * size * size
    operations = 2.0 * kernel_floats * host.width * host.height
    return place.make(
        _blur(place, host, (stride_x, stride_y)) if antialiased else host,
        stride=_coarser(place, stride_x, stride_y),
        weight_floats=0
        if section.find("share_index")
        else _with_norm(section, filters, kernel_floats),
        operations=operations / 32 if section.integer("xnor") else operations,
    )


def _with_norm(section: Section, outputs: int, kernel_floats: int) -> int:
    """Add a bias per output and, with batch normalization, its scale, mean and variance."""
    return kernel_floats + (4 if is_normalized(section) else 1) * outputs


def _blur(place: Place, host: Shape, strides: tuple[int, int]) -> Shape:
    """Shrink by the blur that `antialiasing` puts after a layer of stride 1."""
    size, padding = (2, 0) if place.section.integer("antialiasing") == 2 else (3, 2)
    return Shape(
        _slide(host.width, size, strides[0], padding),
        _slide(host.height, size, strides[1], padding),
        host.channels,
    )


def _strides(place: Place) -> tuple[int, int]:
    both = place.window("stride", 1)
    stride_x = place.window("stride_x", both) if place.section.integer("stride_x") > 0 else both
    stride_y = place.window("stride_y", both) if place.section.integer("stride_y") > 0 else both
    return stride_x, stride_y


def _slide(length: int, size: int, stride: int, padding: int) -> int:
    """Count the places of a window. `padding` is the sum of both sides. C divides towards 0."""
    return int((length + padding - size) / stride) + 1


def _coarser(place: Place, stride_x: int, stride_y: int) -> tuple[int, int]:
    return (
        min(place.stride[0] * stride_x, LARGEST),
        min(place.stride[1] * stride_y, LARGEST),
    )


def _maxpool(place: Place) -> Layer:
    section, shape = place.section, place.input
    stride_x, stride_y = _strides(place)
    size = place.window("size", section.integer("stride", 1))
    padding = section.integer("padding", size - 1)
    if section.integer("maxpool_depth"):
        output = Shape(shape.width, shape.height, place.at_least_one("out_channels", 1))
        operations = size * size * shape.channels * shape.width * shape.height
        return place.make(output, operations=operations)
    antialiased = section.integer("antialiasing") > 0
    host_x, host_y = (1, 1) if antialiased else (stride_x, stride_y)
    host = Shape(
        _slide(shape.width, size, host_x, padding),
        _slide(shape.height, size, host_y, padding),
        shape.channels,
    )
    return place.make(
        _blur(place, host, (stride_x, stride_y)) if antialiased else host,
        stride=_coarser(place, stride_x, stride_y),
        operations=size * size * shape.channels * host.width * host.height,
    )


def _avgpool(place: Place) -> Layer:
    return place.make(Shape(1, 1, place.input.channels))


def _route(place: Place) -> Layer:
    sources = _sources(place, "layers")
    shapes = [place.before[source].output for source in sources]
    first = shapes[0]
    if any((shape.width, shape.height) != (first.width, first.height) for shape in shapes):
        listed = ", ".join(f"{source}: {place.before[source].output}" for source in sources)
        raise place.error(f"joins layers of different sizes ({listed})", "impossible-shape")
    channels = sum(shape.channels for shape in shapes) // place.at_least_one("groups", 1)
    return place.make(
        Shape(first.width, first.height, channels),
        stride=place.before[sources[0]].stride,
        sources=sources,
    )


def _shortcut(place: Place) -> Layer:
    sources = _sources(place, "from")
    shape = place.input
    for source in sources:
        other = place.before[source].output
        if (other.width, other.height) != (shape.width, shape.height):
            raise place.error(f"adds {shape} and layer {source}, {other}", "impossible-shape")
    weights = {
        "per_feature": len(sources) + 1,
        "per_layer": len(sources) + 1,
        "per_channel": (len(sources) + 1) * shape.channels,
    }.get(place.section.text("weights_type"), 0)
    return place.make(
        weight_floats=weights,
        operations=shape.elements * len(sources) * (2 if weights else 1),
        sources=sources,
    )


def _scale_by(place: Place) -> Layer:
    """`[scale_channels]` and `[sam]`: another layer, scaled by this one's input."""
    source = _sources(place, "from")[0]
    other = place.before[source]
    return place.make(other.output, stride=other.stride, sources=(source,))


def _sources(place: Place, key: str) -> tuple[int, ...]:
    named = place.section.integers(key)
    if not named:
        raise place.error(f"has no {key}=", "bad-source", hint=f"Write {key}=-1 or the like.")
    sources = tuple(place.index + number if number < 0 else number for number in named)
    for number, source in zip(named, sources, strict=True):
        if not 0 <= source < place.index:
            raise place.error(
                f"refers to layer {number}, which does not come before it",
                "bad-source",
                hint="Negative numbers count back from this layer, others from layer 0.",
            )
    return sources


def _upsample(place: Place) -> Layer:
    stride, shape = place.section.integer("stride", 2), place.input
    if stride == 0:
        raise place.error("has stride=0", "impossible-shape")
    if stride < 0:
        smaller = Shape(shape.width // -stride, shape.height // -stride, shape.channels)
        return place.make(smaller, stride=_coarser(place, -stride, -stride))
    return place.make(
        Shape(shape.width * stride, shape.height * stride, shape.channels),
        stride=(max(1, place.stride[0] // stride), max(1, place.stride[1] // stride)),
    )


def _reorg(place: Place) -> Layer:
    stride, shape = place.window("stride", 1), place.input
    if place.section.integer("reverse"):
        return place.make(
            Shape(shape.width * stride, shape.height * stride, shape.channels // stride**2),
            stride=(max(1, place.stride[0] // stride), max(1, place.stride[1] // stride)),
        )
    return place.make(
        Shape(shape.width // stride, shape.height // stride, shape.channels * stride**2),
        stride=_coarser(place, stride, stride),
    )


def _connected(place: Place) -> Layer:
    outputs, inputs = place.at_least_one("output", 1), place.input.elements
    floats = _with_norm(place.section, outputs, inputs * outputs)
    return place.make(Shape(1, 1, outputs), weight_floats=floats)


def _local(place: Place) -> Layer:
    section, shape = place.section, place.input
    filters, size = place.at_least_one("filters", 1), place.window("size", 1)
    stride = place.window("stride", 1)
    # Upstream pads a `local` layer so that only the stride shrinks it, or not at all.
    cut = 1 if section.integer("pad") else size
    output = Shape((shape.width - cut) // stride + 1, (shape.height - cut) // stride + 1, filters)
    kernel = size * size * shape.channels * output.elements
    return place.make(
        output, stride=_coarser(place, stride, stride), weight_floats=output.elements + kernel
    )


def _batchnorm(place: Place) -> Layer:
    # The 2018 original writes no biases here; AlexeyAB's fork, whose files we expect, does.
    return place.make(weight_floats=4 * place.input.channels)


def _crop(place: Place) -> Layer:
    width, height = place.at_least_one("crop_width", 1), place.at_least_one("crop_height", 1)
    return place.make(Shape(width, height, place.input.channels))


def _implicit(place: Place) -> Layer:
    shape = Shape(1, place.at_least_one("atoms", 1), place.at_least_one("filters", 128))
    return place.make(shape, weight_floats=shape.elements)


def _unchanged(place: Place) -> Layer:
    return place.make()


INFER: Mapping[str, Callable[[Place], Layer]] = {
    "convolutional": _convolutional,
    "maxpool": _maxpool,
    "local_avgpool": _maxpool,
    "avgpool": _avgpool,
    "route": _route,
    "shortcut": _shortcut,
    "scale_channels": _scale_by,
    "sam": _scale_by,
    "upsample": _upsample,
    "reorg": _reorg,
    "reorg3d": _reorg,
    "connected": _connected,
    "local": _local,
    "batchnorm": _batchnorm,
    "crop": _crop,
    "implicit": _implicit,
} | dict.fromkeys(
    (
        "activation",
        "contrastive",
        "cost",
        "detection",
        "dropout",
        "empty",
        "Gaussian_yolo",
        "normalization",
        "region",
        "softmax",
        "yolo",
    ),
    _unchanged,
)
