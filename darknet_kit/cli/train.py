"""`dkit train`: a real engine in a run folder, with a live bar, a clean stop and a chart."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from darknet_kit.cli.attempt import ignoring_hangups
from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.enginechoice import engine_option, find_engine_of_run
from darknet_kit.cli.needs import describe_run
from darknet_kit.cli.outcome import Outcome, dkit_command, say
from darknet_kit.cli.paths import shown
from darknet_kit.cli.runstart import UNITS, Way, begin_run, choose_way
from darknet_kit.cli.supervision import supervision_options, with_supervision
from darknet_kit.core.files import WriteError
from darknet_kit.core.wording import counted
from darknet_kit.dataset.reading import Dataset, read_dataset
from darknet_kit.engine.command import can_map
from darknet_kit.engine.find import AUTO, Engine, find_engine
from darknet_kit.engine.suitability import check_engine
from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import Cfg, read_cfg
from darknet_kit.network.schedule import effective_batch
from darknet_kit.train.checks.preflight import check_run
from darknet_kit.train.checks.room import check_room
from darknet_kit.train.checks.start import check_images_there, check_same_batch
from darknet_kit.train.runs.creation import create_run, free_name
from darknet_kit.train.runs.folder import find_latest_run
from darknet_kit.train.runs.record import RunSettings, keep_settings, open_run

_LATEST = "latest"


@dkit_command(
    examples=[
        "dkit train voc/voc.data yolov4-tiny-20.cfg yolov4-tiny.conv.29",
        "dkit train --resume runs/yolov4-tiny-20",
    ]
)
@click.argument("data", type=click.Path(), required=False)
@click.argument("cfg", type=click.Path(), required=False)
@click.argument("weights", type=click.Path(), required=False)
@click.option("--name", help="Name of the run.  [default: that of the cfg]")
@click.option("--out", type=click.Path(), default="runs", show_default=True, help="Folder of runs.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value=_LATEST,
    metavar="[RUN]",
    help="Go on with a run, by default the latest, from its last good weights.",
)
@engine_option
@click.option("--map/--no-map", "with_map", default=None, help="mAP while training.  [default: on]")
@click.option("--clear", is_flag=True, help="Start the iteration count of WEIGHTS anew.")
@click.option("--gpus", help="GPUs to use, with commas between.")
@click.option("--force", is_flag=True, help="Train in spite of what ruins a network.")
@click.option("--detach", is_flag=True, help="Train in the background, without this terminal.")
@click.option(
    "--write-unit",
    "unit",
    type=click.Choice(UNITS),
    help="Start nothing: write what lets systemd or Slurm do it, and again after a restart.",
)
@supervision_options
@click.option("--dry-run", is_flag=True, help="Check everything; start nothing.")
def train(
    data: str | None,
    cfg: str | None,
    weights: str | None,
    name: str | None,
    out: str,
    resume: str | None,
    engine: str,
    with_map: bool | None,
    clear: bool,
    gpus: str | None,
    force: bool,
    detach: bool,
    unit: str | None,
    telemetry_seconds: float | None,
    keep: int | None,
    full_log: bool | None,
    retries: int | None,
    on_nan: str | None,
    stall_minutes: float | None,
    dry_run: bool,
) -> Outcome:
    """Train a network in a run folder; stop and resume at will.

    DATA is a .data file, CFG a network, WEIGHTS what to start from. Everything is checked before
    the first iteration. Ctrl-C ends it after the engine's next checkpoint, a second one at once, a
    closed terminal not at all; --resume goes on from its last good weights. An engine that fails is
    started again where that can help.
    """
    way = choose_way(detach=detach, unit=unit, engine=engine, force=force)
    supervise = partial(
        with_supervision,
        keep=keep,
        full_log=full_log,
        retries=retries,
        on_nan=on_nan,
        stall_minutes=stall_minutes,
        telemetry_seconds=telemetry_seconds,
    )
    if resume is not None:
        if data or name or gpus or clear or with_map is not None:
            raise _not_with_resume()
        return _resume(resume, out, way, supervise, force=force, dry_run=dry_run)
    if not data or not cfg:
        raise UsageError(
            "DATA and CFG are needed",
            code="usage",
            hint="dkit train voc/voc.data yolov4-tiny-20.cfg",
        )
    network, program = read_cfg(cfg), find_engine(engine)
    settings = RunSettings(
        data=os.path.abspath(data),
        cfg=os.path.abspath(cfg),
        weights=os.path.abspath(weights) if weights else "",
        map=_wants_map(with_map, program),
        clear=clear,
        gpus=_parse_gpus(gpus),
        batch=effective_batch(network),
    )
    settings = supervise(settings)
    # Labels are looked for as this engine does, whatever the conversion was made for.
    dataset = read_dataset(data, program.flavor)
    settings, ready = _check(dataset, network, settings, program, force=force)
    path = Path(out) / (name or free_name(out, Path(cfg).stem))
    _check_room(path, network, settings, program, force=force)
    if dry_run:
        return Outcome([ready], {"dry_run": True, "engine": os.fspath(program.path)})
    while True:
        try:
            run = create_run(path, dataset, network, settings, program)
        except UsageError as error:
            if name or error.code != "run-exists":
                raise
            path = Path(out) / free_name(out, Path(cfg).stem)  # another dkit took it just now
        else:
            return begin_run(run, settings, network, program, way)


def _not_with_resume() -> UsageError:
    return UsageError(
        "--resume goes on with a run as it is: give no DATA, CFG or WEIGHTS, and no "
        "--name, --map, --clear or --gpus",
        code="wrong-option",
        hint="dkit train --resume RUN",
    )


def _check(
    dataset: Dataset, cfg: Cfg, settings: RunSettings, engine: Engine, *, force: bool
) -> tuple[RunSettings, str]:
    """Refuse what cannot work, tell the doubts; return settings that work and what is there."""
    with ignoring_hangups(), progress_bar("check", "images") as progress:
        checked = check_run(
            dataset,
            cfg,
            settings.weights,
            engine,
            with_map=settings.map,
            clear=settings.clear,
            gpus=settings.gpus,
            force=force,
            progress=progress,
        )
    if checked.valid is None and settings.map:
        settings = replace(settings, map=False)
        say("note: there is nothing to validate on, so no mAP while training")
    for warning in checked.warnings:
        say(f"warning: {warning}")
    say(f"engine: {engine}: {engine.reason}")
    for line in describe_run(cfg, engine, max(1, len(settings.gpus))):
        say(line)
    train = checked.train
    return (
        settings,
        f"All is ready: {counted(train.images, 'image')}, {counted(train.boxes, 'box')}",
    )


def _check_room(run: Path, cfg: Cfg, settings: RunSettings, engine: Engine, *, force: bool) -> None:
    lack = check_room(
        run, cfg, keep=settings.keep, embedded=engine.embedded, full_log=settings.full_log
    )
    if lack and not force:
        hint = "Free some space, keep fewer with --keep, or name another disk with --out."
        raise WriteError(lack, code="disk-full", hint=hint)
    if lack:
        say(f"warning: {lack}")


def _resume(
    wanted: str,
    out: str,
    way: Way,
    supervise: Callable[[RunSettings], RunSettings],
    *,
    force: bool,
    dry_run: bool,
) -> Outcome:
    path = find_latest_run(out) if wanted == _LATEST else Path(wanted)
    if path is None:
        raise UsageError(
            "there is no run to go on with",
            code="no-run",
            hint="Name one with --resume RUN, or start one: dkit train DATA CFG",
            path=out,
        )
    run, recorded_settings, recorded = open_run(path, out)
    program = find_engine_of_run(recorded, way.engine)
    say(f"engine: {program}: {'the run began with it' if way.engine == AUTO else program.reason}")
    settings = supervise(recorded_settings)
    if settings.map and not can_map(program.flavor):
        settings = replace(settings, map=False)
        say("note: this engine cannot compute mAP, so there is none from here on")
    network = read_cfg(run.cfg)
    check_same_batch(network, settings)
    check_images_there(run)
    if way.engine != AUTO:
        for warning in check_engine(network, program, with_map=settings.map, force=force):
            say(f"warning: {warning}")
    _check_room(run.path, network, settings, program, force=force)
    if dry_run:
        return Outcome([f"Would go on with {shown(run.path)}"], {"dry_run": True})
    if (asked := supervise(recorded_settings)) != recorded_settings:
        keep_settings(run, asked)
    return begin_run(run, settings, network, program, way)


def _wants_map(asked: bool | None, engine: Engine) -> bool:
    if can_map(engine.flavor):
        return asked is not False
    if asked:
        raise UsageError(
            f"{engine.flavor} darknet cannot compute mAP while it trains",
            code="engine-without-map",
            hint="Leave --map out, or take another engine: --engine torch",
        )
    return False


def _parse_gpus(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(",")) if text else ()
    except ValueError:
        raise UsageError(
            f"--gpus takes numbers with commas between, not {text!r}",
            code="usage",
            hint="dkit train DATA CFG --gpus 0,1",
        ) from None


command = train
