"""Compare the embedded engine with darknet binaries: a training step, and looking at an image.

    python scripts/bench/engines.py --darknet build-avx0/darknet --darknet build-avx1/darknet
    python scripts/bench/engines.py --darknet PATH --model dkit-nano --size 96 --batch 64
    python scripts/bench/engines.py --darknet PATH --precision bf16

Every program trains the same network on the same drawn images, and the seconds are those that it
prints for its own iterations, loading not counted; so do the milliseconds of `detector test`. The
programs take turns, so that all meet the same machine. `--threads` holds for all of them.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.dataset.convert import convert_ilsvrc
from darknet_kit.dataset.plan import ConvertOptions
from darknet_kit.dataset.shapes import draw_ilsvrc
from darknet_kit.formats.cfg import set_value, write_cfg
from darknet_kit.network.model import CfgRequest, make_cfg

_SECONDS = re.compile(r"avg loss, \S+ rate, ([\d.]+) seconds")
_MILLISECONDS = re.compile(r"Predicted in ([\d.]+) milli-seconds")
_EMBEDDED = (sys.executable, "-m", "darknet_kit.engine.torch")


@dataclass(frozen=True, slots=True)
class Program:
    """What is compared: its name in the table, the words that start it, its own options."""

    name: str
    words: tuple[str, ...]
    options: tuple[str, ...] = ()


def main() -> None:
    """Parse the arguments, run the rounds and print times and ratios."""
    options = _parse()
    programs = [Program(path, (os.path.abspath(path),)) for path in options.darknet]
    programs += [
        Program(f"embedded {precision}", _EMBEDDED, ("-precision", precision, *options.extra))
        for precision in options.precision
    ]
    with tempfile.TemporaryDirectory(prefix="dkit-bench-") as folder:
        _prepare(Path(folder), options)
        steps: dict[str, list[float]] = {program.name: [] for program in programs}
        looks: dict[str, list[float]] = {program.name: [] for program in programs}
        for number in range(options.rounds):
            for program in programs:
                steps[program.name] += _train(program, Path(folder), options.threads)
                looks[program.name] += _test(program, Path(folder), options.threads)
            print(f"round {number + 1} of {options.rounds} done", file=sys.stderr)
    floor = programs[0].name
    print(f"{options.model} {options.size}, mini-batch {options.batch // options.subdivisions}")
    print(f"{'program':50} {'training step':>16} {'ratio':>6} {'one image':>12} {'ratio':>6}")
    for program in programs:
        step, look = statistics.median(steps[program.name]), statistics.median(looks[program.name])
        faster = statistics.median(steps[floor]) / step, statistics.median(looks[floor]) / look
        print(
            f"{program.name[-50:]:50} {step:14.3f} s {faster[0]:5.1f}x "
            f"{look:9.1f} ms {faster[1]:5.1f}x"
        )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--darknet", action="append", default=[], help="a binary to compare with")
    parser.add_argument("--precision", action="append", help="fp32, tf32, bf16")
    parser.add_argument("--model", default="yolov4-tiny")
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--subdivisions", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--images", type=int, default=8, help="to look at, each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("extra", nargs="*", help="after --: options for the embedded engine")
    options = parser.parse_args()
    options.precision = options.precision or ["fp32"]
    return options


def _prepare(folder: Path, options: argparse.Namespace) -> None:
    """Draw images, convert them, and write a network whose schedule ends soon."""
    tree = draw_ilsvrc(folder, train=20, valid=max(2, options.images // 5))
    converted = convert_ilsvrc(tree, ConvertOptions(out=os.fspath(folder / "set")))
    (folder / "bench.data").symlink_to(converted.paths.data)
    cfg = make_cfg(
        CfgRequest(classes=5, model=options.model, max_batches=max(10, options.iterations))
    )
    for key, value in (
        ("width", options.size),
        ("height", options.size),
        ("batch", options.batch),
        ("subdivisions", options.subdivisions),
        ("max_batches", options.iterations),
        ("burn_in", 1),
        ("mosaic", 0),
    ):
        cfg = set_value(cfg, cfg.net, key, value)
    write_cfg(folder / "bench.cfg", cfg)


def _train(program: Program, folder: Path, threads: int) -> list[float]:
    """Return the seconds of every iteration but the first, which warms up."""
    words = ["detector", "train", "bench.data", "bench.cfg", "-dont_show", *program.options]
    output = _run(program, words, folder, threads)
    seconds = [float(number) for number in _SECONDS.findall(output)][1:]
    if not seconds:
        sys.exit(f"{program.name} has trained nothing:\n{output[-2000:]}")
    return seconds


def _test(program: Program, folder: Path, threads: int) -> list[float]:
    """Return the milliseconds of every image but the first."""
    weights = next(folder.glob("set/**/bench_final.weights"), None) or next(
        folder.glob("**/bench_final.weights")
    )
    images = sorted(os.fspath(path) for path in folder.glob("ILSVRC/**/val/*.JPEG"))
    words = ["detector", "test", "bench.data", "bench.cfg", os.fspath(weights), "-dont_show"]
    output = _run(program, [*words, *program.options], folder, threads, "\n".join(images) + "\n")
    found = [float(number) for number in _MILLISECONDS.findall(output)][1:]
    if not found:
        sys.exit(f"{program.name} has looked at nothing:\n{output[-2000:]}")
    return found


def _run(
    program: Program, words: Sequence[str], folder: Path, threads: int, stdin: str = ""
) -> str:
    done = subprocess.run(
        [*program.words, *words],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return done.stdout


if __name__ == "__main__":
    main()
