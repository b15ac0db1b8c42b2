"""Classes that are kinds of others: `tree=` of YOLO9000, "a terrier is a dog is an animal".

Each line of the file is a class, its name and the 0-based number of the class that it is a kind
of, -1 for none. Lines with one parent in a row are a group: one softmax. AlexeyAB `src/tree.c`.
"""

from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor, nn

from darknet_kit.engine.torch.site import Site
from darknet_kit.errors import CfgError

# The tree of YOLO9000 has 9418 lines in 160 KB.
_MAX_BYTES = 4 << 20


class ClassTree(nn.Module):
    """C classes; `parent` [C + 1] holds C where there is none, `group` [C + 1] of each class.

    The last entry of both stands for "no class", whose group no class is in.
    """

    parent: Tensor
    group: Tensor

    def __init__(self, parents: tuple[int, ...]) -> None:
        super().__init__()
        none = len(parents)
        runs = [number for number, (_, run) in enumerate(groupby(parents)) for _ in run]
        self.groups = runs[-1] + 1
        self.depth = _measure_depth(parents)
        chain = [parent if parent >= 0 else none for parent in parents]
        self.register_buffer("parent", torch.tensor([*chain, none]), persistent=False)
        self.register_buffer("group", torch.tensor([*runs, self.groups]), persistent=False)

    def normalize(self, values: Tensor) -> Tensor:
        """Return the softmax of [..., C] within each group."""
        index = self.group[:-1].expand_as(values)
        empty = values.new_zeros((*values.shape[:-1], self.groups))
        top = empty.scatter_reduce(-1, index, values, "amax", include_self=False)
        powers = (values - top.gather(-1, index)).exp()
        return powers / empty.scatter_add(-1, index, powers).gather(-1, index)

    def chain(self, values: Tensor) -> Tensor:
        """Multiply each class's probability [..., C] with those of all that it is a kind of."""
        values = torch.cat((values, torch.ones_like(values[..., :1])), -1)
        above = self.parent
        # Each round doubles the number of generations that are multiplied in.
        for _ in range((self.depth - 1).bit_length()):
            values, above = values * values[..., above], above[above]
        return values[..., :-1]

    def find_path(self, class_id: Tensor) -> tuple[Tensor, Tensor]:
        """Return which classes a class [...] decides about and which of them hold, [..., C].

        It holds itself and all that it is a kind of; it decides about those and their groups.
        """
        number = torch.arange(len(self.parent) - 1, device=class_id.device)
        groups = self.group[:-1]
        holds = class_id[..., None] == number
        decides = self.group[class_id][..., None] == groups
        for _ in range(self.depth - 1):
            class_id = self.parent[class_id]
            holds = holds | (class_id[..., None] == number)
            decides = decides | (self.group[class_id][..., None] == groups)
        return decides, holds


def read_tree(site: Site, classes: int) -> ClassTree | None:
    """Read the file that `tree=` names, from the working folder. None where there is no such key.

    Raises CfgError where it cannot be read, or is no tree of these classes.
    """
    name = site.section.text("tree")
    if not name:
        return None
    try:
        with Path(name).open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise site.error(
            f"has tree={name}, which cannot be read",
            "missing-file",
            key="tree",
            hint="Darknet looks for it from the folder in which it is started.",
        ) from error
    lines = content.decode("utf-8", "replace").splitlines()
    if len(content) > _MAX_BYTES or len(lines) != classes:
        raise _no_tree(site, f"has {len(lines)} lines, not one for each of {classes} classes")
    parents = tuple(_read_parent(site, number, line) for number, line in enumerate(lines))
    return ClassTree(parents)


def _read_parent(site: Site, number: int, line: str) -> int:
    """Return the parent of class `number`; it must come before it, as Darknet relies on."""
    words = line.split()
    try:
        parent = int(words[1])
    except (IndexError, ValueError):
        raise _no_tree(site, f"needs a name and a number in line {number + 1}") from None
    if not -1 <= parent < number:
        raise _no_tree(site, f"names parent {parent} in line {number + 1}, which is not above it")
    return parent


def _no_tree(site: Site, what: str) -> CfgError:
    return site.error(
        f"has tree={site.section.text('tree')}, which {what}",
        "bad-tree",
        key="tree",
        hint="Each line is a class name and the 0-based line of its parent, or -1.",
    )


def _measure_depth(parents: tuple[int, ...]) -> int:
    depths: list[int] = []
    for parent in parents:
        depths.append(1 if parent < 0 else depths[parent] + 1)
    return max(depths)
