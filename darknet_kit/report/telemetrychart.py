"""The chart of the machine during a training: how busy, how full, how warm."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from darknet_kit.formats.telemetry import Telemetry
from darknet_kit.report.canvas import Numbers, choose_unit
from darknet_kit.report.charts import Look, new_figure
from darknet_kit.report.theme import Theme

_INCHES = (11.0, 5.6)
_BINS = 900
_MIB_PER_GIB = 1024.0


@dataclass(frozen=True, slots=True)
class _Curve:
    label: str
    values: Sequence[float] | Numbers


def has_telemetry(telemetry: Telemetry) -> bool:
    """Tell whether there is anything to draw."""
    return len(telemetry) > 1


def plot_telemetry(telemetry: Telemetry, look: Look) -> Figure:
    """Return four panels over the time since the start: use, memory, rates, temperature."""
    days = (np.asarray(telemetry.seconds) - telemetry.seconds[0]) / 86400
    unit, per_day = choose_unit(float(days[-1]))
    panels = {
        "in use, %": _uses(telemetry),
        "memory, GiB": _memories(telemetry),
        "disk and network, MiB/s": _rates(telemetry),
        "temperature, °C": _temperatures(telemetry),
    }
    with look.theme.applied():
        figure = new_figure(_INCHES)
        grid = figure.subplots(2, 2, sharex=True).flatten()
        for axes, (title, curves) in zip(grid, panels.items(), strict=True):
            _plot(axes, days * per_day, curves, look.theme)
            axes.set_title(title, loc="left", fontsize=10, color=look.theme.soft)
        for axes in grid[:2]:
            axes.set_ylim(bottom=0)
        grid[0].set_ylim(0, 105)
        for axes in grid[2:]:
            axes.set_xlabel(unit)
    return figure


def _uses(telemetry: Telemetry) -> list[_Curve]:
    return [
        *(
            _Curve(f"GPU {index}", telemetry.of_gpu(index, "use_percent"))
            for index in range(telemetry.gpus)
        ),
        _Curve("all cores", telemetry.column("cpu_percent")),
        _Curve("waiting for the disk", telemetry.column("cpu_iowait_percent")),
    ]


def _memories(telemetry: Telemetry) -> list[_Curve]:
    curves = [
        _Curve(f"GPU {index}", telemetry.of_gpu(index, "memory_used_mib"))
        for index in range(telemetry.gpus)
    ]
    curves.append(_Curve("machine", telemetry.column("memory_used_mib")))
    curves.append(_Curve("engine", telemetry.column("engine_rss_mib")))
    return [_Curve(one.label, np.asarray(one.values) / _MIB_PER_GIB) for one in curves]


def _rates(telemetry: Telemetry) -> list[_Curve]:
    return [
        _Curve("engine reads", telemetry.column("engine_read_mib_s")),
        _Curve("disk of the data", telemetry.column("data_read_mib_s")),
        _Curve("network in", telemetry.column("net_in_mib_s")),
    ]


def _temperatures(telemetry: Telemetry) -> list[_Curve]:
    return [
        *(_Curve(f"GPU {index}", telemetry.of_gpu(index, "c")) for index in range(telemetry.gpus)),
        _Curve("CPU", telemetry.column("cpu_c")),
    ]


def _plot(axes: Axes, times: Numbers, curves: Sequence[_Curve], theme: Theme) -> None:
    drawn = 0
    for number, curve in enumerate(curves):
        values = np.asarray(curve.values, dtype=float)
        if not np.isfinite(values).any():
            continue
        places, reduced = _reduce(times, values)
        axes.plot(places, reduced, color=theme.series[number], lw=1.2, label=curve.label)
        drawn += 1
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=theme.grid, linewidth=0.6)
    if drawn:
        axes.legend(frameon=False, fontsize=8.5, loc="best")
    else:
        axes.text(
            0.5, 0.5, "not readable here", ha="center", transform=axes.transAxes, color=theme.quiet
        )
        axes.set_yticks([])


def _reduce(times: Numbers, values: Numbers) -> tuple[Numbers, Numbers]:
    """Return means of stretches, where there are more samples than pixels."""
    if len(values) <= _BINS:
        return times, values
    stretch = np.arange(len(values)) * _BINS // len(values)
    means = pd.DataFrame({"time": times, "value": values}).groupby(stretch).mean()
    return means["time"].to_numpy(), means["value"].to_numpy()
