"""Of which known network a weights file may be: its length tells, since no file names one.

A backbone does not depend on the classes; a whole file's length is a straight line over them.
"""

import itertools
from dataclasses import dataclass

from darknet_kit.network.catalog import MODELS, Model
from darknet_kit.network.heads import find_heads
from darknet_kit.network.layers import infer_layers
from darknet_kit.network.model import MOST_CLASSES, CfgRequest, make_cfg


@dataclass(frozen=True, slots=True)
class Origin:
    """A model whose length fits. `layers` of its `of` layers are in the file; `classes` is how
    many it tells apart, 0 for a backbone."""

    model: Model
    layers: int
    of: int
    classes: int = 0


def find_origins(floats: int) -> list[Origin]:
    """Return the models of the catalog that a file of so many float32 may belong to."""
    found = [_match(model, floats) for model in MODELS.values()] if floats else []
    return [origin for origin in found if origin is not None]


def _match(model: Model, floats: int) -> Origin | None:
    one, two = (_ends(model, classes) for classes in (1, 2))
    of, whole = len(one), one[-1]
    step = two[-1] - whole
    classes, rest = divmod(floats - whole, step)
    if rest == 0 and 0 <= classes < MOST_CLASSES:
        return Origin(model, of, of, classes + 1)
    common = one[: _common_layers(model)]
    if floats in common:
        # Layers without weights share an end with the one before: the last of them counts.
        return Origin(model, len(common) - common[::-1].index(floats), of)
    return None


def _ends(model: Model, classes: int) -> list[int]:
    layers = infer_layers(make_cfg(CfgRequest(classes, model.name)))
    return list(itertools.accumulate(layer.weight_floats for layer in layers))


def _common_layers(model: Model) -> int:
    """Return how many first layers are the same whatever the classes."""
    return find_heads(make_cfg(CfgRequest(1, model.name)))[0].index - 1
