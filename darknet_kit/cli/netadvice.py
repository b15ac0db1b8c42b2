"""What the boxes of a data set ask of the network that is to learn them."""

import contextlib

from darknet_kit.cli.bar import progress_bar
from darknet_kit.dataset.advice import Advice, advise
from darknet_kit.dataset.stats import stats
from darknet_kit.errors import AnyPath, DatasetError

# The rest of what is to be said of a data set, `dkit stats` says.
_OF_NETWORKS = frozenset({"crowded-images", "imbalance", "tiny-boxes", "unseen-boxes"})
_FEW = 50


def advise_on_network(data: AnyPath, size: tuple[int, int]) -> list[Advice]:
    """Return what the boxes ask of a network with an input of `size` pixels.

    Nothing where a list cannot be read: a cfg can be written all the same.
    """
    with contextlib.suppress(DatasetError), progress_bar("measure", "images") as progress:
        counted = stats(data, size=size, progress=progress)
        return [one for one in advise(counted, _FEW) if one.code in _OF_NETWORKS]
    return []


def describe_advice(found: list[Advice]) -> list[str]:
    """Return two lines for each: what was found, and what to do."""
    return [line for one in found for line in (f"  data: {one.finding};", f"        {one.cure}")]
