"""The floor under a conversion: the same bytes read and written, and nothing understood.

Runs in the pool that `dkit convert` uses. A label is written straight under its name, with a
content of the usual size; with --whole it gets its name when it is whole, as dkit's do.
"""

import argparse
import functools
import os
from collections.abc import Iterator, Sequence

from darknet_kit.core.newfiles import NewFiles
from darknet_kit.core.pool import map_shards, shards

_LABEL = b"0 0.500000 0.500000 0.500000 0.500000\n0 0.500000 0.500000 0.500000 0.500000\n"

Work = tuple[str, str, str]
"""A folder of annotations below the root, a name in it, the folder of its label."""


def convert(root: str, out: str, cold: bool, whole: bool, workers: int) -> None:
    """Read every XML file below `root`; write a label where an engine would look, or in `out`,
    with a link to the image. `cold` asks the kernel to read ahead."""
    work = list(_find_work(root, out))
    function = functools.partial(_read_and_write, link=bool(out), cold=cold, whole=whole)
    for _ in map_shards(function, shards(work), workers=workers):
        pass


def _find_work(root: str, out: str) -> Iterator[Work]:
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        names = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    waiting.append(entry.path)
                elif entry.name.endswith(".xml"):
                    names.append(entry.name)
        if names:
            place = os.path.join(out, folder.removeprefix(root).strip("/"))
            labels = place if out else label_folder(folder)
            os.makedirs(labels, exist_ok=True)
            yield from ((folder, name, labels) for name in names)


def label_folder(annotations: str) -> str:
    """Return where AlexeyAB's darknet looks for the labels of a folder of annotations."""
    place = "Data" if "/Annotations/CLS-LOC" in annotations else "labels"
    return annotations.replace("/Annotations", f"/{place}")


def _read_and_write(work: Sequence[Work], link: bool, cold: bool, whole: bool) -> None:
    if cold:
        for folder, name, _ in work:
            source = os.open(f"{folder}/{name}", os.O_RDONLY)
            os.posix_fadvise(source, 0, 0, os.POSIX_FADV_WILLNEED)
            os.close(source)
    with NewFiles() as files:
        _convert(work, link, files if whole else None)


def _convert(work: Sequence[Work], link: bool, files: NewFiles | None) -> None:
    for folder, name, labels in work:
        source = os.open(f"{folder}/{name}", os.O_RDONLY)
        content = os.read(source, 1 << 16)
        os.close(source)
        stem = name[:-4]
        label = _LABEL[: 38 * content.count(b"<object>")]
        if files:
            files.put(f"{labels}/{stem}.txt", label)
        else:
            target = os.open(f"{labels}/{stem}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.write(target, label)
            os.close(target)
        if link:
            os.symlink(f"{folder}/{stem}.JPEG", f"{labels}/{stem}.jpg")


def main() -> None:
    """Convert the tree that the command line names."""
    parser = argparse.ArgumentParser(description="Read XML and write labels, without parsing.")
    parser.add_argument("root")
    parser.add_argument("--out", default="")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    chosen = parser.parse_args()
    convert(os.path.abspath(chosen.root), chosen.out, chosen.cold, chosen.whole, chosen.workers)
