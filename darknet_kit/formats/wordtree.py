"""WordNet's hierarchy as Darknet's `.tree` files hold it, and the words for it beside them.

Each line is a synset and the 0-based line of the one that it is a kind of, -1 for none; a line
stands below its parent (AlexeyAB `src/tree.c`, read_tree). `9k.tree` holds the 1,000 classes of
ILSVRC among 9,418. It is a tree where WordNet is a graph: of several kinds that a thing is, one.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.datafile import read_text

_MAX_BYTES = 4 << 20  # that of YOLO9000 has 140 KB


@dataclass(frozen=True, slots=True)
class WordTree:
    """`parents` of each synset, by wnid and in the order of the file, "" for none; `names` of
    those that have one."""

    parents: dict[str, str]
    names: dict[str, str]

    def name(self, wnid: str) -> str:
        """Return the word for a synset, its wnid where none is known."""
        return self.names.get(wnid, wnid)


def read_word_tree(path: AnyPath) -> WordTree:
    """Read a `.tree` file, and names from `.labels` and `.names` where upstream keeps them.

    Those lie beside it, in Debian's package, or in `cfg/` next to its folder, in AlexeyAB's
    checkout. Raises DatasetError (`bad-tree`).
    """
    source = Path(path)
    if source.exists() and not (source.is_file() and os.path.getsize(source) <= _MAX_BYTES):
        raise _no_tree("it is no file, or far too large", source)
    return WordTree(_parse_parents(read_text(source, "a .tree file"), source), _read_words(source))


def _parse_parents(text: str, source: Path) -> dict[str, str]:
    wnids: list[str] = []
    parents: dict[str, str] = {}
    for number, line in enumerate(text.splitlines()):
        try:
            wnid, parent = line.split()[0], int(line.split()[1])
        except (IndexError, ValueError):
            raise _no_tree("a line needs a synset and a number", source, number + 1) from None
        if not -1 <= parent < number:
            raise _no_tree(f"parent {parent} does not stand above", source, number + 1)
        parents[wnid] = wnids[parent] if parent >= 0 else ""
        wnids.append(wnid)
    if not parents:
        raise _no_tree("it is empty", source)
    return parents


def _read_words(source: Path) -> dict[str, str]:
    for folder in (source.parent, source.parent.parent / "cfg"):
        labels, names = (folder / f"{source.stem}{suffix}" for suffix in (".labels", ".names"))
        if labels.is_file() and names.is_file():
            wnids = read_text(labels, "a list of wnids").split()
            words = read_text(names, "a list of names").splitlines()
            return dict(zip(wnids, map(str.strip, words), strict=False))
    return {}


def _no_tree(what: str, path: Path, line: int | None = None) -> DatasetError:
    return DatasetError(
        f"this is no tree of synsets: {what}",
        code="bad-tree",
        hint="Each line is a wnid and the 0-based line of its parent, or -1; "
        "upstream's is data/9k.tree.",
        path=path,
        line=line,
    )
