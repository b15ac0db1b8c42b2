"""What follows on a failed attempt: a pure function of what happened before.

| what failed | what follows |
|---|---|
| out of memory on the GPU | on from the newest good weights, subdivisions doubled, up to batch |
| a loss that is lost | back to weights from before, at half the rate, three times at most |
| cuDNN refuses a layer for mAP | on, without mAP |
| what no repetition cures (labels, cfg, a missing file, a full disk, a lost GPU) | the end |
| all else | on from the newest good weights |

Retries are counted since the last progress, which is good weights of an iteration that no attempt
had reached: a night with a crash every hour goes on, a crash at one place does not. What fails
twice alike before its first iteration is not tried a third time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from darknet_kit.formats.cfg import Cfg
from darknet_kit.train.supervision.change import Change, find_subdivisions

HOPELESS = frozenset(
    {
        *("missing-label", "bad-label", "missing-file", "unreadable-image", "wrong-cfg"),
        *("wrong-weights", "disk-full", "cannot-write", "gpu-lost", "no-gpu"),
        *("old-driver", "wrong-gpu-code"),
        *("missing-library", "illegal-instruction", "engine-gone", "shared-memory-full"),
        *("engine-refused", "engine-does-not-end"),
    }
)
"""Codes of causes that another attempt would meet again."""
DIVERGED = "diverged"
_RATE_FACTOR, _LEAST_RATE = 0.5, 0.125
_FIRST_WAIT, _WAIT_FACTOR, _LONGEST_WAIT = 1.0, 4.0, 60.0


@dataclass(frozen=True, slots=True)
class Past:
    """One failed attempt. `began` and `saved` are iterations of good weights, at its start and end;
    `reported` tells whether it finished an iteration, `sound_until` the last with a sane loss."""

    code: str
    began: int
    saved: int
    reported: bool
    sound_until: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What the run was asked: `retries` without progress, and whether a lost loss may lower the
    rate."""

    retries: int = 3
    lower_rate: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """`again` or not, under `change`, after `wait` seconds, from no weights beyond `back_to` (None:
    the newest); `words` are for people, empty where there is nothing to say."""

    again: bool
    change: Change
    words: str = ""
    back_to: int | None = None
    wait: float = 0.0


def decide(past: Sequence[Past], change: Change, cfg: Cfg, limits: Limits) -> Decision:
    """Return what follows on the last of these attempts, which ran under `change` of `cfg`."""
    last = past[-1]
    failures = count_failures(past)
    if last.code in HOPELESS or not limits.retries:
        return Decision(False, change)
    if last.code == "out-of-memory":  # ends by itself: a batch is divided a few times at most
        return _divide(change, cfg)
    if failures > limits.retries:
        return Decision(False, change, f"it failed {failures} times without progress")
    if last.code == DIVERGED:
        return _retreat(past, change, limits)
    if last.code == "cudnn-refused" and change.map:
        return Decision(True, replace(change, map=False), "without mAP")
    if [one.code for one in past[-2:] if not one.reported] == [last.code] * 2:
        return Decision(False, change, "it failed twice before its first iteration")
    wait = min(_FIRST_WAIT * _WAIT_FACTOR ** (failures - 1), _LONGEST_WAIT)
    return Decision(True, change, wait=wait)


def count_failures(past: Sequence[Past]) -> int:
    """Return how many of the last attempts brought no progress, at least one."""
    furthest, count = -1, 0
    for one in past:
        progress = one.saved > max(furthest, one.began)
        furthest = max(furthest, one.saved, one.began)
        count = 1 if progress else count + 1
    return count


def _divide(change: Change, cfg: Cfg) -> Decision:
    now = change.subdivisions or max(1, cfg.net.integer("subdivisions", 1))
    more = find_subdivisions(cfg, now)
    if more is None:
        return Decision(False, change, "a mini-batch is one image already")
    return Decision(True, replace(change, subdivisions=more), f"subdivisions {now} → {more}")


def _retreat(past: Sequence[Past], change: Change, limits: Limits) -> Decision:
    if not limits.lower_rate:
        return Decision(False, change)
    if change.rate <= _LEAST_RATE:
        return Decision(False, change, f"at {change.rate:g} of the rate it is lost as well")
    last = past[-1]
    back_to = last.sound_until if last.sound_until is not None else last.began
    if last.saved <= last.began and len(past) > 1 and past[-2].code == DIVERGED:
        back_to = min(back_to, last.began - 1)  # lost twice from there: older ones may be sound
    rate = change.rate * _RATE_FACTOR
    return Decision(True, replace(change, rate=rate), f"rate × {rate:g}", back_to)
