"""How a command ends: counts, oddities, files, the next command; or one JSON document.

Results go to stdout, talk goes to stderr.
"""

import contextlib
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from darknet_kit.cli.streams import CANNOT_PRINT, PipeableCommand, echo
from darknet_kit.errors import DkitError

SKIPPED_INPUT = 3  # done, but not with all of it
INTERRUPTED = 130  # as shells count a process that Ctrl-C ended


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command has to say when it is done.

    `summary` is for people, line by line; `data` is the same for programs and must be JSON-ready.
    """

    summary: Sequence[str]
    data: dict[str, Any] = field(default_factory=dict)
    next_command: str = ""
    exit_code: int = 0


class ExampleCommand(PipeableCommand):
    """A command whose help ends with examples, pasted as they stand."""

    examples: Sequence[str] = ()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {line}\n" for line in self.examples))


def dkit_command(*, examples: Sequence[str]) -> Callable[[Callable[..., Outcome]], click.Command]:
    """Make a click command of a function that returns an Outcome; adds --json and --debug.

    The function's docstring is the help text. Two or more examples, without a prompt sign.
    """

    def decorate(function: Callable[..., Outcome]) -> click.Command:
        @functools.wraps(function)
        def call(as_json: bool, debug: bool, **arguments: Any) -> int:
            outcome = function(**arguments)
            print_outcome(outcome, as_json)
            return outcome.exit_code

        name = function.__name__.replace("_", "-")
        command = click.command(name, cls=ExampleCommand)(call)
        command.params.append(
            click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document.")
        )
        command.params.append(
            click.Option(["--debug"], is_flag=True, help="Show the traceback of a failure.")
        )
        command.examples = examples
        return command

    return decorate


def print_outcome(outcome: Outcome, as_json: bool) -> None:
    """Print the end of a command that did its work."""
    if as_json:
        document = {"ok": outcome.exit_code == 0, "exit_code": outcome.exit_code, **outcome.data}
        if outcome.next_command:
            document["next_command"] = outcome.next_command
        echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))
        return
    for line in outcome.summary:
        echo(line)
    if outcome.next_command:
        echo(f"\nNext:  {outcome.next_command}")


def print_failure(error: DkitError, exit_code: int, as_json: bool) -> None:
    """Print an expected failure: at most three lines, or one JSON document on stdout."""
    if as_json and error.code != CANNOT_PRINT:
        details = {
            "code": error.code,
            "message": error.message,
            "path": error.path,
            "line": error.line,
            "hint": error.hint,
        }
        document = {"ok": False, "exit_code": exit_code, "error": details}
        with contextlib.suppress(DkitError):  # it cannot be printed either
            echo(json.dumps(document, ensure_ascii=False, indent=2))
            return
    echo(f"error: {error}  [{error.code}]", err=True)
    if error.hint:
        echo(f"  {error.hint}", err=True)


def say(text: str) -> None:
    """Tell the person at the terminal something that is not part of the result."""
    echo(text, err=True)
