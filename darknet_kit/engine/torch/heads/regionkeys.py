"""What a `[region]` section says, with Darknet's defaults (`src/parser.c`, `parse_region`)."""

from dataclasses import dataclass

from darknet_kit.engine.torch.heads.keys import read_anchor_sizes, require_channels
from darknet_kit.engine.torch.site import Site


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
    if section.integer("coords", 4) != 4:
        raise site.error(
            "has coords other than 4, which Darknet reads wrongly", "bad-value", key="coords"
        )
    require_channels(site, classes, num)
    return RegionKeys(
        anchors=read_anchor_sizes(site, num),
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
