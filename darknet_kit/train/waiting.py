"""How long an engine waits for images, by what it prints of each iteration."""

import math
import re
from dataclasses import dataclass, field

from darknet_kit.formats.logevent import Iteration
from darknet_kit.formats.lognumber import NUMBER, parse_number, parse_seconds

_LOADED = re.compile(rb"\s*Loaded: %b seconds" % NUMBER)
_HANK_AI = re.compile(rb"\s*\d+: loss=.*, load \d+=([^,]*), train=")


@dataclass(slots=True)
class Waiting:
    """Seconds that an engine waited for images, and that it computed.

    All engines load the next images while they compute, so that they wait only for what takes
    longer than that; the first iteration, for which nothing was loaded ahead, does not count.
    """

    iterations: int = 0
    waited: float = 0.0
    computed: float = 0.0
    _told: float = field(default=math.nan, init=False)

    def note_line(self, line: bytes) -> None:
        """Take up how long images took, where a line says so."""
        found = _LOADED.match(line)
        if found:
            self._told = parse_number(found[1])
        elif b": loss=" in line[:24] and (found := _HANK_AI.match(line)):
            self._told = parse_seconds(found[1])

    def note(self, event: Iteration) -> None:
        """Take up an iteration, whose images were told of before, or in the same line."""
        waited, self._told = self._told, math.nan
        if math.isfinite(waited) and math.isfinite(event.seconds):
            self.iterations += 1
            if self.iterations > 1:
                self.waited += waited
                self.computed += event.seconds

    @property
    def share(self) -> float | None:
        """The share of the time for which the engine waited, 0 to 100; None where not told."""
        total = self.waited + self.computed
        return 100 * self.waited / total if total > 0 else None
