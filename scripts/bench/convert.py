"""Time `dkit convert` on made-up ILSVRC and VOC trees: against the floor, and against peers.

    python scripts/bench/convert.py --images 50000 --kind ilsvrc

The floor reads the same XML and writes as many labels, in the same pool, without parsing. All run
in turn on one tree; the figures to quote are the ratios: of seconds on an idle machine, of CPU
seconds on one that others use too. Labels are moved away between runs, not deleted: ext4 searches
long for an inode that was not in use lately.
"""

import argparse
import contextlib
import ctypes
import importlib.util
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from trees import make_ilsvrc, make_voc

_HERE = Path(__file__).parent
_FLOOR = [sys.executable, "-c", "import floor; floor.main()"]
_DKIT = [sys.executable, "-m", "darknet_kit", "convert"]
_PEERS = [sys.executable, str(_HERE / "peers.py")]
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class Bench:
    """One tree, and what each way to convert it took: seconds, CPU seconds, MB of the parent."""

    def __init__(self, kind: str, source: Path, workers: int) -> None:
        self.kind, self.source, self.workers = kind, source, ["--workers", str(workers)]
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.cpu: dict[str, list[float]] = defaultdict(list)
        self.megabytes: dict[str, float] = {}
        self._trash = source.parent / "trash"
        self._trashed = 0

    def run(self, name: str, *words: str, cold: bool = False) -> None:
        """Run a command to its end and note what it took."""
        if cold:
            _drop_caches()
        paths = os.pathsep.join((str(_HERE), str(_HERE.parents[1])))
        started, cpu = time.perf_counter(), _cpu_seconds()
        process = subprocess.Popen(
            words,
            env={**os.environ, "PYTHONPATH": paths},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        watch = threading.Thread(target=self._watch, args=(name, process.pid))
        watch.start()
        code = process.wait()
        self.seconds[name].append(time.perf_counter() - started)
        watch.join()
        if code not in (0, 3):
            sys.exit(f"{name} ended with {code}")
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)  # workers, see `_adopt_orphans`
        self.cpu[name].append(_cpu_seconds() - cpu)

    def _watch(self, name: str, process: int) -> None:
        """Note the most memory of a process, fifty times a second: what wait4(2) tells of one that
        was started by vfork(2) is at least what this one has."""
        with contextlib.suppress(OSError):
            while match := _PEAK.search(Path(f"/proc/{process}/status").read_text()):
                self.megabytes[name] = int(match[1]) / 1024
                time.sleep(0.02)

    def in_place(self) -> None:
        """Run the floor, as it is and with labels that appear whole, and dkit with labels beside
        the images; dkit once more."""
        for name, words in (("floor", []), ("floor of whole labels", ["--whole"])):
            self.run(name, *_FLOOR, str(self.source), *self.workers, *words)
            self.clear()
        self.run("dkit", *_DKIT, self.kind, str(self.source), *self.workers)
        self.run("dkit again", *_DKIT, self.kind, str(self.source), *self.workers)
        self.clear()

    def view(self) -> None:
        """Run the floor and dkit with labels and links in a folder of their own; dkit again."""
        out = ["--out", str(self.source.parent / "view")]
        self.run("floor, view", *_FLOOR, str(self.source), *self.workers, *out)
        self._away(Path(out[1]))
        for name in ("dkit, view", "dkit, view again"):
            self.run(name, *_DKIT, self.kind, str(self.source), *self.workers, *out)
        self._away(Path(out[1]))

    def cold(self) -> None:
        """Run the floor, with and without reading ahead, and dkit, nothing in the page cache."""
        for name, command in (
            ("floor, cold", [*_FLOOR, str(self.source), "--cold"]),
            ("floor, cold, no read-ahead", [*_FLOOR, str(self.source)]),
            ("dkit, cold", [*_DKIT, self.kind, str(self.source)]),
        ):
            self.run(name, *command, *self.workers, cold=True)
            self.clear()

    def peers(self) -> None:
        """Run other people's ways, once."""
        for name in ("voc_label", "globox"):
            if name == "voc_label" or importlib.util.find_spec(name):
                self.run(name, *_PEERS, name, str(self.source))
                self.clear()

    def clear(self) -> None:
        """Move the labels and lists of a run in place away."""
        self._trashed += 1
        trash = self._trash / str(self._trashed)
        trash.mkdir(parents=True)
        for number, path in enumerate(self._written()):
            path.rename(trash / str(number))

    def _written(self) -> list[Path]:
        labels = [path for path in self.source.rglob("*/*.txt") if "ImageSets" not in path.parts]
        return [*labels, *(path for path in self.source.iterdir() if path.is_file())]

    def _away(self, folder: Path) -> None:
        self._trashed += 1
        self._trash.mkdir(exist_ok=True)
        folder.rename(self._trash / str(self._trashed))

    def report(self) -> None:
        """Print medians, and what they are as multiples of those they compare with."""
        median = {name: statistics.median(taken) for name, taken in self.seconds.items()}
        cpu = {name: statistics.median(taken) for name, taken in self.cpu.items()}
        for name, seconds in median.items():
            floor = next((one for one in _floors(name) if one in median and one != name), "")
            ratio = (
                f"{seconds / median[floor]:6.2f} x, CPU {cpu[name] / cpu[floor]:.2f} x {floor}"
                if floor
                else ""
            )
            used = f"{cpu[name]:7.2f} CPU s {self.megabytes.get(name, 0):6.0f} MB"
            print(f"{name:<28}{seconds:7.2f} s {used} {ratio}")


def _floors(name: str) -> list[str]:
    where = name.removesuffix(" again").partition(", ")[2]
    return (
        ["dkit"] if name in ("voc_label", "globox") else [f"floor, {where}" if where else "floor"]
    )


def _adopt_orphans() -> None:
    """Become the parent of workers whose own has ended, so that their CPU seconds count."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _cpu_seconds() -> float:
    """Return the CPU seconds of all processes that have been waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _drop_caches() -> None:
    """Empty the page cache, which takes root."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def main() -> None:
    """Make the tree, run everything in turn, print the ratios."""
    parser = argparse.ArgumentParser(description="Time `dkit convert` against its floor.")
    parser.add_argument("--kind", choices=["ilsvrc", "voc"], default="ilsvrc")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--unlabelled", type=int, default=0, help="ilsvrc: images without XML")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cold", action="store_true", help="empty the page cache as well")
    parser.add_argument("--peers", action="store_true", help="run voc_label, and globox if here")
    parser.add_argument("--folder", help="where to make the tree  [default: a temporary one]")
    chosen = parser.parse_args()
    _adopt_orphans()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        tree = Path(name)
        if chosen.kind == "ilsvrc":
            source = make_ilsvrc(tree, chosen.images, chosen.unlabelled)
        else:
            source = make_voc(tree, chosen.images)
        bench = Bench(chosen.kind, source, chosen.workers)
        for _ in range(chosen.runs):
            bench.in_place()
            bench.view()
            if chosen.cold:
                bench.cold()
        if chosen.peers:
            bench.peers()
        bench.report()


main()
