"""Headers of weights files.

Layouts are those that the engines write; the real files were written by AlexeyAB's Darknet.
"""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_kit.errors import WeightsError
from darknet_kit.formats.weights import expected_bytes, read_weights_header


def weights(
    major: int = 0, minor: int = 2, revision: int = 5, seen: int = 0, floats: int = 3
) -> bytes:
    wide = major * 10 + minor >= 2
    return (
        struct.pack("<iii", major, minor, revision)
        + struct.pack("<Q" if wide else "<I", seen)
        + struct.pack(f"<{floats}f", *([0.5] * floats))
    )


@pytest.fixture
def save(tmp_path: Path) -> Callable[[bytes], Path]:
    def save_bytes(content: bytes) -> Path:
        path = tmp_path / "net.weights"
        path.write_bytes(content)
        return path

    return save_bytes


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("yoloface-50k", 45012),
        ("MobileNetV2-YOLO-Fastest-voc", 764876),
        ("yolo-fastest-1.1", 1384268),
    ],
)
def test_real_files(shared_data: Callable[[str], Path], name: str, size: int) -> None:
    header = read_weights_header(shared_data(f"F_weights/{name}.weights"))
    assert (header.major, header.minor, header.revision) == (0, 2, 5)
    assert header.header_bytes == 20
    assert header.floats == (size - 20) // 4
    assert expected_bytes(header.floats) == size


@pytest.mark.parametrize(
    ("major", "minor", "header_bytes"),
    [(0, 1, 16), (0, 2, 20), (1, 0, 20)],
)
def test_the_width_of_seen_follows_the_version(
    save: Callable[[bytes], Path], major: int, minor: int, header_bytes: int
) -> None:
    path = save(weights(major, minor, 0, seen=123456, floats=7))
    header = read_weights_header(path)
    assert (header.seen, header.header_bytes, header.floats) == (123456, header_bytes, 7)


def test_seen_may_pass_four_billion_images(save: Callable[[bytes], Path]) -> None:
    assert read_weights_header(save(weights(seen=1 << 40))).seen == 1 << 40


# AlexeyAB's Darknet, run on one file with seen=12000, went on at these iterations.
@pytest.mark.parametrize(("batch", "iteration"), [(8, 1500), (16, 750), (4, 3000)])
def test_the_iteration_is_seen_by_batch(
    save: Callable[[bytes], Path], batch: int, iteration: int
) -> None:
    assert read_weights_header(save(weights(seen=12000))).iteration(batch) == iteration


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not-weights"),
        (weights()[:15], "not-weights"),
        (weights()[:19], "not-weights"),
        (b"<!DOCTYPE html><html><body>404", "not-weights"),
        (b"\n  <html lang='en'> not found", "not-weights"),
        (b"[net]\nbatch=64\nsubdivisions=16\n", "not-weights"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "not-weights"),
        (weights(seen=1 << 60), "not-weights"),
        (weights()[:-1], "truncated-weights"),
    ],
)
def test_what_is_no_weights_file_is_refused(
    save: Callable[[bytes], Path], content: bytes, code: str
) -> None:
    with pytest.raises(WeightsError) as caught:
        read_weights_header(save(content))
    assert caught.value.code == code
    assert caught.value.hint


def test_a_file_that_is_not_there_or_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        read_weights_header(tmp_path / "none.weights")
    with pytest.raises(WeightsError, match="cannot read"):
        read_weights_header(tmp_path)


def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("weights") / "any.weights"

    @given(st.binary(max_size=64))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            header = read_weights_header(path)
        except WeightsError:
            return
        assert header.header_bytes + 4 * header.floats == len(content)

    check()
