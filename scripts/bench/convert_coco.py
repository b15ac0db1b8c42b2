"""Time `dkit convert coco` on a made-up COCO 2017: 118,287 images, 849,772 boxes, 450 MB of JSON.

    python scripts/bench/convert_coco.py --peers PYTHON

In turn: the floor (one typed decode of the file, which skips the polygons, and the label bytes
written in Python); dkit with labels beside the images, and again with nothing to do; the same for
a view; once, a script as most people have it, and globox and labelformat where PYTHON is an
interpreter that has them, and in a run of its own, since asking for it takes time, the memory of
dkit: the largest sum of proportional set sizes. The figures to quote are the ratios, of seconds on
an idle machine and of CPU seconds on one that others use too, of all processes of a command.
"""

import argparse
import contextlib
import ctypes
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
from PIL import Image

IMAGES, BOXES, CATEGORIES = 118_287, 849_772, 80
PEERS = {
    "globox": (
        "import sys; from globox import AnnotationSet; "
        "found = AnnotationSet.from_coco(sys.argv[1]); "
        "ids = {f'thing {number}': number for number in range(1, 100)}; "
        "found.save_yolo_darknet(sys.argv[2], label_to_id=ids)"
    ),
    "labelformat": (
        "import sys; from pathlib import Path; "
        "from labelformat.formats import COCOObjectDetectionInput, YOLOv8ObjectDetectionOutput; "
        "source = COCOObjectDetectionInput(Path(sys.argv[1])); "
        "target = YOLOv8ObjectDetectionOutput(Path(sys.argv[2], 'data.yaml'), 'train'); "
        "target.save(source)"
    ),
}


class Cost(NamedTuple):
    """Seconds, and CPU seconds of all processes."""

    seconds: float
    cpu: float


class Entry(msgspec.Struct, gc=False):
    """What a label needs of an annotation."""

    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int


class Picture(msgspec.Struct, gc=False):
    """What a label needs of an image."""

    id: int
    file_name: str
    width: int
    height: int


class Document(msgspec.Struct):
    """An instances file without its categories."""

    images: list[Picture]
    annotations: list[Entry]


def make_set(root: Path, images: int) -> None:
    """Write `images` hard links to small JPEGs, and an instances file of COCO's own form."""
    chance = random.Random(0)
    folder = root / "train2017"
    folder.mkdir()
    (root / "annotations").mkdir()
    entries = []
    for number in range(images):
        name = f"{number * 5 + 9:012}.jpg"
        source = root / f"picture{number // 50_000}.jpeg.master"  # 65,000 links are ext4's limit
        if not source.exists():
            Image.new("RGB", (640, 480)).save(source, "JPEG")
        os.link(source, folder / name)
        entries.append(IMAGE % {"name": name, "id": number * 5 + 9})
    with open(root / "annotations/instances_train2017.json", "w") as stream:
        stream.write('{"info": {"year": 2017}, "licenses": [], "images": [')
        stream.write(", ".join(entries))
        stream.write('], "annotations": [')
        write_objects(stream.write, images, chance)
        listed = ", ".join(
            f'{{"supercategory": "thing", "id": {number + number // 8}, "name": "thing {number}"}}'
            for number in range(1, CATEGORIES + 1)
        )
        stream.write(f'], "categories": [{listed}]}}')


IMAGE = (
    '{"license": 3, "file_name": "%(name)s", "coco_url": '
    '"http://images.cocodataset.org/train2017/%(name)s", "height": 480, "width": 640, '
    '"date_captured": "2013-11-14 11:18:45", "flickr_url": '
    '"http://farm9.staticflickr.com/8186/8119368305_4e622c8349_z.jpg", "id": %(id)d}'
)
OBJECT = (
    '{"segmentation": [%s], "area": %.4f, "iscrowd": %d, "image_id": %d, '
    '"bbox": [%.2f, %.2f, %.2f, %.2f], "category_id": %d, "id": %d}'
)


def write_objects(write: Callable[[str], object], images: int, chance: random.Random) -> None:
    """Write as many annotations an image as COCO has; one in a hundred is a crowd."""
    polygons = [
        str([round(chance.uniform(0, 640), 2) for _ in range(2 * chance.randrange(8, 36))])
        for _ in range(1000)
    ]
    for number in range(images * BOXES // IMAGES):
        x, y = chance.uniform(0, 400), chance.uniform(0, 300)
        width, height = chance.uniform(5, 240), chance.uniform(5, 180)
        category = chance.randrange(1, CATEGORIES + 1)
        image = chance.randrange(images - images // 100) * 5 + 9  # the last hundredth shows nothing
        crowd = number % 100 == 0
        box = (x, y, width, height, category + category // 8, number + 1)
        text = OBJECT % (polygons[number % 1000], width * height, crowd, image, *box)
        write(f", {text}" if number else text)


def read_labels(folder: Path) -> dict[str, bytes]:
    """Return the name and content of every label file in a folder."""
    return {path.name: path.read_bytes() for path in folder.glob("*.txt")}


def run_floor(root: Path, out: Path, labels: dict[str, bytes]) -> Cost:
    """Decode the file, and write the labels under other names."""
    started, cpu = time.perf_counter(), time.process_time()
    content = (root / "annotations/instances_train2017.json").read_bytes()
    msgspec.json.decode(content, type=Document)
    os.makedirs(out)
    for name, label in labels.items():
        with open(f"{out}/{name}", "wb", buffering=0) as stream:
            stream.write(label)
    return Cost(time.perf_counter() - started, time.process_time() - cpu)


def run_script(root: Path, out: Path) -> Cost:
    """Convert as the usual script does: `json`, a dict of lists, one print a line."""
    started, cpu = time.perf_counter(), time.process_time()
    with open(root / "annotations/instances_train2017.json") as stream:
        document = json.load(stream)
    os.makedirs(out)
    images = {image["id"]: image for image in document["images"]}
    ids = {entry["id"]: number for number, entry in enumerate(document["categories"])}
    found = defaultdict(list)
    for entry in document["annotations"]:
        found[entry["image_id"]].append(entry)
    for image_id, image in images.items():
        width, height = image["width"], image["height"]
        with open(os.path.join(out, Path(image["file_name"]).stem + ".txt"), "w") as stream:
            for entry in found[image_id]:
                if not entry["iscrowd"]:
                    x, y, w, h = entry["bbox"]
                    numbers = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
                    print(ids[entry["category_id"]], *map("{:.6f}".format, numbers), file=stream)
    return Cost(time.perf_counter() - started, time.process_time() - cpu)


def measure(*command: str) -> Cost:
    """Run a command."""
    before, started = children_cpu(), time.perf_counter()
    quiet = subprocess.DEVNULL
    subprocess.run(command, check=True, stdout=quiet, stderr=quiet)
    seconds = time.perf_counter() - started
    with contextlib.suppress(ChildProcessError):  # there are no more
        while True:
            os.wait()
    return Cost(seconds, children_cpu() - before)


def children_cpu() -> float:
    """Return the CPU seconds of all processes that were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def adopt_orphans() -> None:
    """Have the workers of a command that ended become this process's children, to be waited for."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def peak_mb(*command: str) -> float:
    """Run a command, and return the largest sum of the memory of its processes in MB."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(map(proportional_mb, members(process.pid))))
        time.sleep(0.05)
    return peak


def members(session: int) -> list[str]:
    """Return the ids of the processes of a session."""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            fields = Path("/proc", number, "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                found.append(number)
    return found


def proportional_mb(number: str) -> float:
    """Return the memory of a process, shared pages divided by those who share them."""
    try:
        for line in Path("/proc", number, "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def dkit(*arguments: str) -> tuple[str, ...]:
    """Return the command line of a whole `dkit convert coco`."""
    return (sys.executable, "-m", "darknet_kit", "convert", "coco", *arguments)


def compare(root: Path, peers: str | None) -> None:
    """Run everything once and print its ratio to the floor."""
    labels = read_labels(root / "train2017")
    floor = run_floor(root, root / "floor", labels)

    def tell(name: str, cost: Cost) -> None:
        print(
            f"  {name:<18}{cost.seconds:>7.2f} s {cost.seconds / floor.seconds:>6.2f} floors"
            f"{cost.cpu:>8.2f} CPU s {cost.cpu / floor.cpu:>6.2f} floors",
            flush=True,
        )

    tell("floor", floor)
    for path in (root / "train2017").glob("*.txt"):
        path.unlink()
    view = dkit(str(root), "--out", str(root / "view"))
    tell("dkit, in place", measure(*dkit(str(root))))
    tell("dkit, again", measure(*dkit(str(root))))
    tell("dkit, a view", measure(*view))
    tell("dkit, again", measure(*view))
    shutil.rmtree(root / "view")
    print(f"  dkit, a view      {peak_mb(*view):>7,.0f} MB")
    if peers:
        tell("script with json", run_script(root, root / "script"))
        for name, code in PEERS.items():
            json_path = str(root / "annotations/instances_train2017.json")
            tell(name, measure(peers, "-c", code, json_path, str(root / name)))
    for name in ("floor", "view", "script", *PEERS):
        shutil.rmtree(root / name, ignore_errors=True)


def main() -> None:
    """Make the set, convert it once so that all is warm, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", help="where to make the set  [default: a temporary one]")
    parser.add_argument("--peers", help="a Python that has globox and labelformat")
    chosen = parser.parse_args()
    adopt_orphans()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        root = Path(name)
        make_set(root, chosen.images)
        measure(*dkit(str(root)))
        size = (root / "annotations/instances_train2017.json").stat().st_size / 1e6
        print(f"{chosen.images:,} images, {size:,.0f} MB of JSON")
        for number in range(chosen.runs):
            compare(root, None if number else chosen.peers)


main()
