"""Measure what sampling the machine costs, in CPU time and in bytes.

    python scripts/bench/telemetry.py --seconds 60 --every 5 --workers 8 --bystanders 500

An engine of so many processes is played by ones that sleep, beside as many other processes. The CPU
time is that of this process, which does nothing else; Python's start and imports are told apart.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from darknet_kit.train.telemetry.sampler import Sampler

_WEEK = 7 * 24 * 3600
_SLEEP = "import subprocess, sys, time\n{}\ntime.sleep(3600)"
_CHILDREN = "[subprocess.Popen(['sleep', '3600']) for _ in range({})]"


def main() -> None:
    """Parse the arguments, sample for a while and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--every", type=float, default=5)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--bystanders", type=int, default=0)
    options = parser.parse_args()
    code = _SLEEP.format(_CHILDREN.format(options.workers))
    engine = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    others = [subprocess.Popen(["sleep", "3600"]) for _ in range(options.bystanders)]
    try:
        time.sleep(2)
        with tempfile.TemporaryDirectory() as folder:
            _measure(Path(folder), engine.pid, options.seconds, options.every)
    finally:
        for process in others:
            process.kill()
        subprocess.run(["kill", "--", f"-{engine.pid}"], check=False)


def _measure(folder: Path, pid: int, seconds: float, every: float) -> None:
    started = time.process_time()
    with Sampler(folder, attempt=1, pid=pid, image=folder, every=every) as sampler:
        time.sleep(every * 0.9)  # imports and the first reading are done
        begun, wall = time.process_time(), time.perf_counter()
        time.sleep(seconds)
        used, wall = time.process_time() - begun, time.perf_counter() - wall
    rows = sampler.path.read_text().splitlines()[1:]
    length = sum(map(len, rows)) / len(rows) + 1
    print(f"start: {begun - started:.3f} s of CPU")
    print(
        f"{len(rows)} samples: {1000 * used / len(rows):.1f} ms of CPU each, "
        f"{100 * used / wall:.2f} % of a core at one in {every:g} s"
    )
    print(
        f"{length:.0f} bytes a sample without GPUs; a week at one in {every:g} s: "
        f"{length * _WEEK / every / 1e6:.0f} MB"
    )


if __name__ == "__main__":
    main()
