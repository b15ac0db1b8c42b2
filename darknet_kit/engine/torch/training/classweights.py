"""Weights of classes from how often each is seen (`dkit_class_weights=1`).

Darknet has `counters_per_class` for this, typed by hand, which lifts every class to the most
frequent one. Here an object counts 1 on average, so that the learning rate means what it meant:
N / (C * n), for n of N objects and C classes that have any.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from darknet_kit.engine.torch.data.truth import read_label_file
from darknet_kit.engine.torch.network import Network


def count_objects(images: Iterable[str], classes: int) -> list[int]:
    """Count the usable labels of each class, over the label files of images."""
    counts = np.zeros(classes, np.int64)
    for image in images:
        class_ids = read_label_file(image, classes).edges[:, 4].astype(np.int64)
        counts += np.bincount(class_ids, minlength=classes)
    return [int(count) for count in counts]


def balance_classes(counts: Sequence[int]) -> tuple[float, ...]:
    """Return the weight of each class; 1 for those that are never seen."""
    objects, seen = sum(counts), sum(count > 0 for count in counts)
    return tuple(objects / (seen * count) if count else 1.0 for count in counts)


def weigh_classes(network: Network, counts: Sequence[int]) -> None:
    """Give every head of a network the weights of its classes, in place of any from the cfg.

    The network must be on its device already. Heads of another number of classes are left alone.
    """
    device = next(network.parameters()).device
    for head in network.heads:
        if head.classes == len(counts):
            head.class_weights = torch.tensor(balance_classes(counts), device=device)
