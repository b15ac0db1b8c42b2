"""What a `[detection]` section says, with Darknet's defaults (`parse_detection`)."""

from dataclasses import dataclass

from darknet_kit.engine.torch.heads.keys import choose
from darknet_kit.engine.torch.site import Site


@dataclass(frozen=True, slots=True)
class DetectionKeys:
    """The keys that say how a head learns; those without `dkit_` are Darknet's.

    `grid` is columns and rows: `dkit_side_w` and `dkit_side_h`, each `side` where it is missing.
    `softmax` is also `dkit_class_loss=ce`, which is the same thing; `bce` is `dkit_obj_loss=bce`.
    """

    grid: tuple[int, int]
    num: int
    softmax: bool
    sqrt: bool
    rescore: bool
    forced: bool
    random: bool
    coord_scale: float
    object_scale: float
    noobject_scale: float
    class_scale: float
    bce: bool


def read_detection_keys(site: Site, classes: int) -> DetectionKeys:
    """Read a section. Raises CfgError where it does not fit its input."""
    section = site.section
    side, num = section.integer("side", 7), section.integer("num", 1)
    grid = (section.integer("dkit_side_w", side), section.integer("dkit_side_h", side))
    if section.integer("coords", 1) != 4:
        raise site.error(
            "needs coords=4: a box is x, y, w, h",
            "bad-value",
            key="coords",
            hint="Darknet's own default, 1, cannot work. Write coords=4.",
        )
    expected = grid[0] * grid[1] * (classes + 5 * num)
    if min(*grid, num, classes) < 1 or site.layer.input.elements != expected:
        raise site.error(
            f"gets {site.layer.input.elements} numbers, not {expected}: "
            f"{grid[0]} x {grid[1]} cells of {classes} classes and {num} boxes with 5 each",
            "wrong-filters",
            key="side",
            hint=f"Set output={expected} before it, or correct side, num and classes.",
        )
    cross_entropy = choose(site, "dkit_class_loss", "mse", {"mse": False, "ce": True})
    return DetectionKeys(
        grid=grid,
        num=num,
        softmax=bool(section.integer("softmax")) or cross_entropy,
        sqrt=bool(section.integer("sqrt")),
        rescore=bool(section.integer("rescore")),
        forced=bool(section.integer("forced")),
        random=section.number("random") != 0,
        coord_scale=section.number("coord_scale", 1.0),
        object_scale=section.number("object_scale", 1.0),
        noobject_scale=section.number("noobject_scale", 1.0),
        class_scale=section.number("class_scale", 1.0),
        bce=choose(site, "dkit_obj_loss", "mse", {"mse": False, "bce": True}),
    )
