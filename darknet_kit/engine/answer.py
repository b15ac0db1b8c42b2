"""Ask a program a short question: run it with a time limit and read what it says."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from darknet_kit.errors import AnyPath


@dataclass(frozen=True, slots=True)
class Answer:
    """How a program ended.

    `returncode` is negative for a signal, None where the program could not be started or was
    stopped for being late; `error` then says so.
    """

    stdout: str
    stderr: str
    returncode: int | None
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.returncode == 0

    @property
    def text(self) -> str:
        """Both streams, one after the other."""
        return self.stdout + self.stderr


def ask(
    argv: Sequence[AnyPath],
    *,
    stdin: str = "",
    folder: AnyPath | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = 20.0,
) -> Answer:
    """Run a program in the C locale, with `stdin` as its whole input; never raises.

    A program that takes longer than `timeout` seconds is killed with all that it started, which
    matters for wrapper scripts.
    """
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Answer("", "", None, getattr(error, "strerror", None) or str(error))
    with process:
        try:
            stdout, stderr = process.communicate(stdin.encode(), timeout=timeout)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            return Answer(*_decode(stdout, stderr), None, f"no answer in {timeout:.0f} seconds")
    return Answer(*_decode(stdout, stderr), process.returncode)


def _decode(stdout: bytes, stderr: bytes) -> tuple[str, str]:
    return stdout.decode(errors="replace"), stderr.decode(errors="replace")
