"""Where logs come from: packed, piped, prefixed, in notebooks, in odd encodings, glued together."""

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.errors import LogError, ToolchainError
from darknet_kit.formats.logdetail import REMARK
from darknet_kit.formats.logevent import ClassResult, Iteration, MapResult, WeightsSaved
from darknet_kit.formats.trainlog import Log, iter_log, read_log

Find = Callable[[str], Path]

WINDOWS = "D_logs/classic/alexeyab_map_yolov3tiny3l_windows_crlf.txt"
GEARS = "D_logs/hank_ai/v5_legogears_yolov3-tiny_full.log"
TWO_GPUS = "D_logs/hank_ai/v5_truncated_multi_gpu.log"
OUT_OF_MEMORY = "D_logs/snippets/pjreddie_issue491_oom_after_resize.txt"

_DKIT = "from darknet_kit.cli.start import run; run()"


def classic(iteration: int, loss: float = 2.5) -> str:
    return (
        f" {iteration}: {loss}, 2.750000 avg loss, 0.001000 rate, 1.500000 seconds, "
        f"{64 * iteration} images, 3.250000 hours left\n"
    )


def read_bytes(content: bytes) -> Log:
    return read_log(io.BytesIO(content))


def assert_same(one: Log, other: Log) -> None:
    assert repr(one.metrics) == repr(other.metrics)  # nan is not equal to itself
    assert repr(one.maps) == repr(other.maps)
    assert (one.ending, one.max_batches, one.flavor) == (
        other.ending,
        other.max_batches,
        other.flavor,
    )
    assert one.damaged == other.damaged == 0


# --- packed, piped ----------------------------------------------------------------------------


def pack_zstd(content: bytes) -> bytes:
    zstandard = pytest.importorskip("zstandard", reason="zstandard is not installed")
    packed: bytes = zstandard.ZstdCompressor().compress(content)
    return packed


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, pack_zstd])
def test_a_packed_log_tells_what_the_plain_one_tells(
    shared_data: Find, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    content = shared_data(GEARS).read_bytes()[:150_000]
    content = content[: content.rindex(b"\n") + 1]
    plain = read_bytes(content)
    path = tmp_path / "packed"  # the name does not matter
    path.write_bytes(pack(content))
    assert_same(read_log(path), plain)
    path.write_bytes(pack(content[:60000]) + pack(content[60000:]))  # two frames, one log
    assert_same(read_log(path), plain)
    path.write_bytes(pack(os.urandom(90000).hex().encode())[:5000])
    with pytest.raises(LogError) as caught:
        read_log(path)
    assert caught.value.code in ("cannot-read", "not-a-log")  # zstd does not mind an early end


def test_without_the_library_for_zstd_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = tmp_path / "a.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd and more")
    with pytest.raises(ToolchainError, match="zstd") as caught:
        read_log(path)
    assert "darknet-kit[zstd]" in caught.value.hint


def test_a_pipe_is_read_to_its_end(shared_data: Find, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = shared_data(WINDOWS).read_bytes()
    writing = threading.Thread(target=pipe.write_bytes, args=(content,))
    writing.start()
    log = read_log(pipe)
    writing.join()
    assert_same(log, read_log(shared_data(WINDOWS)))


def test_standard_input(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _DKIT, "plot-log", "-", "--dry-run", "--json"],
        input=gzip.compress((classic(1) + classic(2)).encode()),
        capture_output=True,
        check=False,
        cwd=tmp_path,
    )
    assert json.loads(done.stdout)["iterations"]["last"] == 2
    code = "from darknet_kit import read_log; read_log('-')"
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"hello\n", capture_output=True, check=False
    )
    assert b"standard input: this is no log" in done.stderr


# --- prefixes of other programs ---------------------------------------------------------------


@pytest.mark.parametrize(
    "prefix",
    [
        "Nov 21 19:56:13 ",  # ts
        "2026-11-21T19:56:13 ",  # ts -m %FT%T
        "00:07:13 ",  # ts -s
        "1795290973.123456 ",  # ts %.s
        "Nov  2 19:56:13 node7 darknet[4711]: ",  # journalctl
        "2026-11-21T19:56:13+0000 node7 run-a.sh[1]: ",  # journalctl -o short-iso
        "darknet-1  | ",  # docker compose logs
        "\x1b[36mdarknet-1  | \x1b[0m",
        "darknet-1  | 2026-11-21T19:56:13.123456789Z ",
        "2026-11-21T19:56:13.123456789Z ",  # kubectl logs --timestamps, GitHub's
        "[pod/train-x7k2p/darknet] ",  # kubectl logs --prefix
        "[pod/train-x7k2p/darknet] 2026-11-21T19:56:13.123456789Z ",
        "2026-11-21T19:56:13.123456789Z stdout F ",  # containerd's files
        "[2026-11-21 19:56:13,123] ",
        "0: ",  # srun --label
        "[1,0]<stdout>: ",  # mpirun --tag-output
    ],
)
@pytest.mark.parametrize("name", [WINDOWS, TWO_GPUS])
def test_prefixes_of_other_programs_change_nothing(
    shared_data: Find, name: str, prefix: str
) -> None:
    content = shared_data(name).read_bytes()[:60_000]
    content = content[: content.rindex(b"\n") + 1]
    marked = b"".join(prefix.encode() + line + b"\n" for line in content.split(b"\n")[:-1])
    assert_same(read_bytes(marked), read_bytes(content))


def test_tables_behind_a_prefix_are_read(shared_data: Find) -> None:
    content = shared_data(GEARS).read_bytes()
    marked = content.replace(b"\n", b"\nNov 21 19:56:13 ")
    assert_same(read_bytes(marked), read_bytes(content))
    assert len(read_bytes(marked).maps[-1].classes) == 5


def test_a_log_of_a_container_in_dockers_own_form(shared_data: Find) -> None:
    content = shared_data(GEARS).read_bytes()
    records = (
        json.dumps({"log": line.decode() + "\n", "stream": "stdout", "time": "2026-11-21T19:56Z"})
        for line in content.split(b"\n")
    )
    records_without_blanks = "\n".join(records).replace('": "', '":"').replace('", "', '","')
    assert_same(read_bytes(records_without_blanks.encode()), read_bytes(content))


def test_what_looks_like_a_task_number_is_an_iteration() -> None:
    original = "1: nan, inf avg, 0.100000 rate, 1.000000 seconds, 64 images\n"
    hank = (
        "2: loss=1.5, avg loss=2.5, rate=0.1, 64.4 milliseconds, 128 images, "
        "time remaining=7 seconds\n"
    )
    assert list(read_bytes((original + hank).encode()).metrics.iteration) == [1, 2]


# --- notebooks and encodings ------------------------------------------------------------------


@pytest.mark.parametrize("first", ["cells", "nbformat"])  # Jupyter's order, and Colab's
def test_what_a_notebook_printed_is_read(shared_data: Find, tmp_path: Path, first: str) -> None:
    text = shared_data(GEARS).read_text(encoding="utf-8", errors="replace")
    half = text.index("\n3000: ") + 1
    pieces = [text[:half], text[half:]]
    cells = [
        {"cell_type": "markdown", "source": ["1: loss=1"]},
        {
            "cell_type": "code",
            "source": "!darknet detector train",
            "outputs": [
                {"output_type": "stream", "text": piece.splitlines(keepends=True)}
                for piece in pieces
            ],
        },
        {"cell_type": "code", "outputs": [{"output_type": "display_data", "data": {"x": 1}}]},
    ]
    document: dict[str, object] = {"cells": cells, "nbformat": 4, "metadata": {}}
    path = tmp_path / "train.ipynb"
    path.write_text(json.dumps({first: document[first]} | document, indent=1))
    assert_same(read_log(path), read_bytes(text.encode()))


@pytest.mark.parametrize("content", ['{"cells": [{"outputs": ', '{"cells": 5}', '{"cells": [[]]}'])
def test_a_damaged_notebook_says_so(content: str) -> None:
    with pytest.raises(LogError):
        read_bytes(content.encode())


def test_utf16_appended_to_a_plain_log_is_read() -> None:
    # PowerShell 5 writes UTF-16 behind whatever the file holds: `… >> train.log`
    text = classic(1).encode() + (classic(2) + classic(3)).encode("utf-16-le")
    assert list(read_bytes(text).metrics.iteration) == [1, 2, 3]
    hole = classic(1).encode() + bytes(100_000) + classic(2).encode()  # logrotate, copytruncate
    assert list(read_bytes(hole).metrics.iteration) == [1, 2]


def test_backspaces_and_colours_are_passed_over() -> None:
    line = "\b\b\b" + classic(1).replace("2.5", "\x1b[31m2.5\x1b[0m")
    assert list(read_bytes(line.encode()).metrics.loss) == [2.5]


# --- glued and cut lines ----------------------------------------------------------------------


def glued(text: str) -> list[object]:
    return list(iter_log(io.BytesIO(text.encode())))


def test_lines_that_lost_their_ends_are_read_one_by_one() -> None:
    text = classic(1).strip("\n") + classic(2).strip("\n") + "Saving weights to b/x_last.weights\n"
    first, second, saved = glued(text)
    assert isinstance(first, Iteration)
    assert isinstance(second, Iteration)
    assert (first.iteration, second.iteration) == (1, 2)
    assert saved == WeightsSaved(2, "b/x_last.weights")
    hank = "{}: loss=1.5, avg loss=2.5, rate=0.1, 64.4 milliseconds, 128 images, time remaining={}"
    events = glued(hank.format(5, "unknown") + hank.format(6, "7.5 minutes") + hank.format(7, ""))
    assert [getattr(event, "iteration", None) for event in events] == [5, 6, 7]


def test_rows_of_a_table_on_one_line_are_all_read() -> None:
    row = "class_id = {}, name = {}, ap = 50.00%   \t (TP = 1, FP = 2) "
    text = row.format(0, "red light") + row.format(1, "a, ap = 3")
    (result,) = glued(text + "\n mean average precision (mAP@0.50) = 0.500000, or 50.00 % \n")
    assert isinstance(result, MapResult)
    assert result.classes == (
        ClassResult(0, "red light", 0.5, 1, 2),
        ClassResult(1, "a, ap = 3", 0.5, 1, 2),
    )


def test_damaged_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    texts = [classic(n) for n in range(1, 2001)]
    texts[9] = texts[9].replace(" rate", "")
    texts[499] = "class_id = 1, name = dog, ap = 8\n"
    texts[1499] = classic(77)  # goes back, and nothing follows it
    path.write_text("".join(texts))
    log = read_log(path)
    # grep -n: what was written as the 10th, the 500th and the 1500th line
    assert [(d.path, d.line) for d in log.damage] == [(str(path), n) for n in (10, 500, 1500)]
    assert log.damaged == 3
    assert log.damage[1].text == "class_id = 1, name = dog, ap = 8"


# --- what is no log ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("F_weights/yoloface-50k.weights", "a file of weights"),
        ("A_voc/voc2012_100/JPEGImages/2007_000549.jpg", "a picture"),
        ("A_voc/voc2012_100/Annotations/2007_001027.xml", "XML"),
        ("E_cfg_data_names/AlexeyAB__enet-coco.cfg", "the cfg of a network"),
        ("E_cfg_data_names/dog-qiuqiu__coco.data", "a .data file"),
        ("C_coco/sampled_gts_bbox_area.json", "JSON"),
    ],
)
def test_real_files_of_other_kinds_are_told_for_what_they_are(
    shared_data: Find, name: str, words: str
) -> None:
    with pytest.raises(LogError, match=f"this is {words}, not ") as caught:
        read_log(shared_data(name))
    assert caught.value.code == "not-a-log"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"                  epoch,         train/box_loss,\n 0, 1.2\n", "Ultralytics"),
        (b"epoch,time,train/box_loss\n1,2,3\n", "Ultralytics"),
        (b"      Epoch    GPU_mem   box_loss\n  1/3  2.1G  1.2\n", "Ultralytics"),
        (b"Epoch 1/50\n100/100 - 3s - loss: 0.5 - acc: 1\n", "Keras"),
        (b"eta: 0:10:00  iter: 19  total_loss: 2.1  loss_cls: 1.0\n", "Detectron2"),
        (b"iteration,loss,avg_loss,learning_rate\n1,2,3,4\n", "the table that dkit made"),
        (b"0 0.5 0.5 0.25 0.25\n3 0.1 0.2 0.3 0.4\n", "a file of labels"),
        (b"data/obj/1.jpg\ndata/obj/2.JPG\n", "a list of images"),
        (b"<!DOCTYPE html><html>\n", "a web page"),
        (b"PK\x03\x04" + bytes(60), "an archive"),
        (b"%PDF-1.7\n", "a PDF"),
    ],
)
def test_other_kinds_of_files_are_told_for_what_they_are(content: bytes, words: str) -> None:
    with pytest.raises(LogError, match=words) as caught:
        read_bytes(content)
    assert caught.value.code == "not-a-log"


# --- parts of the loss ------------------------------------------------------------------------


def test_parts_are_means_over_mini_batches_and_sums_over_heads() -> None:
    head = (
        "v3 (iou loss, Normalizer: (iou: 0.07, obj: 1.00, cls: 1.00) Region {} Avg (IOU: 0.5), "
        "count: 2, class_loss = {}, iou_loss = {}, total_loss = 9 \n"
    )
    older = (
        "Region 82 Avg (IOU: 0.1, GIOU: 0.1), Class: 0.5, Obj: 0.5, No Obj: 0.5, .5R: 0.0, "
        ".75R: 0.0, count: 4, class_loss = 8.0, iou_loss = 6.0, total_loss = 14.0\n"
    )
    text = (
        "Loaded: 0.1 seconds\n"
        + head.format(30, "10.0", "1.0") + head.format(37, "20.0", "3.0")
        + " total_bbox = 5, rewritten_bbox = 0.0 % \n"
        + head.format(30, "30.0", "2.0") + head.format(37, "40.0", "5.0")
        + classic(1) + older + classic(2)
        + " loss parts 9: box = 1.0, obj = 2.0, noobj = 0.5, class = 4.0\n"
        + " loss parts 12: box = 0.5, obj = 1.0, noobj = 0.0, class = -nan\n" + classic(3)
    ).encode()  # fmt: skip
    parts = read_log(io.BytesIO(text), parts=True).parts
    assert list(parts.iteration) == [1, 2, 3]
    assert list(parts.box) == [1.5 + 4.0, 6.0, 1.5]
    assert list(parts.objectness_and_class)[:2] == [20.0 + 30.0, 8.0]
    assert parts.objectness[2] == 3.5
    assert list(read_bytes(text).parts.iteration) == [3]  # the embedded engine's come unasked


def test_parts_are_read_unasked_where_one_line_stands_for_an_iteration() -> None:
    line = (
        "v3 (iou loss, Normalizer: (iou: 0.07, obj: 1.00, cls: 1.00) Region 30 Avg (IOU: 0.5), "
        "count: 2, class_loss = 10.0, iou_loss = 1.5, total_loss = 9 \n"
    )
    text = (line + classic(1)).encode()
    assert list(read_bytes(text).parts.box) == []
    assert list(read_bytes(REMARK + text).parts.box) == [1.5]
