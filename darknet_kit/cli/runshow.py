"""`dkit runs show`: one run with its settings, attempts, weights, events, and what to do next."""

from dataclasses import asdict
from typing import Any

from darknet_kit.cli.outcome import Outcome
from darknet_kit.cli.paths import shown
from darknet_kit.core.wording import format_duration
from darknet_kit.report.runtable import (
    format_attempts,
    format_best,
    format_event,
    format_loss,
    format_progress,
    format_time,
    format_weights,
)
from darknet_kit.train.runs.detail import RunDetail, describe_run
from darknet_kit.train.runs.folder import find_run
from darknet_kit.train.runs.listing import RunSummary
from darknet_kit.train.runs.record import EngineRecord
from darknet_kit.train.runs.state import State


def show_run(name: str) -> Outcome:
    """Tell all of one run. Raises UsageError (`no-run`)."""
    detail = describe_run(find_run(name))
    run = detail.summary
    sections = {
        "attempts": format_attempts(run.attempts, is_running=run.state is State.RUNNING),
        "weights": format_weights(detail.weights),
        "last events": [format_event(event) for event in detail.events],
    }
    return Outcome(
        summary=[
            f"{shown(run.path)}: {run.state}{f' ({run.reason})' if run.reason else ''}",
            *(f"  warning: {sentence}" for sentence in run.damage),
            *_facts(detail),
            *(line for title, lines in sections.items() if lines for line in (f"{title}:", *lines)),
        ],
        data={"run": list_detail(detail)},
        next_command=_next_command(run),
    )


def list_facts(run: RunSummary) -> dict[str, Any]:
    """Return a run's line of the table as JSON can hold it."""
    return {"name": run.name, **asdict(run), "path": str(run.path)}


def list_detail(detail: RunDetail) -> dict[str, Any]:
    """Return all of a run as JSON can hold it."""
    weights = [{**asdict(file), "path": str(file.path)} for file in detail.weights]
    return {
        **list_facts(detail.summary),
        "record": asdict(detail.record),
        "weights": weights,
        "events": list(detail.events),
    }


def _facts(detail: RunDetail) -> list[str]:
    run, settings = detail.summary, detail.record.settings
    facts = {
        "iteration": format_progress(run),
        "avg loss": format_loss(run.avg_loss),
        "best mAP": format_best(run),
        "time": f"{format_duration(run.seconds)}, last {format_time(run.written)}",
        "engine": _describe_engine(detail.record.engine, run.engine),
    }
    for key, value in asdict(settings).items() if settings else ():
        if value not in ("", (), False):
            facts[key.replace("_", " ")] = _tell_setting(value)
    width = max(map(len, facts))
    return [f"  {key:<{width}}  {value}" for key, value in facts.items()]


def _tell_setting(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "on" if value is True else str(value)


def _describe_engine(engine: EngineRecord, name: str) -> str:
    words = (name, engine.commit[:8], engine.features, engine.path)
    return ", ".join(word for word in words if word and word != "torch") or "-"


def _next_command(run: RunSummary) -> str:
    if run.state is State.RUNNING:
        return f"dkit watch {shown(run.path)}"
    if run.orphan:
        return f"dkit runs stop {shown(run.path)}"
    if run.state is State.FINISHED:
        return f"dkit detect {shown(run.path)} IMAGES --out found"
    return f"dkit train --resume {shown(run.path)}"
