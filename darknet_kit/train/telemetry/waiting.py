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

    waited: float = 0.0
    computed: float = 0.0
    _told: float = field(default=math.nan, init=False)
    _begun: bool = field(default=False, init=False)

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
            if self._begun:
                self.waited += waited
                self.computed += event.seconds
            self._begun = True

    def take_share(self) -> float | None:
        """Return for which share of the time of its iterations the engine waited since the last
        call, 0 to 100; None where it told of none."""
        waited, total = self.waited, self.waited + self.computed
        self.waited = self.computed = 0.0
        return 100 * waited / total if total > 0 else None
