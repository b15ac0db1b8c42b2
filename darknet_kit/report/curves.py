"""What a chart shows of a log: curves with no more points than pixels, and where things changed."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from darknet_kit.formats.trainlog import Metrics

_FEWEST_RISES = 5  # fewer are steps of a schedule, not a burn-in
_SMALLEST_JUMP = 0.2  # as a share of the higher rate; cosine and poly change by less
_STALL_SECONDS, _STALL_MEDIANS = 60.0, 20.0  # what one iteration must take to have stood still
_MOST_STALLS = 20
_ROUNDING = 1.5e-6  # the engines print the learning rate with 6 decimals


@dataclass(frozen=True, slots=True)
class RateStep:
    """An iteration at which the learning rate jumped, and its value from there on."""

    iteration: int
    learning_rate: float


def tabulate_metrics(metrics: Metrics) -> pd.DataFrame:
    """Return the iteration lines as a table with the columns of metrics.csv, without copying."""
    names = ("iteration", "loss", "avg_loss", "learning_rate", "seconds", "images", "hours_left")
    return pd.DataFrame({name: np.asarray(getattr(metrics, name)) for name in names}, copy=False)


def reduce_curve(table: pd.DataFrame, column: str, bins: int) -> pd.DataFrame:
    """Return the lowest and the highest row of each of `bins` stretches: no spike is lost.

    Rows that are nan or inf are left out. The result has the columns iteration and `column`.
    """
    finite = _keep_finite(table, column)
    if len(finite) <= 2 * bins:
        return finite
    stretches = finite.groupby(_stretch(finite, bins))[column]
    rows = np.unique(np.concatenate([stretches.idxmin(), stretches.idxmax()]))
    reduced: pd.DataFrame = finite.loc[rows]
    return reduced


def envelop_curve(table: pd.DataFrame, column: str, bins: int) -> pd.DataFrame:
    """Return iteration, low, middle, high of `column` for each of `bins` stretches.

    The middle is the median. Rows that are nan or inf are left out.
    """
    finite = _keep_finite(table, column)
    if finite.empty:
        return pd.DataFrame(columns=["iteration", "low", "middle", "high"], dtype=float)
    stretches = finite.groupby(_stretch(finite, bins))
    band: pd.DataFrame = stretches.agg(
        iteration=("iteration", "mean"),
        low=(column, "min"),
        middle=(column, "median"),
        high=(column, "max"),
    )
    return band


def _keep_finite(table: pd.DataFrame, column: str) -> pd.DataFrame:
    finite: pd.DataFrame = table.loc[np.isfinite(table[column]), ["iteration", column]]
    return finite


def _stretch(table: pd.DataFrame, bins: int) -> "pd.Series[int]":
    """Return for each row which of `bins` equal stretches of the iterations it is in."""
    iterations: pd.Series[int] = table["iteration"]
    first, last = iterations.iloc[0], iterations.iloc[-1]
    return (iterations - first) * bins // (last - first + 1)


def find_burn_in(metrics: Metrics) -> int | None:
    """Return the iteration at which the learning rate had risen to its height, if it rose.

    Darknet raises it with a power of the iteration (`burn_in` of the cfg).
    """
    rates = np.asarray(metrics.learning_rate)
    changes = np.diff(rates)
    not_rising = np.flatnonzero(~(changes >= 0))
    rises = np.flatnonzero(changes[: not_rising[0] if len(not_rising) else None] > 0)
    if len(rises) < _FEWEST_RISES or rates[0] >= rates[rises[-1] + 1] / 2:
        return None
    return metrics.iteration[int(rises[-1]) + 1]


def find_rate_steps(metrics: Metrics) -> list[RateStep]:
    """Return where the learning rate jumped after the burn-in: the steps of the cfg, mostly."""
    rates = np.asarray(metrics.learning_rate)
    changes = np.abs(np.diff(rates))
    jumps = (changes > _ROUNDING) & (changes > _SMALLEST_JUMP * np.maximum(rates[:-1], rates[1:]))
    start = find_burn_in(metrics) or 0
    return [
        RateStep(metrics.iteration[index], float(rates[index]))
        for index in (np.flatnonzero(jumps) + 1).tolist()
        if metrics.iteration[index] > start
    ]


def find_stalls(metrics: Metrics) -> list[tuple[int, float]]:
    """Return the iterations that took over a minute and 20 times the median, and their seconds.

    The 20 longest where there are more, in their order.
    """
    seconds = np.asarray(metrics.seconds)
    known = seconds[np.isfinite(seconds)]
    if not len(known):
        return []
    limit = max(_STALL_SECONDS, _STALL_MEDIANS * float(np.median(known)))
    found = np.flatnonzero(np.nan_to_num(seconds, nan=0.0) > limit)
    longest = np.sort(found[np.argsort(-seconds[found])][:_MOST_STALLS])
    return [(metrics.iteration[index], float(seconds[index])) for index in longest.tolist()]


def average_curve(table: pd.DataFrame, window: int) -> "pd.Series[float]":
    """Return the mean loss of the last `window` lines up to each, without those that are nan."""
    losses: pd.Series[float] = table["loss"].where(np.isfinite(table["loss"]))
    means: pd.Series[float] = losses.rolling(window, min_periods=1).mean()
    return means
