"""The report of a training: all that is known of it on one page that needs nothing else."""

import json
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from markupsafe import Markup

from darknet_kit import __version__
from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import Cfg, format_cfg
from darknet_kit.formats.logevent import ClassResult
from darknet_kit.formats.telemetry import Telemetry
from darknet_kit.formats.trainlog import Log
from darknet_kit.network.check import check_cfg
from darknet_kit.report.apchart import best_with_classes, has_classes, plot_class_results
from darknet_kit.report.charts import Look, known_results, plot_training, render_figure
from darknet_kit.report.comparison import NETWORK, RESULT, SETUP, compare_trainings
from darknet_kit.report.page import inline_svg, render_page
from darknet_kit.report.partschart import has_parts, plot_parts
from darknet_kit.report.samples import Sample
from darknet_kit.report.telemetrychart import has_telemetry, plot_telemetry
from darknet_kit.report.verdict import advise, conclude
from darknet_kit.train.runs.detail import RunDetail
from darknet_kit.train.runs.history import History

_MOST_EVENTS = 300
_DULL = frozenset(("weights-saved", "weights-kept", "weights-pruned", "resized", "map"))


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the story of a run."""

    time: str
    what: str
    facts: str


@dataclass(frozen=True, slots=True)
class Check:
    """A doubt or mistake about a training; `kind` is error or warning."""

    kind: str
    code: str
    message: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class ReportParts:
    """What a report is made of besides the training itself; `bottleneck` is a sentence.

    `no_samples` says why there are no pictures.
    """

    detail: RunDetail | None
    telemetry: Telemetry
    samples: Sequence[Sample] = ()
    no_samples: str = ""
    bottleneck: str = ""


def format_run_report(history: History, parts: ReportParts) -> str:
    """Return the page of a training."""
    rows = compare_trainings([history])
    facts = {row.name: row.values[0] for row in rows if row.group in (SETUP, NETWORK, RESULT)}
    detail = parts.detail
    return render_page(
        "run.html",
        title=history.name,
        conclusion=conclude(history),
        advice=[*advise(history.log), *([parts.bottleneck] if parts.bottleneck else [])],
        facts={name: value for name, value in facts.items() if value != "-"},
        charts=list(_draw_charts(history, parts.telemetry)),
        classes=_list_classes(history.log),
        samples=parts.samples,
        no_samples=parts.no_samples,
        checks=list(_list_checks(history)),
        attempts=_list_attempts(detail),
        events=_list_events(detail),
        weights=detail.weights if detail else (),
        commands=_list_commands(history, detail),
        settings=_list_settings(detail),
        cfg=format_cfg(history.cfg) if history.cfg else "",
        made=f"dkit {__version__}, {time.strftime('%Y-%m-%d %H:%M')}",
    )


def _draw_charts(history: History, telemetry: Telemetry) -> Iterable[tuple[str, Markup]]:
    look = Look(title=history.name)
    yield "training", _draw(plot_training(history.log, look))
    if has_classes(history.log):
        yield "classes", _draw(plot_class_results(history.log, replace(look, title="classes")))
    if has_parts(history.log):
        yield "the loss in parts", _draw(plot_parts(history.log, look))
    if has_telemetry(telemetry):
        yield "the machine", _draw(plot_telemetry(telemetry, look))


def _draw(figure: Any) -> Markup:
    return inline_svg(render_figure(figure, "svg"))


def _list_classes(log: Log) -> Sequence[ClassResult]:
    best = best_with_classes(known_results(log))
    return best.classes if best is not None else ()


def _list_checks(history: History) -> Iterable[Check]:
    """Yield what is wrong or doubtful about the network, and what the engine complained of."""
    for problem in _check_cfg(history.cfg):
        kind = "error" if problem.is_error else "warning"
        where = f"line {problem.line}: " if problem.line else ""
        yield Check(kind, problem.code, where + problem.message, problem.cure)
    for error in history.log.errors:
        yield Check("error", error.code, error.message)
    for warning in history.log.warnings:
        told = f"{warning.count:,} times, first: {warning.example}"
        yield Check("warning", warning.code, told)


def _check_cfg(cfg: Cfg | None) -> Sequence[Any]:
    try:
        return check_cfg(cfg) if cfg is not None else ()
    except CfgError as error:
        return (Check("error", error.code, error.message, error.hint or ""),)


def _list_attempts(detail: RunDetail | None) -> Sequence[Mapping[str, str]]:
    if detail is None:
        return ()
    return [
        {
            "number": attempt.number,
            "how": attempt.state or "no word of its end",
            "why": f"{attempt.message} [{attempt.code}]" if attempt.code else "",
            "iteration": f"{attempt.iteration:,}",
        }
        for attempt in detail.summary.attempts
    ]


def _list_events(detail: RunDetail | None) -> list[Event]:
    """Return what happened, without what happens all the time."""
    told = detail.events if detail else ()
    return [
        Event(_format_time(one.get("time")), _plain(one.get("event")), _format_facts(one))
        for one in told
        if one.get("event") not in _DULL
    ][-_MOST_EVENTS:]


def _plain(code: object) -> str:
    return str(code or "").replace("-", " ")


def _format_facts(event: Mapping[str, Any]) -> str:
    facts = {key: value for key, value in event.items() if key not in ("time", "event")}
    return ", ".join(f"{_plain(key)} {value}" for key, value in facts.items() if value != "")


def _format_time(value: object) -> str:
    try:
        return datetime.fromisoformat(str(value)).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return ""


def _list_settings(detail: RunDetail | None) -> Mapping[str, Mapping[str, str]]:
    record = asdict(detail.record) if detail and detail.record.settings else {}
    tables = {group: table for group, table in record.items() if isinstance(table, dict)}
    return {
        group: {key: _as_text(value) for key, value in table.items()}
        for group, table in tables.items()
    }


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _list_commands(history: History, detail: RunDetail | None) -> list[str]:
    """Return what to type to do this training again, and to go on with it."""
    settings = detail.record.settings if detail else None
    if settings is None:
        return [f"dkit plot-log {shlex.quote(str(history.path))}"]
    start = [name for name in (settings.data, settings.cfg, settings.weights) if name]
    options = [] if settings.map else ["--no-map"]
    if settings.gpus:
        options += ["--gpus", ",".join(map(str, settings.gpus))]
    if detail and detail.record.engine.path:
        options += ["--engine", detail.record.engine.path]
    run = shlex.quote(str(history.path))
    return [
        shlex.join(["dkit", "train", *start, *options]),
        f"dkit train --resume {run}",
        f"dkit detect {run} IMAGES --out found",
    ]
