"""Measure how fast training images are loaded, stage by stage and with worker processes.

    python scripts/bench/load_images.py train.txt --size 416

Stages run in this process, on one core, and are timed by the processor's clock. Loaders run
for `--seconds` each, after they have made what they prefetch and, with a cache, have filled it.
Each loader is timed with colours shifted by itself (`-augment host`) and left to the device.
"""

import argparse
import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from darknet_kit.engine.torch.data.cache import PictureCache, make_lock
from darknet_kit.engine.torch.data.colour import draw_tint, paint
from darknet_kit.engine.torch.data.geometry import cut, draw_crop, settle_crop
from darknet_kit.engine.torch.data.loader import TrainLoader
from darknet_kit.engine.torch.data.options import LoaderOptions
from darknet_kit.engine.torch.data.picture import decode, prepare_opencv
from darknet_kit.engine.torch.data.sample import SampleMaker
from darknet_kit.engine.torch.data.truth import read_label_file
from darknet_kit.formats.datafile import iter_image_list

_SEED = 1


def main() -> None:
    """Parse the arguments, then print images a second for each stage and each loader."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("list", type=Path, help="a train.txt whose images have labels")
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args()
    prepare_opencv()
    paths = list(itertools.islice(iter_image_list(options.list), options.images))
    settings = LoaderOptions(
        width=options.size,
        height=options.size,
        classes=1000,
        jitter=0.3,
        hue=0.1,
        saturation=1.5,
        exposure=1.5,
    )
    _time_stages(paths, settings)
    for name, chosen in (("plain", settings), ("mosaic", replace(settings, mosaic=True))):
        ways = itertools.product((0, 1 << 30), options.workers, ("host", "device"))
        for cache, workers, place in ways:
            loader = TrainLoader(
                paths,
                chosen,
                seed=_SEED,
                workers=workers,
                cache_bytes=cache,
                leave_colour=place == "device",
            )
            with loader:
                rate, own = _time_loader(loader, chosen, options.batch, options.seconds, len(paths))
            kept = "cached" if cache else "from disk"
            head = f"loader  {name:7} {kept:10} colour on {place:6} workers={workers}"
            print(f"{head}  {rate:7.0f} images/s, {own * 1e3:.2f} ms of this process each")


def _time_stages(paths: list[str], options: LoaderOptions) -> None:
    size, rng = (options.width, options.height), np.random.default_rng(_SEED)
    images = [decode(path, 3) for path in paths]
    labels = [read_label_file(path, options.classes).edges for path in paths]
    crops = [
        settle_crop(draw_crop(image.shape, size, options, rng), image.shape[1], image.shape[0])
        for image in images
    ]
    cuts = [cut(*found, size) for found in zip(images, labels, crops, strict=True)]
    tints = [draw_tint(options, rng) for _ in paths]
    cache = PictureCache(len(paths), 1 << 31, make_lock())
    for index, image in enumerate(images):
        cache.keep(index, image)
    joined = replace(options, mosaic=True)
    plain = SampleMaker(paths, options, _SEED, cache)
    mosaic = SampleMaker(paths, joined, _SEED, cache)
    bare_plain = SampleMaker(paths, options, _SEED, cache, leave_colour=True)
    bare_mosaic = SampleMaker(paths, joined, _SEED, cache, leave_colour=True)
    fresh = SampleMaker(paths, options, _SEED)
    bare_fresh = SampleMaker(paths, options, _SEED, leave_colour=True)
    stages: dict[str, Callable[[int], object]] = {
        "decode": lambda index: decode(paths[index], 3),
        "read label": lambda index: read_label_file(paths[index], options.classes),
        "crop + resize + flip": lambda index: cut(images[index], labels[index], crops[index], size),
        "colour": lambda index: paint(*cuts[index], tints[index], rng),
        "image from disk": lambda index: fresh.make(index, size),
        "the same, no colour": lambda index: bare_fresh.make(index, size),
        "cached image": lambda index: plain.make(index, size),
        "cached, no colour": lambda index: bare_plain.make(index, size),
        "cached, half mosaics": lambda index: mosaic.make(index, size),
        "mosaics, no colour": lambda index: bare_mosaic.make(index, size),
    }
    for name, stage in stages.items():
        started = time.process_time()
        for index in range(len(paths)):
            stage(index)
        seconds = (time.process_time() - started) / len(paths)
        print(f"stage   {name:22} {seconds * 1e3:6.2f} ms  {1 / seconds:7.0f} images/s/core")


def _time_loader(
    loader: TrainLoader, options: LoaderOptions, batch: int, seconds: float, images: int
) -> tuple[float, float]:
    """Return images a second, and seconds of this process's own work for each."""
    batches = loader.batches((options.width, options.height), batch)
    for _ in range(2 + 4 * images // batch):
        next(batches)
    started, own, count = time.perf_counter(), time.process_time(), 0
    while (passed := time.perf_counter() - started) < seconds:
        next(batches)
        count += batch
    return count / passed, (time.process_time() - own) / count


if __name__ == "__main__":
    main()
