"""How fast a training goes, and when an engine that shall end is ended: by hand."""

import pytest

from darknet_kit.formats.logevent import Iteration, WeightsSaved
from darknet_kit.train.runs.status import Stopping
from darknet_kit.train.supervision.farewell import Farewell
from darknet_kit.train.supervision.pace import Pace
from darknet_kit.train.weights.keeping import WeightsKept


def test_the_pace_of_a_resumed_run_counts_from_where_it_went_on() -> None:
    pace = Pace()
    assert pace.seconds_until(2000, now=0) is None
    pace.note(1001, 64_064, now=100)
    assert pace.images_per_second(now=100) is None
    pace.note(1011, 64_704, now=120)
    assert pace.seconds_per_iteration(now=120) == 2  # 10 iterations in 20 s
    assert pace.images_per_second(now=120) == 32  # 640 images in 20 s
    assert pace.seconds_until(1111, now=120) == 200


def test_silence_makes_the_pace_slower() -> None:
    pace = Pace()
    pace.note(1, 64, now=0)
    pace.note(11, 704, now=10)
    assert pace.seconds_per_iteration(now=40) == 4


def test_only_the_last_quarter_of_an_hour_counts() -> None:
    pace = Pace()
    for iteration in range(1, 101):
        pace.note(iteration, iteration, now=100.0 * iteration)
    for iteration in range(101, 1101):
        pace.note(iteration, iteration, now=10_000.0 + iteration - 100)
    assert pace.seconds_per_iteration(now=11_000) == pytest.approx(1)


def test_an_attempt_that_begins_further_back_begins_anew() -> None:
    pace = Pace()
    pace.note(500, 500, now=0)
    pace.note(600, 600, now=1000)
    pace.note(501, 501, now=1100)
    assert pace.seconds_per_iteration(now=1100) is None
    pace.note(511, 511, now=1110)
    assert pace.seconds_per_iteration(now=1110) == 1


def iteration(number: int) -> Iteration:
    return Iteration(number, 1, 1, 0.001, 0.5, number * 64)


def under_way(number: int, *, saves_itself: bool = False) -> Farewell:
    farewell = Farewell(1000, saves_itself=saves_itself)
    farewell.begin(100)
    farewell.note(iteration(number))
    return farewell


def test_darknet_is_let_come_to_its_next_checkpoint() -> None:
    farewell = under_way(250)
    assert not farewell.ask()
    assert farewell.announce() == Stopping(300, None)
    assert farewell.announce() is None
    assert not farewell.note(iteration(300))
    assert not farewell.note(WeightsSaved(300, "backup/project_last.weights"))
    assert farewell.note(WeightsKept("project_last.weights"))


def test_a_second_wish_is_carried_out_at_once() -> None:
    farewell = under_way(250)
    assert [farewell.ask(), farewell.ask()] == [False, True]
    assert under_way(250).ask(now=True)
    assert under_way(250, saves_itself=True).ask()


def test_nobody_waits_where_nothing_would_be_lost() -> None:
    farewell = under_way(100)  # no iteration since the start
    assert farewell.ask()
    farewell = under_way(300)
    farewell.note(WeightsSaved(300, "backup/project_last.weights"))
    assert not farewell.note(WeightsKept("project_last.weights"))  # nobody asked
    assert farewell.ask()


def test_the_last_checkpoint_is_that_of_the_end() -> None:
    farewell = Farewell(950, saves_itself=False)
    farewell.note(iteration(920))
    farewell.ask()
    stopping = farewell.announce()
    assert stopping is not None
    assert stopping.iteration == 950
