"""The `dkit` command: finds a command's module when it is called, and ends every failure politely.

Nothing heavy is imported here, so that `dkit --help` answers at once.
"""

import gc
import importlib
import signal
import sys
import traceback
from collections.abc import Sequence

import click
from click.exceptions import NoSuchCommand

from darknet_kit import __version__
from darknet_kit.cli.outcome import INTERRUPTED, print_failure
from darknet_kit.cli.streams import PipeableCommand, accept_any_text, echo, open_closed_streams
from darknet_kit.errors import DkitError

# In the order in which people need them: name, module, and the line that `dkit --help` shows.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Run the whole job on made-up images, in about two minutes."),
    "convert": ("convert", "Turn ILSVRC, VOC or COCO annotations into a Darknet data set."),
    "subset": ("subset", "Make a complete data set of some of the classes."),
    "stats": ("stats", "Count classes, images and boxes; say what is rare, small or alike."),
    "show": ("show", "Draw images with their boxes: a contact sheet, or a page."),
    "check": ("check", "Find what would waste a run: data, network, weights."),
    "anchors": ("anchors", "Compute anchors for a data set, beside a network's own."),
    "make-cfg": ("make_cfg", "Write a network that trains: filters, schedule, size computed."),
    "weights": ("weights", "Look into weights, fit them to a network, cut a backbone."),
    "doctor": ("doctor", "Look at this machine: GPU, driver, CUDA, compilers, disk."),
    "build": ("build", "Build darknet for this machine's GPU, or CPU."),
    "train": ("train", "Train a network in a run folder; stop and resume at will."),
    "runs": ("runs", "List runs: how far each came and what became of it; show or stop one."),
    "watch": ("watch", "Show a run while it goes on: in the terminal, or as a page."),
    "plot-log": ("plot_log", "Draw loss and mAP from any Darknet log."),
    "compare": ("compare", "Set trainings side by side: what differs, what came of it."),
    "report": ("report", "Write one page that tells all of a training."),
    "detect": ("detect", "Find objects in images; pictures with boxes, and JSON."),
}


class LazyGroup(PipeableCommand, click.Group):
    """A group that knows its commands by name and imports one only to run or explain it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"darknet_kit.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            # click looks for near matches among loaded commands only, and none is loaded.
            raise NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`dkit COMMAND --help` shows examples to paste. Add --json for one JSON document, "
    "--debug for tracebacks.",
)
@click.version_option(__version__, "-V", "--version", prog_name="dkit")
def dkit() -> None:
    """From a folder of annotated images to a trained Darknet network."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `dkit` and return its exit code; nothing but a bug or --debug shows a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json, debug = "--json" in words, "--debug" in words
    try:
        return int(dkit.main(words, prog_name="dkit", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        echo(error.ctx.get_help() if error.ctx else error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        hint = ""
        if isinstance(error, click.UsageError) and error.ctx is not None:
            hint = f"`{error.ctx.command_path} --help` shows how it is called."
        message = " ".join(error.format_message().split())  # click lists choices line by line
        print_failure(DkitError(message, code="usage", hint=hint), error.exit_code, as_json)
        return error.exit_code
    except DkitError as error:
        if debug:
            traceback.print_exc()
        print_failure(error, error.exit_code, as_json)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        stopped = DkitError(
            "interrupted; what was written so far is whole",
            code="interrupted",
            hint="The same command goes on where this one stopped.",
        )
        print_failure(stopped, INTERRUPTED, as_json)
        return INTERRUPTED
    except (OSError, MemoryError, ImportError) as error:
        if debug:
            traceback.print_exc()
        print_failure(_lack(error), DkitError.exit_code, as_json)
        return DkitError.exit_code


def _lack(error: OSError | MemoryError | ImportError) -> DkitError:
    """Return what the machine refused where nobody had to expect it: a disk that breaks, say."""
    if isinstance(error, MemoryError):
        return DkitError(
            "there is not enough memory",
            code="out-of-memory",
            hint="Free some, or give less to do at a time: fewer --workers, a part of the data.",
        )
    if isinstance(error, ImportError):
        reason = str(error).strip().splitlines()[-1:]  # numpy's begins with advice
        return DkitError(
            f"a library of Python cannot be loaded: {''.join(reason)}",
            code="cannot-load",
            hint="Look for limits on memory (`ulimit -v`), or install darknet-kit again.",
        )
    place = error.filename if isinstance(error.filename, str) else None
    return DkitError(
        f"the system refused: {error.strerror or error}",
        code="system-error",
        hint="What was written so far is whole. Look after the disk, and run the command again; "
        "--debug shows where it was.",
        path=place,
    )


def run() -> None:
    """Run `dkit` and end this process with its exit code."""
    open_closed_streams()
    accept_any_text()
    exit_code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said; only Python's own end is left
    gc.freeze()  # which need not look for garbage
    sys.exit(exit_code)
