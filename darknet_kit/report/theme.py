"""The colours of a chart, on white paper and on a dark screen."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of one kind of chart, each as #RRGGBB.

    `paper` is the background, `ink` the text, `soft` text of less weight, `grid` the lines behind
    the curves; `quiet` marks of the schedule, `alarm` what went wrong. `series` are for several
    trainings on one axis.
    """

    paper: str
    ink: str
    soft: str
    grid: str
    quiet: str
    loss: str
    map: str
    alarm: str
    series: tuple[str, ...]

    def applied(self) -> AbstractContextManager[None]:
        """Let Matplotlib draw its own parts in these colours inside a `with`."""
        ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
        paper = ("figure.facecolor", "axes.facecolor")
        settings: Any = dict.fromkeys(ink, self.ink) | dict.fromkeys(paper, self.paper)
        return matplotlib.rc_context(settings)


# Of Okabe and Ito's colours, which people tell apart whatever their colour vision; without
# colour the curves still differ in weight, dashes and markers.
LIGHT = Theme(
    paper="#FFFFFF",
    ink="#000000",
    soft="#333333",
    grid="#DDDDDD",
    quiet="#6E6E6E",
    loss="#0072B2",
    map="#D55E00",
    alarm="#A4003A",
    series=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"),
)
DARK = Theme(
    paper="#15181C",
    ink="#F2F2F2",
    soft="#C8CCD0",
    grid="#363B41",
    quiet="#9AA1A8",
    loss="#56B4E9",
    map="#F0A030",
    alarm="#FF6F91",
    series=("#56B4E9", "#F0A030", "#2CC295", "#E8A0CB", "#F0E442", "#7FA8FF", "#F2F2F2"),
)
THEMES = {"light": LIGHT, "dark": DARK}
