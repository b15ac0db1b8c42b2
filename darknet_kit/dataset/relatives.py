"""Classes that a network will mix up, by what they are called: kin in WordNet, names alike.

Two classes are close relatives where one kind is at most two steps above both in upstream's tree
of synsets, and is a narrow one: "dog" and "furniture" are, "device" and "structure" are not.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from darknet_kit.dataset.classes import WNID_JOINT
from darknet_kit.formats.wordtree import WordTree

STEPS_UP = 2
NARROW = 200
"""A narrow kind has no more synsets below itself; of 9,418, dog has 165 and device 1,043."""


@dataclass(frozen=True, slots=True)
class Kin:
    """Classes of one kind: its wnid, the word for it, and the class_ids."""

    wnid: str
    name: str
    class_ids: tuple[int, ...]


def find_kin(wnids: Sequence[str], tree: WordTree) -> list[Kin]:
    """Return the groups of close relatives, the largest first; `wnids` are in class_id order.

    A group that lies within another one is left out, and so is a wnid that is not in the tree.
    A merged class, whose wnids `+` joins, is of the kinds of each.
    """
    sizes = _count_below(tree)
    groups: defaultdict[str, set[int]] = defaultdict(set)
    for class_id, joined in enumerate(wnids):
        for wnid in joined.split(WNID_JOINT):
            for kind in _climb(wnid, tree):
                if sizes[kind] <= NARROW:
                    groups[kind].add(class_id)
    # From the narrowest on, so that of two kinds with the same classes the narrower one is named.
    kinds = sorted(
        (kind for kind, members in groups.items() if len(members) > 1),
        key=lambda kind: (-len(groups[kind]), sizes[kind], kind),
    )
    kept: list[str] = []
    for kind in kinds:
        if not any(groups[kind] <= groups[larger] for larger in kept):
            kept.append(kind)
    return [Kin(kind, tree.name(kind), tuple(sorted(groups[kind]))) for kind in kept]


def _count_below(tree: WordTree) -> Counter[str]:
    """Return how many synsets are below each."""
    below: Counter[str] = Counter()
    for wnid, parent in reversed(tree.parents.items()):
        below[parent] += 1 + below[wnid]
    return below


def _climb(wnid: str, tree: WordTree) -> Iterator[str]:
    """Yield a synset and those up to STEPS_UP above it."""
    for _ in range(1 + STEPS_UP):
        if wnid not in tree.parents:
            return
        yield wnid
        wnid = tree.parents[wnid]


def find_alike(names: Sequence[str]) -> list[tuple[int, ...]]:
    """Return the class_ids of names that are one but for case, blanks, hyphens or a plural."""
    first: dict[str, str] = {}
    bare = ["".join(char for char in name.casefold() if char not in " -_") for name in names]
    known = set(bare)
    for word in sorted(known, key=len):
        for plural in _plurals(word):
            if plural in known:
                first.setdefault(plural, first.get(word, word))
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for class_id, word in enumerate(bare):
        groups[first.get(word, word)].append(class_id)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _plurals(word: str) -> Iterator[str]:
    yield from (f"{word}s", f"{word}es")
    if word.endswith("y"):
        yield f"{word[:-1]}ies"
