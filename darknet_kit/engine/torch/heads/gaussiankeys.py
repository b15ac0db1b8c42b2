"""What a `[Gaussian_yolo]` section says, with Darknet's defaults (`parse_gaussian_yolo`)."""

from dataclasses import dataclass

from darknet_kit.engine.torch.heads.keys import choose
from darknet_kit.engine.torch.heads.yolokeys import AnchoredKeys, read_anchored_keys
from darknet_kit.engine.torch.site import Site

# In half widths from the centre of a box to the point that its cell holds.
_POINTS = {"center": 0.0, "left_top": -1.0, "right_bottom": 1.0}


@dataclass(frozen=True, slots=True)
class GaussianKeys(AnchoredKeys):
    """The keys that say how a `[Gaussian_yolo]` head learns.

    `point` is `yolo_point`: -1 the left upper corner of a box, 0 its centre, 1 the other corner.
    """

    uc_normalizer: float
    point: float


def read_gaussian_keys(site: Site, classes: int) -> GaussianKeys:
    """Read a section. Raises CfgError where Darknet would stop or take another value silently."""
    return GaussianKeys(
        **read_anchored_keys(site, classes),
        uc_normalizer=site.section.number("uc_normalizer", 1.0),
        point=choose(site, "yolo_point", "center", _POINTS),
    )
