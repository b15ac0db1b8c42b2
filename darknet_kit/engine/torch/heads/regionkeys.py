"""What a `[region]` section says, with Darknet's defaults (`src/parser.c`, `parse_region`)."""

from dataclasses import dataclass

from darknet_kit.engine.torch.site import Site
from darknet_kit.network.heads import head_filters

# Darknet's anchor where the list under `anchors=` ends too early, in cells.
_DEFAULT_ANCHOR = 0.5


@dataclass(frozen=True, slots=True)
class RegionKeys:
    """The keys that say how a head learns; the names are Darknet's, anchors are in cells."""

    anchors: tuple[tuple[float, float], ...]
    max: int
    softmax: bool
    focal_loss: bool
    rescore: bool
    bias_match: bool
    classfix: int
    thresh: float
    coord_scale: float
    object_scale: float
    noobject_scale: float
    class_scale: float


def read_region_keys(site: Site, classes: int) -> RegionKeys:
    """Read a section. Raises CfgError where Darknet would stop or read the wrong numbers."""
    section, num = site.section, site.section.integer("num", 1)
    expected = head_filters("region", classes, num)
    if section.integer("coords", 4) != 4:
        raise site.error(
            "has coords other than 4, which Darknet reads wrongly", "bad-value", key="coords"
        )
    if min(classes, num) < 1 or site.layer.input.channels != expected:
        raise site.error(
            f"gets {site.layer.input.channels} channels, not {expected}: "
            "(classes + 5) for each anchor",
            "wrong-filters",
            key="classes",
            hint=f"Set filters={expected} before it, or correct classes and num.",
        )
    if section.find("map") is not None:
        raise site.error(
            "has map=, which the embedded engine does not have",
            "unsupported-key",
            key="map",
            hint="`dkit build` makes an engine that has it.",
        )
    return RegionKeys(
        anchors=_read_anchors(site, num),
        max=max(0, section.integer("max", 200)),
        softmax=bool(section.integer("softmax")),
        focal_loss=bool(section.integer("focal_loss")),
        rescore=bool(section.integer("rescore")),
        bias_match=bool(section.integer("bias_match")),
        classfix=section.integer("classfix"),
        thresh=section.number("thresh", 0.5),
        coord_scale=section.number("coord_scale", 1.0),
        object_scale=section.number("object_scale", 1.0),
        noobject_scale=section.number("noobject_scale", 1.0),
        class_scale=section.number("class_scale", 1.0),
    )


def _read_anchors(site: Site, num: int) -> tuple[tuple[float, float], ...]:
    """Read `anchors` (width, height in cells); those missing are 0.5 x 0.5."""
    numbers = site.section.numbers("anchors")[: 2 * num]
    numbers += (_DEFAULT_ANCHOR,) * (2 * num - len(numbers))
    if min(numbers) <= 0:
        raise site.error("has an anchor that is not above 0", "bad-anchors", key="anchors")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
