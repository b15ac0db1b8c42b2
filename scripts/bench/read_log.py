"""Compare reading a training log with counting its iterations by grep.

    python scripts/bench/make_log.py big.log --megabytes 1000
    python scripts/bench/read_log.py big.log

Each round runs both, one after the other, so that both meet the same machine and the same page
cache. Times are of whole processes, Python's start included, on the clock and of the processor.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

_READ = """
import sys
from darknet_kit.formats.trainlog import read_log
print(len(read_log(sys.argv[1]).metrics))
"""


def main() -> None:
    """Parse the arguments, run the rounds and print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    reading = [sys.executable, "-c", _READ, str(options.path)]
    counting = ["grep", "-c", "avg loss", str(options.path)]
    ratios: list[list[float]] = []
    for number in range(1, options.rounds + 1):
        ours, iterations = _run(reading)
        floor, counted = _run(counting)
        if iterations != counted:
            sys.exit(f"read {iterations} iterations, but grep counts {counted}")
        ratios.append([mine / other for mine, other in zip(ours, floor, strict=True)])
        print(
            f"round {number}: read_log {ours[0]:.2f} s, {ours[1]:.2f} s of the processor; "
            f"grep {floor[0]:.2f} s, {floor[1]:.2f} s"
        )
    size = os.path.getsize(options.path)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{size / 1e6:,.0f} MB, {iterations} iterations, peak memory {peak:.0f} MiB")
    wall, cpu = map(statistics.median, zip(*ratios, strict=True))
    print(f"median ratio to grep -c 'avg loss': {wall:.2f}, of the processor {cpu:.2f}")


def _run(command: list[str]) -> tuple[tuple[float, float], str]:
    """Return the seconds, on the clock and of the processor, and what was printed."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return (wall, cpu), done.stdout.strip()


if __name__ == "__main__":
    main()
