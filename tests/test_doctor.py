"""`dkit doctor`: this machine for real, the command's forms, and what keeps it from hanging."""

import dataclasses
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.pending import Pending
from darknet_kit.doctor import darknet, examination, probes, redaction
from darknet_kit.doctor.check import Check, found
from darknet_kit.doctor.codes import CODES
from darknet_kit.doctor.deep import check_decoding, check_multiplication, check_reading
from darknet_kit.doctor.disk import check_images, check_runs
from darknet_kit.doctor.examination import Examination, examine
from darknet_kit.doctor.machine import Machine
from darknet_kit.doctor.probes import Probe, Wish
from darknet_kit.doctor.readiness import judge
from darknet_kit.doctor.rows import Group, Verdict
from darknet_kit.doctor.system import check_limits, check_platform
from darknet_kit.engine import modules
from darknet_kit.engine.find import Engine
from darknet_kit.engine.flavor import Features
from darknet_kit.engine.modules import Told
from darknet_kit.engine.trial import Trial
from darknet_kit.errors import ToolchainError
from darknet_kit.formats.cfg import read_cfg, set_value
from tests.conftest import PROJECT, Ended
from tests.recorded_machines import write, write_device, write_machine, write_working_gpu

Dkit = Callable[..., Ended]


@pytest.fixture(scope="module")
def this_machine() -> dict[str, Any]:
    """What the command says of this machine, in a process of its own."""
    program = "from darknet_kit.cli.main import run; run()"
    words = [sys.executable, "-c", program, "doctor", "--json", "--runs", "/"]
    done = subprocess.run(
        words, check=False, capture_output=True, text=True, timeout=170, cwd=PROJECT
    )
    assert "Traceback" not in done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == document["exit_code"]
    return document


def evidence(document: dict[str, Any], code: str) -> str:
    told = [check["evidence"] for check in document["checks"] if check["code"] == code]
    return "; ".join(told)


def test_what_it_says_of_this_machine_is_true(this_machine: dict[str, Any]) -> None:
    assert platform.release() in evidence(this_machine, "os")
    cores = len(os.sched_getaffinity(0))
    assert re.search(rf", {cores} cores?(,|$)", evidence(this_machine, "cpu"))
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    told = float(evidence(this_machine, "memory").split()[0])
    assert told == pytest.approx(total, rel=0.05)
    assert f"Python {platform.python_version()}," in evidence(this_machine, "python")
    free = shutil.disk_usage("/").free / (1 << 30)
    told = float(re.findall(r"([\d.]+) GiB free", evidence(this_machine, "disk"))[0])
    assert told == pytest.approx(free, rel=0.05)


def test_compilers_are_those_on_path(this_machine: dict[str, Any]) -> None:
    if any(shutil.which(name) is None for name in ("gcc", "g++", "make", "git")):
        assert evidence(this_machine, "no-compiler")
        return
    done = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True)
    assert f"gcc {done.stdout.strip()}," in evidence(this_machine, "compiler")


def test_packages_are_those_that_pip_knows(this_machine: dict[str, Any]) -> None:
    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        assert evidence(this_machine, "no-torch")
        return
    assert version in evidence(this_machine, "torch")


def test_the_exit_code_is_that_of_the_findings(this_machine: dict[str, Any]) -> None:
    verdicts = {check["verdict"] for check in this_machine["checks"]}
    expected = 1 if "problem" in verdicts or not this_machine["trains"] else 0
    assert this_machine["exit_code"] == expected
    assert {check["code"] for check in this_machine["checks"]} <= CODES.keys()


def test_the_text_of_a_machine_without_driver(tmp_path: Path, dkit: Dkit) -> None:
    write_machine(tmp_path, guest=True)
    write_device(tmp_path, driver="nouveau")
    ended = dkit("doctor", "--sysroot", tmp_path)
    assert ended.exit_code == 1
    lines = ended.stdout.splitlines()
    assert lines[0] == "System"
    at = lines.index("  problem  nouveau-bound: 0000:01:00.0 [10de:1b80]: driver nouveau")
    assert lines[at + 1].strip() == CODES["nouveau-bound"].meaning
    assert lines[at + 2].startswith("           -> Install NVIDIA's driver;")
    assert "1 problem" in ended.stdout
    # Lines break elsewhere where the verdict names other engines.
    assert "no GPU can be used, because 0000:01:00.0" in " ".join(ended.stdout.split())
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in ended.stdout


def test_a_narrow_terminal(tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    write_machine(tmp_path)
    assert max(map(len, dkit("doctor", "--sysroot", tmp_path).stdout.splitlines())) <= 60


def test_a_healthy_record_ends_well(tmp_path: Path, dkit: Dkit) -> None:
    write_machine(tmp_path, guest=True)
    write_working_gpu(tmp_path)
    ended = dkit("doctor", "--sysroot", tmp_path)
    assert ended.exit_code == 0
    assert "Verdict: GPU 0: NVIDIA GeForce GTX 1080 can be used" in ended.stdout
    assert ": all is well" in ended.stdout


def test_weights_are_not_the_doctors(tmp_path: Path, dkit: Dkit) -> None:
    (tmp_path / "a.weights").write_bytes(bytes(20))
    ended = dkit("doctor", tmp_path / "a.weights")
    assert ended.exit_code == 2
    assert "dkit weights info" in ended.stderr


def test_a_report_names_nobody(tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch) -> None:
    write_machine(tmp_path, guest=True)
    write_device(tmp_path)
    log = (
        "NVRM: 0000:01:00.0 GPU-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d of alice at rosebud: "
        "fallen off, see /home/alice/x, serial 0321517\n"
    )
    write(tmp_path, {"var/log/dmesg": log})
    monkeypatch.setattr("getpass.getuser", lambda: "alice")
    monkeypatch.setattr("socket.gethostname", lambda: "rosebud.example.org")
    ended = dkit("doctor", "--sysroot", tmp_path, "--report")
    assert ended.exit_code == 1
    assert "| GPU | problem | `gpu-lost` | 0000:01:00.0 [10de:1b80]: " in ended.stdout
    for private in ("alice", "rosebud", "1a2b3c4d", "0321517"):
        assert private not in ended.stdout
    rows = [line for line in ended.stdout.splitlines() if line.startswith("|")]
    assert all(line.count("|") == 5 for line in rows)


def test_what_is_private_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_find_user", lambda: "kim")
    monkeypatch.setattr("socket.gethostname", lambda: "box7")
    monkeypatch.setattr(Path, "home", lambda: Path("/srv/people/kim"))
    told = redaction.redact(
        "/srv/people/kim/runs on box7 by kim, /home/bob/x, 52:54:00:ab:cd:ef, kimono, 5.0.0.93"
    )
    assert told == "~/runs on HOST by USER, /home/USER/x, MAC, kimono, 5.0.0.93"


def test_a_clock_that_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "clock-behind" not in {check.code for check in check_platform(Machine())}
    monkeypatch.setattr(time, "time", lambda: 86400.0)  # the second day of 1970
    assert "clock-behind" in {check.code for check in check_platform(Machine())}


@pytest.mark.parametrize(("point", "expected"), [(",", True), (".", False)])
def test_a_locale_with_decimal_commas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, expected: bool
) -> None:
    answer = f'#!/bin/sh\n[ "$LC_ALL$LANG" = de_DE.UTF-8 ] && echo "{point}"\n'
    write(tmp_path, {"locale": answer})
    (tmp_path / "locale").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    for name in ("LC_ALL", "LC_NUMERIC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    codes = {check.code for check in check_limits(Machine())}
    assert ("decimal-comma" in codes) is expected


@pytest.mark.parametrize(
    ("embedded", "keep", "least", "enough"),
    [
        # 64.43 million parameters of 4 bytes: 0.24 GiB; three numbered ones, _last, _best, _final,
        # _sound and the one that is being written are 1.92 GiB; a log of 160,000 iterations 0.1.
        (False, 3, 1.9, 2.1),
        (False, 0, 5.0, 5.3),  # all sixteen, and five
        (True, 3, 3.8, 4.1),  # momentum beside each
    ],
)
def test_no_room_for_the_weights_of_a_cfg(
    monkeypatch: pytest.MonkeyPatch, embedded: bool, keep: int, least: float, enough: float
) -> None:
    cfg = read_cfg(PROJECT / "cfg/yolov4.cfg")
    cfg = set_value(cfg, cfg.net, "max_batches", 160_000)
    engine = dataclasses.replace(an_engine(True), embedded=embedded)

    def have(gib: float) -> set[str]:
        blocks = int(gib * (1 << 18))  # of 4 KiB
        told = os.statvfs_result((4096, 4096, blocks, blocks, blocks, 10, 10, 10, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda _folder: told)
        wish = Wish(runs=Path("/tmp"), cfg=cfg, keep=keep)
        wanted = probes._estimate(wish, Pending(lambda: engine, 5.0))
        return {check.code for check in check_runs(Machine(), Path("/tmp"), wanted)}

    assert "no-room" in have(least)
    assert "no-room" not in have(enough)
    assert ("little-room" in have(enough)) is (enough < 5)
    assert not {"no-room", "little-room"} & have(9)


@pytest.mark.parametrize(
    ("flavor", "features", "model", "said"),
    [
        (Flavor.ALEXEYAB, Features(gpu=False), "yolov4-tiny", "wrong-gradients"),
        (Flavor.HANK_AI, Features(gpu=False), "yolov4-tiny", "wrong-gradients"),
        (Flavor.ORIGINAL, Features(), "yolov4", "unsupported-by-engine"),
        (Flavor.ALEXEYAB, Features(gpu=True, opencv=False), "mosaic", "no-opencv"),
        (Flavor.ALEXEYAB, Features(gpu=True, opencv=True), "mosaic", ""),
        (Flavor.ORIGINAL, Features(), "yolov3-tiny", ""),
    ],
)
def test_what_train_refuses_is_not_called_ready(
    flavor: Flavor, features: Features, model: str, said: str
) -> None:
    cfg = read_cfg(PROJECT / f"cfg/{'yolov4-tiny' if model == 'mosaic' else model}.cfg")
    if model == "mosaic":
        cfg = set_value(cfg, cfg.net, "mosaic", 1)
    engine = Engine(Path("/opt/darknet"), flavor, features)
    checks = tuple(darknet.check_choice(engine, cfg))
    refused = [check for check in checks if check.code == "engine-refused"]
    assert [check.evidence.rpartition(" ")[2] for check in refused] == [f"[{said}]"] * bool(said)
    assert judge(Examination((ABSENT, *checks), engine), asked=True).trains is not bool(said)


def test_an_engine_that_errs_on_a_cpu_is_told_without_a_cfg() -> None:
    codes = [check.code for check in darknet.check_choice(an_engine(False), None)]
    assert codes == ["engine", "wrong-gradients"]
    assert [check.code for check in darknet.check_choice(an_engine(True), None)] == ["engine"]


def test_images_lie_where_their_links_lead(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "view").mkdir()
    (tmp_path / "far/1.jpg").touch()
    (tmp_path / "view/1.jpg").symlink_to(tmp_path / "far/1.jpg")
    (check, *_) = check_images(Machine(), [str(tmp_path / "view/1.jpg")])
    assert check.evidence.startswith(f"images: {tmp_path.resolve() / 'far'}, ")


def test_a_folder_that_may_not_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    full = os.statvfs_result((4096, 4096, 1 << 30, 1 << 30, 1 << 30, 1000, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _folder: full)
    codes = {check.code for check in check_runs(Machine(), Path("/"))}
    assert {"read-only", "no-inodes"} <= codes


def test_a_question_without_an_answer_is_given_up() -> None:
    forever, answers = threading.Event(), list[bool]()
    pending = Pending(lambda: answers.append(forever.wait(60)), 0.2)
    with pytest.raises(TimeoutError, match="no answer in"):
        pending.result()
    assert answers == []  # it hangs still
    assert pending.result_or(None) is None
    forever.set()


def test_what_a_question_raises_is_raised_where_it_is_asked() -> None:
    pending = Pending(lambda: int("x"), 5.0)
    with pytest.raises(ValueError, match="invalid literal"):
        pending.result()


def test_a_driver_that_hangs_holds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_machine(tmp_path)
    write_device(tmp_path, driver="nvidia")
    forever, answers = threading.Event(), list[bool]()
    monkeypatch.setattr(probes, "read_nvml", lambda _machine: answers.append(forever.wait(60)))
    monkeypatch.setattr(probes, "_DRIVER", 0.2)
    looked = examine(Wish(machine=Machine(tmp_path)))
    assert answers == []  # it hangs still
    hanging = [check for check in looked.checks if check.code == "no-answer"]
    assert {check.group for check in hanging} >= {Group.GPU}
    assert {"os", "cpu", "memory"} <= {check.code for check in looked.checks}
    forever.set()


def test_a_probe_that_stumbles_is_one_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble() -> Iterator[Check]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(examination, "list_probes", lambda *_: [Probe(Group.DISK, stumble, 5.0)])
    (check,) = examine(Wish(machine=Machine(Path("/tmp")))).checks
    assert (check.code, check.group, check.verdict) == ("cannot-tell", "Disk", Verdict.UNKNOWN)
    assert "Permission denied" in check.evidence


@settings(max_examples=30)
@given(st.binary(max_size=400), st.sampled_from(["proc/mounts", "var/log/dmesg", "proc/cpuinfo"]))
def test_any_bytes_are_looked_at(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    root = tmp_path_factory.mktemp("any")
    write_device(root)
    lines = b"NVRM: GPU 0000:01:00.0 \nNVRM: Xid (PCI:0000:01:00): 79\nflags : hypervisor \n/ / / /"
    write(root, {name: lines + content})
    codes = {check.code for check in examine(Wish(machine=Machine(root))).checks}
    assert "cannot-tell" not in codes


def an_engine(gpu: bool) -> Engine:
    return Engine(Path("/opt/darknet"), Flavor.ALEXEYAB, Features(gpu=gpu), reason="named")


GPU = found("gpu", "GPU 0: NVIDIA H200, compute capability 9.0")
ABSENT = found("no-gpu", "no NVIDIA GPU on the PCI bus")


@pytest.mark.parametrize(
    ("checks", "engine", "expected"),
    [
        ([GPU], an_engine(True), "ready to train on GPU 0: NVIDIA H200 with /opt/darknet"),
        (
            [GPU],
            an_engine(False),
            "trains on the CPU only, because /opt/darknet computes on the CPU, and nothing else is "
            "here for GPU 0: NVIDIA H200",
        ),
        (
            [ABSENT],
            an_engine(False),
            "trains on the CPU only, with /opt/darknet, because no NVIDIA GPU on the PCI bus "
            "(no-gpu)",
        ),
        (
            [
                GPU,
                found(
                    "trial-failed",
                    f"{an_engine(True)}: it ended with signal 4",
                    engine=Path("/opt/darknet"),
                ),
            ],
            an_engine(True),
            "not ready: /opt/darknet and GPU 0: NVIDIA H200 are here, but /opt/darknet (alexeyab; "
            "GPU): it ended with signal 4 (trial-failed)",
        ),
        (
            [GPU, found("darknet-lacks-gpu", "code for 6.1", engine=Path("/usr/bin/darknet"))],
            an_engine(True),  # which is another one
            "ready to train on GPU 0: NVIDIA H200 with /opt/darknet",
        ),
        (
            [ABSENT, found("wrong-gradients", "/opt/darknet")],
            an_engine(False),
            "trains on the CPU only, with /opt/darknet, some networks wrongly (wrong-gradients), "
            "because no NVIDIA GPU on the PCI bus (no-gpu)",
        ),
        (
            [ABSENT, found("no-room", "this training takes 2.0 GiB, /runs has 1.0")],
            an_engine(False),
            "not ready: /opt/darknet is here, but this training takes 2.0 GiB, /runs has 1.0 "
            "(no-room)",
        ),
        ([GPU], None, "cannot train: no engine answered"),
        ([GPU, found("no-engine", "nothing here")], None, "cannot train: nothing here"),
        (
            [GPU, found("no-room", "weights take 2.0 GiB, /runs has 1.0")],
            an_engine(True),
            "not ready: /opt/darknet and GPU 0: NVIDIA H200 are here, but weights take 2.0 GiB, "
            "/runs has 1.0 (no-room)",
        ),
    ],
)
def test_the_verdict(checks: list[Check], engine: Engine | None, expected: str) -> None:
    assert judge(Examination(tuple(checks), engine), asked=True).sentence == expected


def test_images_are_read_and_decoded(tmp_path: Path) -> None:
    paths = []
    for number in range(4):
        paths.append(str(tmp_path / f"{number}.jpg"))
        Image.new("RGB", (64, 48), (number, 0, 0)).save(paths[-1])
    (check,) = check_reading([*paths, str(tmp_path / "gone.jpg")])
    assert check.evidence.endswith("(4 images)")
    (check,) = check_reading([str(tmp_path / "gone.jpg")])
    assert check.code == "slow-disk"
    pytest.importorskip("cv2")
    (check,) = check_decoding(paths)
    assert check.evidence.endswith("on one core (4 images)")


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (Told(device="the CPU", seconds=0.1, right=True), "computes"),
        (Told(device="NVIDIA H200", seconds=0.1, right=False), "computes-wrong"),
        (Told(error="CUDA error: no kernel image is available"), "computes-wrong"),
    ],
)
def test_a_multiplication_is_right_or_not(
    monkeypatch: pytest.MonkeyPatch, told: Told, code: str
) -> None:
    monkeypatch.setattr("darknet_kit.doctor.deep.has_module", lambda _name: True)
    monkeypatch.setattr("darknet_kit.doctor.deep.multiply", lambda: told)
    assert [check.code for check in check_multiplication()] == [code]


def test_pytorch_multiplies_right(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    exec(modules._MULTIPLY, {})  # in a process of its own the import alone takes seconds
    told = json.loads(capsys.readouterr().out)
    assert told["right"] is True


@pytest.mark.parametrize(
    ("trial", "code", "said"),
    [
        (Trial(36.7, "", ""), "trial", "average loss 36.7"),
        (Trial(0.0, "it ended with signal 4", ""), "trial-failed", "signal 4"),
    ],
)
def test_every_engine_is_tried(
    monkeypatch: pytest.MonkeyPatch, trial: Trial, code: str, said: str
) -> None:
    missing = ToolchainError("it does not start", code="engine-does-not-start")
    monkeypatch.setattr(darknet, "iter_darknets", lambda: [an_engine(True), missing])
    monkeypatch.setattr(darknet, "find_engine", lambda _choice: an_engine(False))
    monkeypatch.setattr(darknet, "try_training", lambda _engine: trial)
    tried = list(darknet.check_trials())
    assert [check.code for check in tried] == [code, code]
    assert all(said in check.evidence for check in tried)


def test_the_document_lists_every_code() -> None:
    document = (PROJECT / "docs/doctor.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(.*?)` \| (.*?) \| (.*?) \| (.*) \|$", document, re.M)
    assert rows == sorted(
        ((code, row.group, row.verdict, row.meaning) for code, row in CODES.items()),
        key=lambda row: list(Group).index(Group(row[1])),
    )


def test_every_code_is_used_and_every_used_code_is_in_the_table() -> None:
    files = (PROJECT / "darknet_kit/doctor").glob("*.py")
    sources = [path.read_text() for path in files if not path.stem.endswith("codes")]
    used = {
        code
        for source in sources
        for code in re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)*)"', source)
        if code in CODES
    }
    assert used == CODES.keys()
    for code, row in CODES.items():
        if row.verdict is not Verdict.OK and code != "cannot-tell":
            assert row.cure, code
