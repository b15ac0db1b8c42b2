"""Kill dkit at one of its calls after the other, and see what it makes of that the next time.

    python -m tests.killing FOLDER FIRST STEP COMMAND ...

FOLDER is the one that COMMAND writes into, which may be the source. Children are forked and killed
at every STEPth call that may touch a file. Prints a line for each that went wrong, and last how
many there were. With DKIT_TEST_NAMED files get a temporary name, as on file systems of old.
"""

import contextlib
import io
import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType

from darknet_kit.cli.main import main
from darknet_kit.core import files, newfiles

from .sets import contents

CALLS = {"open", "write", "writelines", "close", "link", "symlink", "replace", "unlink", "mkdir"}


def run(words: list[str], step: int = 0) -> int:
    """Run dkit in a child, kill it at its `step`th call; return its exit code, -9 where killed."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    left = step

    def count(_frame: FrameType, event: str, called: object) -> None:
        nonlocal left
        if event.startswith("c_") and getattr(called, "__name__", "") in CALLS:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    if step:
        sys.setprofile(count)
    exit_code = main(words)
    sys.setprofile(None)
    os._exit(exit_code)


def clean(folder: Path, original: set[str]) -> None:
    """Remove what dkit wrote."""
    for name in sorted(map(str, folder.rglob("*")), reverse=True):
        if name not in original:
            path = Path(name)
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def kill_all_the_way(folder: Path, first: int, step: int, words: list[str]) -> int:
    """Kill at call after call until the work is done before; return how often."""
    with contextlib.redirect_stdout(io.StringIO()):  # all modules are loaded, and not counted
        main([*words, "--dry-run"])
    original = set(map(str, folder.rglob("*")))
    exit_code = run(words)
    wanted = contents(folder)
    clean(folder, original)
    killed = 0
    for number in range(first, 100_000, step):
        if run(words, number) != -signal.SIGKILL:
            return killed
        killed += 1
        halfway = contents(folder)
        for name, content in halfway.items():
            known = wanted.get(name) == content or Path(name).name == "conversion.json"
            if not (known or files.is_part(Path(name).name)):
                print(f"call {number}: {name} is half or strange", flush=True)
        if run(words) != exit_code or contents(folder) != wanted:
            print(f"call {number}: another result than without a kill", flush=True)
        clean(folder, original)
    return killed


if __name__ == "__main__":
    if os.environ.get("DKIT_TEST_NAMED"):
        newfiles._NAMELESS = os.O_WRONLY | os.O_CREAT | os.O_DIRECTORY  # no kernel accepts that
    place, start, stride, *command = sys.argv[1:]
    print(f"killed {kill_all_the_way(Path(place), int(start), int(stride), command)} times")
