"""The loss on images that a network does not train on: Darknet's own number, without a gradient."""

from collections.abc import Sequence

import torch

from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.engine.torch.data.inputs import InputFormat, iter_inputs
from darknet_kit.engine.torch.data.loader import stack
from darknet_kit.engine.torch.data.truth import read_label_file, to_truths
from darknet_kit.engine.torch.network import Network
from darknet_kit.errors import DatasetError


@torch.no_grad()
def compute_loss(
    network: Network,
    images: Sequence[str],
    *,
    seen: int,
    batch: int = 16,
    progress: Progress = no_progress,
) -> float:
    """Return the mean loss of an image, stretched to the network's input, as training prints it.

    The network is left in inference mode. `seen` counts the images of the training so far. Raises
    DatasetError where no image can be read.
    """
    network.eval()
    device = next(network.parameters()).device
    target = InputFormat(network.size, network.plan[0].input.channels)
    classes = network.heads[-1].classes
    total, done = torch.zeros((), device=device), 0
    for inputs in iter_inputs(images, target, batch=batch):
        labels = [to_truths(read_label_file(path, classes).edges) for path in inputs.paths]
        truths = torch.from_numpy(stack(labels)).to(device)
        raws = network(inputs.images.to(device))
        told = network.assess(raws, truths, network.size, seen)
        total += torch.stack([one.cost for one in told]).mean()
        done += len(inputs.paths)
        progress(done, len(images))
    if not done:
        raise DatasetError(
            "none of the images to validate on can be read",
            code="no-image",
            hint="Check the paths in the list that `valid =` names.",
        )
    return float(total) / done


def format_loss(loss: float) -> str:
    """Return the line that tells of it."""
    return f" validation loss = {loss:f}\n"
