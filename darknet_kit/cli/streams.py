"""stdout and stderr as they may turn out: closed by their reader, full, or of another encoding."""

import contextlib
import errno
import io
import os
import re
import stat
import sys
from collections.abc import Iterator
from typing import Any

import click

from darknet_kit.errors import DkitError

CANNOT_PRINT = "cannot-print"
# Characters that move the cursor, colour, or turn text round: names of files may hold them.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def open_closed_streams() -> None:
    """Let streams that the caller closed (`2>&-`) lead nowhere.

    Else the next files to be opened would get their numbers, and what is meant for them.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(opened, True)
    os.close(opened)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


def accept_any_text() -> None:
    """Let both streams print paths that hold no UTF-8, or what this terminal cannot show."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def echo(text: str, *, err: bool = False) -> None:
    """Print a line, control characters as `\\u001b`, which is right in JSON too.

    Where nobody reads on, the rest is dropped and the work goes on.

    Raises DkitError (`cannot-print`) where results cannot be written; talk is not worth it.
    """
    with _reader_may_leave(err=err):
        click.echo(_CONTROLS.sub(_escaped, text), err=err)


def _escaped(control: re.Match[str]) -> str:
    return f"\\u{ord(control[0]):04x}"


@contextlib.contextmanager
def _reader_may_leave(*, err: bool = False) -> Iterator[None]:
    """Print in this block; a reader such as `head` may close the pipe when it has seen enough, and
    a terminal may be closed."""
    try:
        yield
    except OSError as error:
        stream = (sys.stderr if err else sys.stdout).fileno()
        has_left = isinstance(error, BrokenPipeError) or _is_lost_terminal(stream, error)
        # Python would complain again when it closes the stream, of what is in its buffer still.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream)
        os.close(nowhere)
        if not err and not has_left:
            raise DkitError(
                f"cannot print the result: {error.strerror}",
                code=CANNOT_PRINT,
                hint="Make room where stdout leads to, and run the command again.",
            ) from error


def _is_lost_terminal(stream: int, error: OSError) -> bool:
    return error.errno == errno.EIO and stat.S_ISCHR(os.fstat(stream).st_mode)


class PipeableCommand(click.Command):
    """A command whose help may go to `head`; click would call that a failure."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with _reader_may_leave():  # --help and --version are printed here
            return super().make_context(*arguments, **options)
        raise click.exceptions.Exit(0)
