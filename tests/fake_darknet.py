"""A darknet that trains nothing and misbehaves on request, for the supervisor's tests.

Speaks AlexeyAB's command line and log. What it does is set by environment variables:
FAKE_MODE (finish, crash-at-end, crash, nan, out-of-memory, nothing, deaf, cut, sentence, stopped,
silent, full, explode, replay), FAKE_FLOATS (values in a whole weights file), FAKE_SECONDS (per
iteration, after the first FAKE_SWIFT), FAKE_ONCE (misbehave in the first attempt only), FAKE_FITS
(images of a mini-batch that fit into memory), FAKE_GATE (a file without which iteration 120 does
not end), FAKE_RATE (the learning rate up to which nothing is
lost), FAKE_LOG and FAKE_CODE (what `replay` prints, and how it then ends; below 0 by that signal).
"""

import os
import signal
import struct
import sys
import time
from pathlib import Path

MODE = os.environ.get("FAKE_MODE", "finish")
if os.environ.get("FAKE_ONCE") and Path.cwd().name != "0001":
    MODE = "finish"
FLOATS = int(os.environ.get("FAKE_FLOATS", "0"))
SWIFT = int(os.environ.get("FAKE_SWIFT", "0"))
SECONDS = float(os.environ.get("FAKE_SECONDS", "0"))
FITS = int(os.environ.get("FAKE_FITS", "0"))
LOST = {"nan": "-nan", "explode": "1e9"}
RATE = float(os.environ.get("FAKE_RATE", "0"))
GATE = Path(os.environ.get("FAKE_GATE", "/"))


def value(text: str, key: str) -> str:
    for line in text.splitlines():
        name, _, content = line.partition("=")
        if name.strip() == key:
            return content.strip()
    raise SystemExit(f"no {key}")


def save(path: Path, seen: int, *, content: float = 0.5, floats: int = FLOATS) -> None:
    body = struct.pack(f"<{floats}f", *([content] * floats))
    path.write_bytes(struct.pack("<iiiQ", 0, 2, 5, seen) + body)
    print(f"Saving weights to {path}", file=sys.stderr, flush=True)


def rest(iteration: int) -> None:
    if iteration > SWIFT:
        time.sleep(SECONDS)
    deadline = time.monotonic() + 60
    while iteration == 120 and not GATE.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def misbehave(iteration: int, backup: Path, seen: int) -> None:
    if MODE == "deaf" and iteration == 100:
        time.sleep(60)  # silent too: an engine that prints dies of its closed pipe
    if MODE == "crash" and iteration == 120:
        os.kill(os.getpid(), signal.SIGSEGV)
    if MODE == "silent" and iteration == 120:
        time.sleep(60)
    if MODE == "out-of-memory" and iteration == 120:
        print("CUDA Error: out of memory: File exists", file=sys.stderr, flush=True)
        raise SystemExit(1)
    if MODE == "sentence" and iteration == 20:  # as the embedded engine fails
        print("\n (next mAP calculation at 300 iterations) ", end="", flush=True)
        print("error: out of memory with mini-batches of 8 images", file=sys.stderr)
        print("  Set subdivisions=16 in the cfg.", file=sys.stderr, flush=True)
        raise SystemExit(5)
    if MODE == "cut" and iteration == 220:
        save(backup / "project_last.weights", seen, floats=FLOATS // 2)
        os.kill(os.getpid(), signal.SIGKILL)


def train(data: str, cfg: str, weights: str | None) -> None:
    backup = Path(value(Path(data).read_text(), "backup"))
    network = Path(cfg).read_text()
    batch, last = int(value(network, "batch")), int(value(network, "max_batches"))
    misbehaves = MODE != "out-of-memory" or batch // int(value(network, "subdivisions")) > FITS
    is_lost = MODE in ("nan", "explode") and float(value(network, "learning_rate")) > RATE
    start = 0
    if weights:
        start = struct.unpack("<Q", Path(weights).read_bytes()[12:20])[0] // batch
    if MODE == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("Learning Rate: 0.001, Momentum: 0.9, Decay: 0.0005", flush=True)
    if MODE == "nothing":
        return
    if MODE == "stopped":
        raise SystemExit(130)
    for iteration in range(start + 1, last + 1):
        loss = LOST[MODE] if is_lost and iteration >= 150 else f"{100 / iteration:f}"
        print(
            "v3 (mse loss, Normalizer: (iou: 0.75, obj: 1.00, cls: 1.00) Region 9 Avg (IOU: 0.5), "
            "count: 1, class_loss = -nan, iou_loss = 0.1, total_loss = 0.2 ",
            file=sys.stderr,
            flush=True,
        )
        print(
            f"\n {iteration}: {loss}, {loss} avg loss, 0.001000 rate, 0.001 seconds, "
            f"{iteration * batch} images, 0.1 hours left",
            flush=True,
        )
        rest(iteration)
        if iteration % 100 == 0:
            content = float(LOST[MODE]) if is_lost and iteration >= 150 else 0.5
            floats = FLOATS // 2 if MODE == "full" and iteration >= 200 else FLOATS
            path = backup / "project_last.weights"
            save(path, iteration * batch, content=content, floats=floats)
        if misbehaves:
            misbehave(iteration, backup, iteration * batch)
    content = float(LOST[MODE]) if is_lost and last >= 150 else 0.5
    floats = FLOATS // 2 if MODE == "full" else FLOATS
    save(backup / "project_final.weights", last * batch, content=content, floats=floats)
    if MODE == "crash-at-end":
        os.kill(os.getpid(), signal.SIGSEGV)


def replay() -> None:
    """Print what another engine printed, and end as it did."""
    sys.stdout.buffer.write(Path(os.environ["FAKE_LOG"]).read_bytes())
    sys.stdout.flush()
    code = int(os.environ["FAKE_CODE"])
    if code < 0:
        os.kill(os.getpid(), -code)
    raise SystemExit(code)


def main() -> None:
    if sys.argv[1:3] == ["detector", "train"] and MODE == "replay":
        replay()
    elif sys.argv[1:3] == ["detector", "train"]:
        files = [word for word in sys.argv[3:] if not word.startswith("-")]
        train(files[0], files[1], files[2] if len(files) > 2 else None)
    else:
        print(" GPU isn't used \n OpenCV isn't used\nNot an option: " + " ".join(sys.argv[1:2]))


main()
