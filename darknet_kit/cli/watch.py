"""`dkit watch`: a run while it goes on, in the terminal or as a page."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darknet_kit.cli.outcome import Outcome, dkit_command, say
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.core.wording import counted
from darknet_kit.errors import ToolchainError, UsageError
from darknet_kit.train.runs.folder import RunFolder, find_latest_run, find_run, is_run_folder
from darknet_kit.train.runs.follower import Follower
from darknet_kit.train.runs.state import State

if TYPE_CHECKING:
    from rich.console import RenderableType

_SECONDS = 1.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ENDED = frozenset((State.FINISHED, State.DIVERGED, State.CRASHED, State.INTERRUPTED))


@dkit_command(
    examples=[
        "dkit watch",
        "dkit watch runs/yolov4-tiny-20 --once",
        "dkit watch runs --serve --port 8090     # over ssh: ssh -L 8090:localhost:8090 MACHINE",
    ]
)
@click.argument("runs", metavar="[RUN]...", type=GivenPath(), nargs=-1)
@click.option("--serve", is_flag=True, help="As a page with live charts, for a browser.")
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to serve at; any but this machine's own asks readers for a token.",
)
@click.option("--once", is_flag=True, help="Show how it stands, and end.")
def watch(runs: tuple[str, ...], serve: bool, port: int, host: str, once: bool) -> Outcome:
    """Show a run while it goes on: in the terminal, or as a page.

    RUN is a run folder, or a folder of runs; without one it is the latest below runs/. Only the run
    folder is read, so that watching may begin and end at any time, also after the run.
    """
    folders = list(_find_runs(runs))
    if serve:
        return _serve(runs, [run.name for run in folders], host, port)
    run = folders[0]
    if once or not _can_move_the_cursor():
        if not once:
            say("note: this terminal can show it only once; --serve makes a page")
        return _show_once(run)
    return _follow(run)


def _find_runs(given: Sequence[str]) -> Iterator[RunFolder]:
    if not given:
        latest = find_latest_run("runs")
        if latest is None:
            raise UsageError(
                "there is no run to watch",
                code="no-run",
                hint="Name one, or start one: dkit train DATA CFG",
                path="runs",
            )
        yield RunFolder(latest.absolute())
        return
    for path in given:
        if Path(path).is_dir() and not is_run_folder(Path(path)):
            inside = sorted(one.parent for one in Path(path).glob("*/run.toml"))
            if inside:
                yield from (RunFolder(one.absolute()) for one in inside)
                continue
        yield RunFolder(find_run(path))


def _require(module: str) -> None:
    try:
        __import__(module)
    except ImportError as error:
        raise ToolchainError(
            f"watching needs {module}, which is not installed",
            code="missing-extra",
            hint="pip install 'darknet-kit[watch]'",
        ) from error


def _describe(follower: Follower) -> dict[str, Any]:
    snapshot = asdict(follower.snapshot())
    return json.loads(json.dumps(snapshot, default=str))  # type: ignore[no-any-return]


def _show_once(run: RunFolder) -> Outcome:
    _require("rich")
    from rich.console import Console

    from darknet_kit.report.screen import draw_screen

    follower = Follower(run)
    follower.update()
    console = Console(width=min(110, Console().width))
    with console.capture() as captured:
        console.print(draw_screen(follower, console))
    return Outcome(captured.get().splitlines(), _describe(follower))


def _follow(run: RunFolder) -> Outcome:
    _require("rich")
    from rich.console import Console
    from rich.live import Live

    from darknet_kit.report.screen import draw_screen

    follower, console = Follower(run), Console()
    follower.update()

    def draw() -> "RenderableType":
        return draw_screen(follower, console, console.height)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave the terminal as it was
    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(draw(), console=console, auto_refresh=False, screen=True) as live,
    ):
        while follower.snapshot().state not in _ENDED and run.path.is_dir():
            time.sleep(_SECONDS)
            follower.update()
            live.update(draw(), refresh=True)
    console.print(draw_screen(follower, console))
    ended = follower.snapshot().state in _ENDED
    following = f"dkit report {shown(run.path)}" if ended else f"dkit watch {shown(run.path)}"
    return Outcome([], _describe(follower), following if run.path.is_dir() else "dkit runs")


def _can_move_the_cursor() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown", "", None)


def _serve(given: Sequence[str], names: Sequence[str], host: str, port: int) -> Outcome:
    _require("aiohttp")
    from darknet_kit.report.liveserver import Address

    if len(set(names)) < len(names):
        raise UsageError(
            "two of these runs have one name",
            code="usage",
            hint="Watch those of one folder at a time.",
        )
    token = "" if host in _LOOPBACK else secrets.token_urlsafe(16)
    try:
        url = asyncio.run(_serve_until_stopped(given, Address(host, port, token)))
    except OSError as error:
        raise UsageError(
            f"cannot listen at {host}, port {port}: {error.strerror}",
            code="cannot-listen",
            hint="Take another --port; 0 is any free one.",
        ) from error
    return Outcome([f"served {url}"], {"url": url, "runs": names})


async def _serve_until_stopped(given: Sequence[str], address: Any) -> str:
    from darknet_kit.report.liveserver import serving

    def find() -> list[RunFolder]:
        found: list[RunFolder] = []
        for one in [[path] for path in given] or [[]]:
            with contextlib.suppress(UsageError):  # deleted meanwhile
                found += _find_runs(one)
        return found

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with serving(find, address) as open_at:
        say(f"watching {counted(len(find()), 'run')} at {open_at.url}   (Ctrl-C ends it)")
        await stopped.wait()
    return str(open_at.url)


command = watch
