"""How a run begins: here, in the background, or handed over to systemd or Slurm."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from darknet_kit.cli.attempt import train_to_end
from darknet_kit.cli.background import detach_run
from darknet_kit.cli.handover import UNITS, write_unit
from darknet_kit.cli.outcome import INTERRUPTED, Outcome, say
from darknet_kit.cli.paths import shown
from darknet_kit.engine.find import AUTO, Engine
from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.train.health.verdict import Ended
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.record import RunSettings

__all__ = ["UNITS", "Way", "begin_run", "choose_way"]


@dataclass(frozen=True, slots=True)
class Way:
    """Where a run goes on: `detach` in the background, `unit` under systemd or Slurm, else here;
    `engine` is the word of --engine, `force` whether doubts were overruled."""

    detach: bool = False
    unit: str | None = None
    engine: str = AUTO
    force: bool = False

    @property
    def command_options(self) -> list[str]:
        """The options that `dkit train --resume` needs to do the same."""
        engine = [] if self.engine == AUTO else ["--engine", self.engine]
        return [*engine, *(["--force"] if self.force else [])]


def choose_way(*, detach: bool, unit: str | None, engine: str, force: bool) -> Way:
    """Return where a run shall go on. Raises UsageError (`wrong-option`)."""
    if detach and unit:
        raise UsageError(
            "--detach starts the run now, --write-unit leaves that to somebody else",
            code="wrong-option",
            hint="Give one of them.",
        )
    return Way(detach=detach, unit=unit, engine=engine, force=force)


def begin_run(run: RunFolder, settings: RunSettings, cfg: Cfg, engine: Engine, way: Way) -> Outcome:
    """Train in a run folder that is ready, the way that was asked for.

    Raises UsageError, TrainError, ToolchainError, WriteError.
    """
    if way.unit:
        return write_unit(run, way.unit, way.command_options)
    if way.detach:
        return detach_run(run, way.command_options)
    say(f"run: {shown(run.path)}   (Ctrl-C stops it)")
    ended, chart = train_to_end(run, settings, cfg, engine)
    return _outcome(run, ended, chart)


def _outcome(run: RunFolder, ended: Ended, chart: Path | None) -> Outcome:
    weights = ended.best or (ended.checkpoint.path if ended.checkpoint else None)
    summary = [f"{ended.state.capitalize()} at iteration {ended.iteration:,}"]
    if ended.checkpoint:
        at = f" (iteration {ended.checkpoint.iteration:,})"
        summary.append(f"  weights {shown(ended.checkpoint.path)}{at}")
    if ended.best:
        summary.append(f"  best    {shown(ended.best)}")
    if chart:
        summary.append(f"  chart   {shown(chart)}")
    if ended.bottleneck:
        summary.append(f"  bottleneck: {ended.bottleneck}")
        summary += [f"    {ended.bottleneck.advice}"] if ended.bottleneck.advice else []
    stopped = ended.state == "stopped"
    if stopped:
        again = ended.checkpoint.iteration if ended.checkpoint else 0
        if lost := ended.iteration - again:
            repeats = f"going on repeats {lost:,} iterations, from {again:,}"
            summary.append(f"  {repeats}" if again else f"  nothing was saved yet: {repeats}")
    data = {
        "run": os.fspath(run.path),
        "state": ended.state,
        "iteration": ended.iteration,
        "weights": os.fspath(weights) if weights else None,
        "chart": os.fspath(chart) if chart else None,
        "bottleneck": asdict(ended.bottleneck) if ended.bottleneck else None,
    }
    following = f"dkit detect {shown(run.path)} IMAGES --out found"
    resume = f"dkit train --resume {shown(run.path)}"
    return Outcome(summary, data, resume if stopped else following, INTERRUPTED if stopped else 0)
