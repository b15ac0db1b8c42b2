"""All checks of a machine, asked side by side, each within its time."""

import itertools
from dataclasses import dataclass

from darknet_kit.core.pending import Pending
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.doctor.check import Check, unanswered
from darknet_kit.doctor.darknet import choose_engine
from darknet_kit.doctor.probes import Probe, Wish, list_deep_probes, list_probes
from darknet_kit.doctor.rows import Group
from darknet_kit.engine.find import Engine
from darknet_kit.errors import DkitError

_ENGINE = 150.0  # seconds: every darknet is started, and PyTorch


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found, by group; `engine` is what a training would take, None where none was
    asked for."""

    checks: tuple[Check, ...]
    engine: Engine | None = None


def examine(wish: Wish, progress: Progress = no_progress) -> Examination:
    """Look at all that a training needs. What hangs is given up on; nothing is raised for it."""
    here = wish.machine.is_here
    engine = Pending(choose_engine, _ENGINE) if here else None
    deep = list_deep_probes(wish) if here and wish.deep else []
    asked = [_Asked(probe) for probe in list_probes(wish, engine)]
    total = len(asked) + len(deep)
    checks: list[Check] = []
    for done, one in enumerate(itertools.chain(asked, map(_Asked, deep))):
        progress(done, total)
        checks += one.gather()
    order = list(Group)
    checks.sort(key=lambda check: order.index(check.group))
    chosen = engine.result_or(None) if engine else None
    return Examination(tuple(checks), chosen if isinstance(chosen, Engine) else None)


class _Asked:
    """A probe that is being asked."""

    def __init__(self, probe: Probe) -> None:
        self._group = probe.group
        self._pending = Pending(probe.ask, probe.limit)

    def gather(self) -> list[Check]:
        """Return what came of it."""
        try:
            return self._pending.result()
        except TimeoutError as error:
            return [unanswered("no-answer", self._group, str(error))]
        except (OSError, ValueError, ImportError, DkitError) as error:
            return [unanswered("cannot-tell", self._group, f"{type(error).__name__}: {error}")]
