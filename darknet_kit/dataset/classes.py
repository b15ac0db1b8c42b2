"""Class lists: classes chosen by name, merged and renamed, and what becomes of their class_ids.

Every class answers to each of its spellings: its name, its wnid, and after a merge the names and
wnids of all that went into it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from darknet_kit.dataset.spelling import iter_words, refuse_unknown
from darknet_kit.errors import UsageError
from darknet_kit.formats.datafile import one_line

WNID_JOINT = "+"
"""Between the wnids of a merged class, in its line of a `.wnids` file."""
_FEW = 10  # names in a note


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a data set to be, made of those of another.

    `names` and `wnids` (empty where there are none) are by new class_id; `new_ids` are by old
    class_id, which is missing where the class is left out; `spellings` lead to new class_ids.
    """

    names: Sequence[str]
    wnids: Sequence[str]
    new_ids: Mapping[int, int]
    spellings: Mapping[str, int]
    notes: Sequence[str] = ()

    def renamed(self, old_names: Sequence[str]) -> dict[str, str]:
        """Return the new name of each old class that is kept under another one."""
        pairs = ((old_names[old], self.names[new]) for old, new in self.new_ids.items())
        return {old: new for old, new in pairs if old != new}


def all_classes(names: Sequence[str], wnids: Sequence[str] = ()) -> Classes:
    """Return every class as it is. `wnids` run parallel to `names`, or are none."""
    spellings = {
        spelling: class_id
        for class_id, joined in enumerate(wnids)
        for spelling in (joined, *joined.split(WNID_JOINT))
    }
    spellings |= {name: class_id for class_id, name in enumerate(names)}
    return Classes(names, wnids, {old: old for old in range(len(names))}, spellings)


def pick_classes(classes: Classes, chosen: Sequence[int]) -> Classes:
    """Return some of the classes; class_ids count anew, in the order of `chosen`."""
    places = {class_id: place for place, class_id in enumerate(chosen)}
    return replace(
        classes,
        names=[classes.names[class_id] for class_id in chosen],
        wnids=[classes.wnids[class_id] for class_id in chosen] if classes.wnids else (),
        new_ids={old: places[new] for old, new in classes.new_ids.items() if new in places},
        spellings={word: places[new] for word, new in classes.spellings.items() if new in places},
    )


def choose_classes(classes: Classes, wanted: Iterable[str], where: str) -> Classes:
    """Pick classes by their spellings, in the order given.

    Each of `wanted` is one name, several with commas between, or `@FILE` with one a line; a name
    that holds a comma stands alone. `where` says where the classes are listed. Raises UsageError
    (`unknown-class`, `no-choice`), DatasetError where the file cannot be read.
    """
    words = list(iter_words(wanted, classes.spellings))
    if not words:
        raise UsageError(
            "--classes names no class",
            code="no-choice",
            hint="As --classes cat,dog or, with one name a line, --classes @wanted.txt.",
        )
    refuse_unknown(words, classes.spellings, classes.names, where)
    twice = [word for word, count in Counter(words).items() if count > 1]
    notes = [f"named more than once in --classes, taken once: {', '.join(twice)}"] if twice else []
    chosen = dict.fromkeys(classes.spellings[word] for word in words)
    return replace(pick_classes(classes, list(chosen)), notes=[*classes.notes, *notes])


def merge_classes(classes: Classes, maps: Iterable[str], where: str) -> Classes:
    """Give classes other names; those that end with the same name become one.

    Each of `maps` is `old=new`, or `@FILE` with one a line; all speak of the names as they are,
    so that `a=b` and `b=a` swap. A class that keeps its name keeps its place, and others join
    it; a new name stands where the first class of that name stood. Raises UsageError
    (`unknown-class`, `bad-map`), DatasetError where a file cannot be read.
    """
    new_names = _read_maps(maps, classes, where)
    old_ids = range(len(classes.names))
    homes = {classes.names[old]: old for old in reversed(old_ids) if old not in new_names}
    for old in sorted(new_names):
        homes.setdefault(new_names[old], old)
    groups: dict[int, list[int]] = {}
    for old in old_ids:
        groups.setdefault(homes[new_names[old]] if old in new_names else old, []).append(old)
    ordered = sorted(groups.items())
    places = {old: place for place, (_, members) in enumerate(ordered) for old in members}
    names = [new_names.get(home, classes.names[home]) for home, _ in ordered]
    joined = (
        [WNID_JOINT.join(classes.wnids[old] for old in members) for _, members in ordered]
        if classes.wnids
        else []
    )
    return replace(
        classes,
        names=names,
        wnids=joined,
        new_ids={old: places[new] for old, new in classes.new_ids.items()},
        spellings={word: places[old] for word, old in classes.spellings.items()}
        | {name: place for place, name in enumerate(names)},
    )


def _read_maps(maps: Iterable[str], classes: Classes, where: str) -> dict[int, str]:
    """Return the new name of each class that is mapped, by its class_id."""
    pairs = list(_pairs(maps, classes.spellings))
    refuse_unknown([old for old, _ in pairs], classes.spellings, classes.names, where)
    named: dict[int, str] = {}
    for old, new in pairs:
        # `n02085782=n02085620` means the class of that wnid, whatever people call it.
        target = classes.spellings.get(new)
        name = new if target is None else classes.names[target]
        before = named.setdefault(classes.spellings[old], name)
        if before != name:
            raise UsageError(
                f"--map gives {old!r} two new names, {before!r} and {name!r}",
                code="bad-map",
                hint="A class can become one other class only; leave one of the two away.",
            )
    return named


def _pairs(maps: Iterable[str], spellings: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for text in iter_words(maps, spellings, separator=""):
        parts = text.split("=")
        # A name may hold `=`: then the first part that is a class ends before the right one.
        cuts = [cut for cut in range(1, len(parts)) if "=".join(parts[:cut]).strip() in spellings]
        cut = cuts[0] if cuts else 1
        old, new = "=".join(parts[:cut]).strip(), one_line("=".join(parts[cut:]))
        if not (old and new):
            raise UsageError(
                f"--map takes old=new, not {text!r}",
                code="bad-map",
                hint="As --map puppy=dog; to leave a class out, name the others with --classes.",
            )
        yield old, new


def name_unshown(names: Sequence[str], boxes: Mapping[int, int]) -> Iterator[str]:
    """Note which classes have no box to train on, where others have; `boxes` are by class_id."""
    if without := _without(names, boxes):
        yield f"no box to train on, so nothing to learn: {without}"


def name_unmeasured(names: Sequence[str], boxes: Mapping[int, int]) -> Iterator[str]:
    """Note which classes have no box to validate on, where others have; by class_id."""
    if without := _without(names, boxes):
        yield f"no box to validate on, so that AP is 0 in Darknet's mAP: {without}"


def _without(names: Sequence[str], boxes: Mapping[int, int]) -> str:
    """Return the names of a few classes without a box; nothing where no class has one."""
    found = [name for class_id, name in enumerate(names) if boxes and not boxes.get(class_id)]
    more = f" and {len(found) - _FEW:,} more" if len(found) > _FEW else ""
    return ", ".join(found[:_FEW]) + more
