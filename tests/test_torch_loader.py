"""The loader: the same mini-batches whoever makes them, and nobody left behind."""

# ruff: noqa: E402 - these imports need the extra `torch`

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")

from darknet_kit.core.problems import Problem
from darknet_kit.engine.torch.data.cache import PictureCache, make_lock
from darknet_kit.engine.torch.data.complaints import format_problem
from darknet_kit.engine.torch.data.loader import TrainLoader, choose_workers, stack
from darknet_kit.engine.torch.data.options import LoaderOptions
from darknet_kit.engine.torch.data.picture import decode
from darknet_kit.engine.torch.data.sample import SampleMaker
from darknet_kit.engine.torch.data.shared import PathList
from darknet_kit.errors import DatasetError, DkitError
from darknet_kit.formats.logevent import EngineWarning
from darknet_kit.formats.logline import LogReader

SIZE = (48, 32)
OPTIONS = LoaderOptions(
    *SIZE, classes=3, jitter=0.2, hue=0.1, saturation=1.5, exposure=1.5, mosaic=True
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Twelve images of different sizes with one to three objects each."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    paths = []
    for number in range(12):
        height, width = rng.integers(30, 80, 2)
        pixels = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        path = folder / f"{number}.png"
        assert cv2.imwrite(str(path), pixels)
        lines = [f"{number % 3} .5 .5 .{4 + row} .6\n" for row in range(1 + number % 3)]
        path.with_suffix(".txt").write_text("".join(lines))
        paths.append(str(path))
    return paths


def take(loader: TrainLoader, count: int, batch: int = 4, size: Any = SIZE) -> list[Any]:
    return list(itertools.islice(loader.batches(size, batch), count))


def assert_equal(first: Sequence[Any], second: Sequence[Any]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert (one.patches is None) == (other.patches is None)
        for part, same in zip(one, other, strict=True):
            assert part is None or torch.equal(part, same)


def test_a_batch_is_what_network_and_heads_want(images: list[str]) -> None:
    with TrainLoader(images, OPTIONS, seed=1) as loader:
        pixels, truths, patches = take(loader, 1, batch=5)[0]
    assert patches is None
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (5, 3, 32, 48)
    assert pixels.is_contiguous(memory_format=torch.channels_last)
    assert truths.dtype == torch.float32
    assert truths.shape[0] == 5
    assert truths.shape[2] == 5
    used = truths[..., 2] > 0
    assert used.any(dim=0).all()  # trimmed to the longest image
    assert (truths[~used] == 0).all()
    assert (used[:, :-1] >= used[:, 1:]).all()  # unused rows stand at the end
    assert (truths[..., :4] <= 1).all()
    assert set(truths[used][:, 4].tolist()) <= {0.0, 1.0, 2.0}


def test_images_without_objects_have_one_empty_row() -> None:
    assert stack([np.zeros((0, 5), np.float32)] * 2).shape == (2, 1, 5)


def test_seed_and_number_decide(images: list[str]) -> None:
    with TrainLoader(images, OPTIONS, seed=1) as one, TrainLoader(images, OPTIONS, seed=1) as two:
        first = take(one, 4)
        assert_equal(first, take(two, 4))
    with TrainLoader(images, OPTIONS, seed=2) as other:
        assert not torch.equal(take(other, 1)[0][0], first[0][0])
    assert not torch.equal(first[0][0], first[1][0])


def test_a_resumed_training_goes_on_where_it_was(images: list[str]) -> None:
    with TrainLoader(images, OPTIONS, seed=1) as loader:
        whole = take(loader, 5)
    with TrainLoader(images, OPTIONS, seed=1, start=12) as loader:
        assert_equal(whole[3:], take(loader, 2))


def test_ranks_share_the_images_of_one(images: list[str]) -> None:
    with TrainLoader(images, OPTIONS, seed=1) as loader:
        together = torch.cat([batch.images for batch in take(loader, 3)])
    parts = []
    for rank in range(3):
        with TrainLoader(images, OPTIONS, seed=1, rank=rank, world=3) as loader:
            parts.append(take(loader, 1)[0][0])
    assert torch.equal(torch.stack(parts, dim=1).flatten(0, 1), together)


def test_workers_and_cache_change_nothing(images: list[str]) -> None:
    with TrainLoader(images, OPTIONS, seed=1) as loader:
        expected = take(loader, 6, batch=10)
        expected += take(loader, 2, batch=3, size=(64, 64))
        expected += take(loader, 2, batch=10)
    with TrainLoader(images, OPTIONS, seed=1, cache_bytes=1 << 20) as loader:
        assert_equal(take(loader, 6, batch=10), expected[:6])
    with TrainLoader(images, OPTIONS, seed=1, cache_bytes=1 << 15, workers=2) as loader:
        found = take(loader, 6, batch=10)
        found += take(loader, 2, batch=3, size=(64, 64))
        found += take(loader, 2, batch=10)
    assert_equal(found, expected)


def test_the_same_order_goes_on(images: list[str]) -> None:
    with TrainLoader(images, OPTIONS, seed=1) as loader:
        assert loader.batches(SIZE, 4) is loader.batches(SIZE, 4)


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_images_are_left_out_and_named_once(
    images: list[str], tmp_path: Path, workers: int
) -> None:
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "bad.txt").write_text("9 .5 .5 .5 .5\n")
    os.symlink(images[0], tmp_path / "bad.png")
    odd = [str(tmp_path / name) for name in ("damaged.jpg", "folder.jpg", "absent.jpg", "bad.png")]
    noted: list[Problem] = []
    paths = images[:4] + odd
    with TrainLoader(paths, OPTIONS, seed=1, workers=workers, note=noted.append) as loader:
        taken = take(loader, 8, batch=8)
    assert all(batch.images.shape == (8, 3, 32, 48) for batch in taken)
    assert sorted((problem.code, problem.path) for problem in noted) == sorted(
        [("unreadable-image", path) for path in odd[:3]]
        + [("class-out-of-range", str(tmp_path / "bad.txt"))]
    )


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("unreadable-image", "missing-image"),
        ("missing-label", "missing-label"),
        ("unsupported-image", "missing-label"),
        ("class-out-of-range", "wrong-label"),
        ("empty-box", "wrong-label"),
        ("bad-coordinate", "wrong-label"),
    ],
)
def test_the_log_counts_complaints_as_it_counts_darknets(code: str, kind: str) -> None:
    line = format_problem(Problem(code, "/a/\udcff.jpg", "why", 3))
    line.encode("utf-8")
    (event,) = LogReader().feed(line)
    assert isinstance(event, EngineWarning)
    assert event.code == kind
    assert event.message.endswith(" /a/\\udcff.jpg:3: why")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_list_without_a_readable_image_ends_in_one_error(tmp_path: Path, workers: int) -> None:
    paths = [str(tmp_path / f"{number}.jpg") for number in range(3)]
    with TrainLoader(paths, OPTIONS, seed=1, workers=workers) as loader:
        with pytest.raises(DatasetError, match="none of the 3 images") as caught:
            take(loader, 1)
        assert caught.value.code == "no-image"


def test_mosaics_and_mixups_come_half_of_the_time(images: list[str]) -> None:
    flat = Path(images[0]).parent / "flat.png"
    assert cv2.imwrite(str(flat), np.full((32, 48, 3), (0, 0, 200), np.uint8))
    flat.with_suffix(".txt").write_text("0 .5 .5 .5 .5\n")
    plain = replace(OPTIONS, hue=0, saturation=1, exposure=1, jitter=0, mosaic=False)
    for combined, most in (("mosaic", 4), ("mixup", 2)):
        maker = SampleMaker([str(flat)], replace(plain, **{combined: True}), seed=3)
        samples = [maker.make(number, SIZE) for number in range(150)]
        counts = [len(sample.edges) for sample in samples]
        assert max(counts) == most
        # Alone, the object keeps its place in the middle of the image.
        middle = [[0.25, 0.25, 0.75, 0.75, 0]]
        alone = [len(s.edges) == 1 and np.allclose(s.edges, middle) for s in samples]
        assert abs(np.mean(alone) - 0.5) < 0.13
    maker = SampleMaker([str(flat)], replace(plain, mixup=True, max=1), seed=3)
    assert {len(maker.make(number, SIZE).edges) for number in range(20)} == {1}


def test_every_image_is_drawn_about_as_often(images: list[str]) -> None:
    plain = replace(OPTIONS, mosaic=False, jitter=0, flip=False, hue=0, saturation=1, exposure=1)
    maker = SampleMaker(images, plain, seed=5)
    known = {
        cv2.resize(decode(path, 3), SIZE, interpolation=cv2.INTER_LINEAR).tobytes(): path
        for path in images
    }
    drawn = [known[maker.make(number, SIZE).image.tobytes()] for number in range(600)]
    assert min(drawn.count(path) for path in images) > 25  # 50 each on average


def test_the_cache_gives_back_what_it_took_until_it_is_full() -> None:
    cache = PictureCache(4, 100, make_lock())
    pictures = [np.full((5, 3, 3), number + 1, np.uint8) for number in range(4)]
    for number, picture in enumerate(pictures):
        assert cache.find(number) is None
        cache.keep(number, picture)
        cache.keep(number, picture * 0)  # is there already
    np.testing.assert_array_equal(cache.find(0), pictures[0])
    np.testing.assert_array_equal(cache.find(1), pictures[1])
    assert cache.find(2) is None  # 45 bytes each
    small = np.full((1, 10, 1), 9, np.uint8)
    cache.keep(3, small)
    np.testing.assert_array_equal(cache.find(3), small)


def test_a_path_list_is_a_list_of_paths() -> None:
    paths = ["/a/b.jpg", "/\u81c9\u66f8.jpg", os.fsdecode(b"/\xff.png"), "relative", ""]
    assert list(PathList(paths)) == paths
    assert PathList(paths)[-2] == "relative"
    assert PathList(paths)[1:3] == paths[1:3]
    with pytest.raises(IndexError):
        PathList(paths)[5]
    assert list(PathList([])) == []


def test_workers_suit_the_machine() -> None:
    cores = len(os.sched_getaffinity(0))
    assert choose_workers("cpu") <= cores // 4
    assert 1 <= choose_workers("cuda") <= min(8, max(1, cores - 1))
    assert choose_workers("cuda", trainings=cores) == 1


def find_children(pid: int) -> list[int]:
    """Return the processes below this one, as Linux lists them."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found += [int(entry.name), *find_children(int(entry.name))]
    return found


def wait_until_gone(pids: Sequence[int], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "a worker process is left behind"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:4]
    except OSError:
        return False


SCRIPT = """
import sys
from darknet_kit.engine.torch.data.loader import TrainLoader
from darknet_kit.engine.torch.data.options import LoaderOptions
options = LoaderOptions(48, 32, classes=3)
with TrainLoader(sys.argv[1:], options, seed=1, workers=2) as loader:
    for number, _ in enumerate(loader.batches((48, 32), 16)):
        if number == 3:
            print("running", flush=True)
"""


@pytest.fixture
def training(images: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that takes mini-batches from two workers for ever."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *images],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_its_training(
    training: subprocess.Popen[str], number: signal.Signals
) -> None:
    assert training.stdout is not None
    assert training.stdout.readline() == "running\n"
    workers = find_children(training.pid)
    assert len(workers) >= 2
    training.send_signal(number)
    training.wait(timeout=20)
    wait_until_gone(workers)


def test_a_killed_worker_ends_in_one_error(images: list[str]) -> None:
    before = set(find_children(os.getpid()))
    with TrainLoader(images, OPTIONS, seed=1, workers=1) as loader:
        take(loader, 1)
        # The fork server and its helper came with the first worker or were there before.
        started = sorted(set(find_children(os.getpid())) - before)
        os.kill(started[-1], signal.SIGKILL)
        with pytest.raises(DkitError) as caught:
            take(loader, 200)
        assert caught.value.code == "worker-died"
