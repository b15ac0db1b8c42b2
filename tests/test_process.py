"""An engine's process: its output, ticks, and that nothing of it stays."""

import os
import sys
import time
from pathlib import Path

import pytest

from darknet_kit.errors import ToolchainError
from darknet_kit.train import process
from darknet_kit.train.process import EngineProcess, capture


def run(code: str, folder: Path) -> EngineProcess:
    return EngineProcess([sys.executable, "-c", code], folder)


def test_lines_come_whole_and_counters_in_pieces(tmp_path: Path) -> None:
    counter = b"".join(b" rank = %d of ranks = 9999999 \r" % n for n in range(9000))
    printed = b"first\n" + counter + b"mean\nlast without an end"
    (tmp_path / "printed").write_bytes(printed)
    code = "import sys; sys.stdout.buffer.write(open('printed', 'rb').read())"
    engine = run(code, tmp_path)
    lines = [line for line in engine.lines() if line is not None]
    assert engine.end() == 0
    assert b"".join(lines) == printed
    assert lines[0] == b"first\n"
    assert lines[-1] == b"last without an end"
    assert max(map(len, lines)) < len(counter)
    assert all(line.endswith((b"\r", b"mean\n")) for line in lines[1:-1])


def test_a_silent_engine_ticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TICK_SECONDS", 0.05)
    engine = run("import time; time.sleep(0.6); print('late')", tmp_path)
    seen = list(engine.lines())
    engine.end()
    assert seen.count(None) > 3
    assert b"late\n" in seen


def test_what_an_engine_leaves_behind_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "TICK_SECONDS", 0.05)
    # A loader that holds the pipe open long after the engine is gone.
    code = "import os, time\nif os.fork() == 0: print(os.getpid(), flush=True); time.sleep(60)"
    engine = run(code + "; print()\nelse: time.sleep(0.3)", tmp_path)
    (line,) = [line for line in engine.lines() if line]  # and not its last one
    assert engine.end() == 0
    loader = int(line)
    deadline = time.monotonic() + 10
    while is_alive(loader) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(loader)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_an_engine_that_kills_itself_is_told_by_its_signal(tmp_path: Path) -> None:
    engine = run("import os; os.kill(os.getpid(), 9)", tmp_path)
    assert list(filter(None, engine.lines())) == []
    assert engine.end() == -9
    assert process.describe_end(-9) == "killed by SIGKILL"


def test_an_engine_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="cannot be started"):
        EngineProcess([os.fspath(tmp_path / "gone")], tmp_path)


def test_a_program_of_the_system_is_asked_and_may_be_missing() -> None:
    assert capture([sys.executable, "-c", "print('yes')"]) == "yes\n"
    assert capture([sys.executable, "-c", "raise SystemExit(1)"]) is None
    assert capture(["no-such-program-here"]) is None
