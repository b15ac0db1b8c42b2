"""Time `dkit convert ilsvrc` on a made-up tree, against the floor: the same bytes, no parsing.

    python scripts/bench/convert.py --images 50000

The floor reads every XML file and writes a label of the usual size for it, in one process. Both
run in turn on the same tree; the figure to quote is the ratio.
"""

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

OBJECT = (
    "\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>Unspecified</pose>\n"
    "\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
    "\t\t\t<xmin>{x}</xmin>\n\t\t\t<ymin>{y}</ymin>\n\t\t\t<xmax>{x2}</xmax>\n"
    "\t\t\t<ymax>{y2}</ymax>\n\t\t</bndbox>\n\t</object>\n"
)
HEAD = (
    "<annotation>\n\t<folder>{wnid}</folder>\n\t<filename>{stem}</filename>\n\t<source>\n"
    "\t\t<database>ILSVRC_2012</database>\n\t</source>\n\t<size>\n\t\t<width>500</width>\n"
    "\t\t<height>375</height>\n\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n"
)


def make_tree(root: Path, images: int, classes: int = 100) -> None:
    """Write a nested train tree of `images` annotated images, all links to one small JPEG."""
    chance = random.Random(0)
    picture = root / "picture.JPEG"
    Image.new("RGB", (500, 375)).save(picture)
    for number in range(images):
        wnid = f"n{10_000_000 + number % classes:08d}"
        stem = f"{wnid}_{number}"
        data = root / "ILSVRC/Data/CLS-LOC/train" / wnid
        notes = root / "ILSVRC/Annotations/CLS-LOC/train" / wnid
        if number < classes:
            data.mkdir(parents=True)
            notes.mkdir(parents=True)
        os.symlink(picture, data / f"{stem}.JPEG")
        objects = ""
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            x, y = chance.randrange(200), chance.randrange(150)
            x2, y2 = x + chance.randrange(20, 290), y + chance.randrange(20, 220)
            objects += OBJECT.format(name=wnid, x=x, y=y, x2=x2, y2=y2)
        text = HEAD.format(wnid=wnid, stem=stem) + objects + "</annotation>\n"
        (notes / f"{stem}.xml").write_text(text)


def run_floor(tree: Path, out: Path) -> float:
    """Return the seconds that reading every annotation and writing its label takes."""
    started = time.perf_counter()
    os.makedirs(out)
    number = 0
    for folder, _, names in os.walk(tree / "ILSVRC/Annotations"):
        for name in names:
            with open(f"{folder}/{name}", "rb", buffering=0) as source:
                size = len(source.read())
            with open(f"{out}/{number}.txt", "wb", buffering=0) as target:
                target.write(b"0 0.500000 0.500000 0.500000 0.500000\n"[: size or 1])
            number += 1
    return time.perf_counter() - started


def run_dkit(tree: Path, *options: str) -> float:
    """Return the seconds of a whole `dkit convert` process."""
    command = [sys.executable, "-m", "darknet_kit", "convert", "ilsvrc", str(tree), *options]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Make the tree, run both in turn, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", help="where to make the tree  [default: a temporary one]")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        tree = Path(name)
        make_tree(tree, chosen.images)
        run_floor(tree, tree / "warm")
        for number in range(chosen.runs):
            floor = run_floor(tree, tree / f"floor{number}")
            view = run_dkit(tree, "--out", str(tree / f"view{number}"))
            again = run_dkit(tree, "--out", str(tree / f"view{number}"))
            print(
                f"{chosen.images:,} images: floor {floor:.2f} s, a view {view:.2f} s "
                f"({view / floor:.1f} times), the same again {again:.2f} s"
            )
            shutil.rmtree(tree / f"view{number}")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"peak memory of one process: {peak:,.0f} MB")


main()
