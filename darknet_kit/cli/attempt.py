"""One attempt at a run, seen from the terminal: the bar, a clean stop, the chart, the verdict."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from darknet_kit.cli.livechart import LiveChart
from darknet_kit.cli.outcome import say
from darknet_kit.cli.paths import shown
from darknet_kit.cli.trainbar import TrainBar
from darknet_kit.core.wording import format_duration
from darknet_kit.engine.find import Engine
from darknet_kit.errors import DkitError, TrainError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.train.health.verdict import Ended
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.record import RunSettings
from darknet_kit.train.runs.status import Stopping
from darknet_kit.train.runs.stopping import AT_ONCE
from darknet_kit.train.supervision.attempt import AttemptStarted, Tick
from darknet_kit.train.supervision.supervisor import Retrying, Training
from darknet_kit.train.weights.keeping import WeightsKept

_OF_DATA = ("missing-image", "missing-label", "wrong-label")


def train_to_end(
    run: RunFolder, settings: RunSettings, cfg: Cfg, engine: Engine
) -> tuple[Ended, Path | None]:
    """Train until it is finished or stopped, with the live bar; return how, and the chart.

    Raises TrainError where it failed.
    """
    training = Training(run, settings, cfg, engine)
    ended: Ended | None = None
    bar = TrainBar(cfg.net.integer("max_batches"))
    with ignoring_hangups(), _stopping(training), bar, LiveChart(run) as live:
        for event in training.events():
            if isinstance(event, Ended):
                ended = event
            elif isinstance(event, AttemptStarted | Stopping | Retrying):
                if words := _describe(event):
                    say(words)
            elif isinstance(event, Tick):
                live.refresh()
            elif not isinstance(event, WeightsKept):
                bar.show(event)
    if ended is None:
        raise TrainError("training ended without a word", code="engine-ended", path=run.path)
    _tell_warnings(ended)
    chart = _draw_chart(run)
    if ended.state == "failed":
        raise _failure(run, ended)
    return ended, chart


@contextlib.contextmanager
def ignoring_hangups() -> Iterator[None]:
    """Let a closed terminal end nothing in this block."""
    # A handler, not SIG_IGN, which the engine would inherit.
    before = signal.signal(signal.SIGHUP, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@contextlib.contextmanager
def _stopping(training: Training) -> Iterator[None]:
    """Let Ctrl-C and TERM end the engine first and dkit after it, Ctrl-\\ at once."""

    def on_signal(number: int, _frame: FrameType | None) -> None:
        training.stop(now=number == AT_ONCE)

    numbers = (signal.SIGINT, signal.SIGTERM, AT_ONCE)
    before = [signal.signal(number, on_signal) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _describe(event: AttemptStarted | Stopping | Retrying) -> str:
    if isinstance(event, Retrying):
        return f"{event.ended.message}\n{event.words}"
    if isinstance(event, Stopping):
        about = f", in about {format_duration(event.seconds)}" if event.seconds else ""
        return f"stops once iteration {event.iteration:,} is saved{about}; Ctrl-C again: at once"
    start = event.start
    return f"goes on from iteration {start.iteration:,}: {start.path.name}" if start else ""


def _tell_warnings(ended: Ended) -> None:
    """Tell of labels and images that the engine put up with."""
    for code, count in ended.warned:
        if code in _OF_DATA:
            say(f"note: the engine told of {code} {count:,} times; `dkit check` lists them all")


def _draw_chart(run: RunFolder) -> Path | None:
    """Draw the chart of all attempts; None where that cannot be done."""
    if not run.logs():  # somebody deleted the run
        return None
    from darknet_kit.formats.trainlog import read_log

    try:
        from darknet_kit.report.charts import Look, draw_training

        draw_training(read_log(*run.logs()), run.chart, look=Look(title=run.name))
    except ImportError:
        say("note: no chart; `pip install 'darknet-kit[charts]'` brings what draws it")
        return None
    except DkitError as error:
        say(f"note: no chart: {error}")
        return None
    return run.chart


def _failure(run: RunFolder, ended: Ended) -> TrainError:
    if ended.checkpoint:
        good = f"{shown(ended.checkpoint.path)} (iteration {ended.checkpoint.iteration:,})"
        hint = f"Good weights: {good}. Once cured: dkit train --resume {shown(run.path)}"
    else:
        hint = (
            f"No weights were saved. The log: {shown(run.logs()[-1] if run.logs() else run.path)}"
        )
    if ended.given_up:
        say(f"given up: {ended.given_up}")
    if ended.cure:
        hint = f"{ended.cure}\n  {hint}"
    if ended.code in ("engine-ended", "crashed", "diverged") and ended.tail:
        say("the engine's last lines:")
        for line in ended.tail[-6:]:
            say(f"  | {line}")
    return TrainError(ended.message, code=ended.code, hint=hint, path=run.path)
