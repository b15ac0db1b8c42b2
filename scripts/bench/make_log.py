"""Write a made-up training log as AlexeyAB's engine prints it: 64 subdivisions, three heads.

    python scripts/bench/make_log.py big.log --megabytes 1000

Forms, order and sizes are those of AlexeyAB 59596d78 with -map and one pipe for both streams;
36 kB an iteration. The numbers are drawn: a loss that falls, a mAP that rises.
"""

import argparse
import math
import random
from collections.abc import Iterator
from pathlib import Path

_SUBDIVISIONS = 64
_HEADS = (139, 150, 161)
_BATCH = 64
_BURN_IN = 1000
_LEARNING_RATE = 0.0013
_MAP_EVERY = 500
_CLASSES = ("person", "traffic light", "dog", "hot dog")
_VARIANTS = 40  # of the lines per head; drawing new ones for each iteration would take hours


def main() -> None:
    """Parse the arguments and write the log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--megabytes", type=float, default=1000.0)
    parser.add_argument("--max-batches", type=int, default=500500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    written = 0
    with open(options.path, "wb") as stream:
        for text in iter_log_text(options.max_batches, options.seed):
            written += stream.write(text)
            if written >= options.megabytes * 1e6:
                break
    print(f"{options.path}: {written / 1e6:,.0f} MB")


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    pass


def iter_log_text(max_batches: int, seed: int = 0) -> Iterator[bytes]:
    """Yield the header, then what one iteration prints, up to `max_batches`."""
    draw = random.Random(seed)
    yield (
        b" CUDA-version: 12020 (12020), cuDNN: 8.9.7, CUDNN_HALF=1, GPU count: 1  \n"
        b" OpenCV version: 4.6.0\n Prepare additional network for mAP calculation...\n"
        b"yolov4\nmini_batch = 1, batch = 64, time_steps = 1, train = 1 \n"
        b"Learning Rate: %g, Momentum: 0.949, Decay: 0.0005\n" % _LEARNING_RATE
    )
    details = [b"".join(_iter_details(draw)) for _ in range(_VARIANTS)]
    average, results = -1.0, [0.0]
    for iteration in range(1, max_batches + 1):
        loss = (3 + 2000 * math.exp(-iteration / 150)) * draw.uniform(0.8, 1.25)
        average = loss if average < 0 else 0.9 * average + 0.1 * loss
        yield b"Loaded: %.6f seconds\n" % draw.uniform(1e-5, 1e-4) + draw.choice(details)
        yield _format_iteration(iteration, max_batches, loss, average, results)
        if iteration >= _BURN_IN and iteration % _MAP_EVERY == 0:
            results.append(0.7 * (1 - math.exp(-iteration / 8000)) * draw.uniform(0.95, 1.0))
            yield _format_map(results, draw)


def _iter_details(draw: random.Random) -> Iterator[bytes]:
    """Yield one line per head and subdivision, as `forward_yolo_layer` prints them."""
    for _ in range(_SUBDIVISIONS):
        for head in _HEADS:
            boxes, iou = draw.uniform(0, 300), draw.uniform(0, 60)
            yield (
                b"v3 (iou loss, Normalizer: (iou: 0.07, obj: 1.00, cls: 1.00) Region %d Avg "
                b"(IOU: %.6f), count: %d, class_loss = %.6f, iou_loss = %.6f, total_loss = %.6f \n"
                % (head, draw.random(), draw.randint(1, 99), boxes, iou, boxes + iou)
            )
        yield b" total_bbox = %d, rewritten_bbox = %.6f %% \n" % (
            draw.randint(10**5, 10**7),
            draw.uniform(0, 4),
        )


def _format_iteration(
    iteration: int, max_batches: int, loss: float, average: float, results: list[float]
) -> bytes:
    last, best = results[-1], max(results)
    rate = _LEARNING_RATE * min(1.0, iteration / _BURN_IN) ** 4
    text = b"\n (next mAP calculation at %d iterations) " % (
        max(_BURN_IN, iteration // _MAP_EVERY * _MAP_EVERY + _MAP_EVERY)
    )
    status = b""
    if last > 0:
        text += b"\n Last accuracy mAP@0.50 = %.2f %%, best = %.2f %% " % (100 * last, 100 * best)
        status = b" map=%.2f best=%.2f" % (last, best)
    hours = (max_batches - iteration) * 5.1 / 3600
    text += b"\x1b[H\x1b[J%d/%d: loss=%.1f%b hours left=%.1f\x07\n" % (
        iteration,
        max_batches,
        loss,
        status,
        hours,
    )
    return text + (
        b" %d: %.6f, %.6f avg loss, %.6f rate, %.6f seconds, %d images, %.6f hours left\n"
        % (iteration, loss, average, rate, 5.1, iteration * _BATCH, hours)
    )


def _format_map(results: list[float], draw: random.Random) -> bytes:
    mean = results[-1]
    text = b"\n calculation mAP (mean average precision)...\n Detection layer: 139 - type = 28 \n"
    text += b"".join(b"\r%d" % image for image in range(4, 5000, 4)) + b"\n"
    text += b" detections_count = 90000, unique_truth_count = 36000  \n"
    text += b"".join(b" rank = %d of ranks = 90000 \r" % rank for rank in range(0, 90000, 100))
    for class_id, name in enumerate(_CLASSES):
        ap = 100 * min(1.0, mean * draw.uniform(0.9, 1.1))
        text += b"class_id = %d, name = %b, ap = %.2f%%   \t (TP = 10, FP = 5) \n" % (
            class_id,
            name.encode(),
            ap,
        )
    text += (
        b"\n for conf_thresh = 0.25, precision = 0.67, recall = 0.38, F1-score = 0.48 \n"
        b" for conf_thresh = 0.25, TP = 40, FP = 20, FN = 65, average IoU = 48.70 %% \n"
        b"\n IoU threshold = 50 %%, used Area-Under-Curve for each unique Recall \n"
        b" mean average precision (mAP@0.50) = %.6f, or %.2f %% \n"
        b"Total Detection Time: 90 Seconds\n\n mean_average_precision (mAP@0.50) = %.6f \n"
        % (mean, 100 * mean, mean)
    )
    if mean >= max(results):
        text += b"New best mAP!\nSaving weights to backup/yolov4_best.weights\n"
    return text


if __name__ == "__main__":
    main()
