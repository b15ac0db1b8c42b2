"""What a weights file holds for each layer, and in which order.

| layer | order |
|---|---|
| convolutional | biases; with batch normalization scales, means, variances; the kernel |
| connected | biases; the kernel; with batch normalization scales, means, variances |
| batchnorm | biases, scales, means, variances |
| local | biases, the kernel |
| shortcut with weights_type, implicit | the kernel alone |

From AlexeyAB's `src/parser.c`, `save_weights_upto`; other layers own nothing.
"""

from dataclasses import dataclass

from darknet_kit.formats.cfg import Section
from darknet_kit.network.layer import Layer

NORMS = ("scales", "means", "variances")


@dataclass(frozen=True, slots=True)
class Parameters:
    """Values of one kind, `count` float32 in a row. `name` is biases, kernel or one of NORMS."""

    name: str
    count: int


def list_parameters(section: Section, layer: Layer) -> tuple[Parameters, ...]:
    """Return what a file holds for a layer, in its order; together `layer.weight_floats`."""
    if not layer.weight_floats:
        return ()
    outputs = layer.output.elements if layer.kind == "local" else layer.output.channels
    biases = Parameters("biases", outputs)
    norms = [Parameters(name, outputs) for name in NORMS]
    if layer.kind == "batchnorm":
        return (biases, *norms)
    if layer.kind in ("shortcut", "implicit"):
        return (Parameters("kernel", layer.weight_floats),)
    if not is_normalized(section):
        return (biases, Parameters("kernel", layer.weight_floats - outputs))
    kernel = Parameters("kernel", layer.weight_floats - 4 * outputs)
    return (biases, kernel, *norms) if layer.kind == "connected" else (biases, *norms, kernel)


def is_normalized(section: Section) -> bool:
    """Tell whether a layer normalizes its outputs, and so owns scales, means and variances."""
    return bool(section.integer("batch_normalize") or section.integer("cbn"))
