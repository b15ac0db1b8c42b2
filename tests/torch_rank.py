"""One process of a training, for tests/test_torch_distributed.py: writes the gradient it gets.

    python tests/torch_rank.py CFG IMAGES TRUTHS GRADIENT

It takes the part of the images that is its own; alone it takes them all. Batch normalization
uses its running statistics, as those of the mini-batch differ between one process and two.
"""

import sys

import numpy as np
import torch

from darknet_kit.engine.torch.data.loader import Batch
from darknet_kit.engine.torch.device import choose_arithmetic
from darknet_kit.engine.torch.distributed import agree, find_team, joining, share_number
from darknet_kit.engine.torch.network import Network
from darknet_kit.engine.torch.training.learner import Learner
from darknet_kit.formats.cfg import read_cfg


def main(cfg: str, images: str, truths: str, gradient: str) -> None:
    """Learn two mini-batches and write the gradient of every parameter, one after the other."""
    team, arithmetic = find_team(), choose_arithmetic("cpu")
    with joining(team, arithmetic.device):
        assert share_number(10 + team.rank, team) == 10
        assert agree(team.rank == team.world - 1, team, arithmetic.device)
        torch.manual_seed(team.rank)  # the processes begin differently, and must not go on so
        network = Network(read_cfg(cfg))
        learner = Learner(network, arithmetic, team, subdivisions=2)
        network.eval()
        pixels, boxes = torch.from_numpy(np.load(images)), torch.from_numpy(np.load(truths))
        own = slice(team.rank, None, team.world)
        size = len(pixels) // team.world // 2
        batches = map(Batch, torch.split(pixels[own], size), torch.split(boxes[own], size))
        lesson = learner.read(learner.learn(batches, 0))
        assert np.isfinite(lesson.loss)
        if team.is_first:
            flat = [one.grad.flatten() for one in network.parameters() if one.grad is not None]
            np.save(gradient, torch.cat(flat).numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
