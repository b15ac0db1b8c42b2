"""What follows on a failed attempt."""

import pytest

from darknet_kit.formats.cfg import Cfg, parse_cfg
from darknet_kit.network.schedule import effective_batch
from darknet_kit.train.supervision.change import NO_CHANGE, Change, apply_change, find_subdivisions
from darknet_kit.train.supervision.policy import HOPELESS, Limits, Past, count_failures, decide


def network(batch: int = 64, subdivisions: int = 16, rate: str = "0.001") -> Cfg:
    text = f"[net]\nbatch={batch}\nsubdivisions={subdivisions}\nlearning_rate={rate}\n"
    return parse_cfg(text + "max_batches=4000\n")


def failed(code: str, began: int = 0, saved: int = 0, *, sound: int | None = None) -> Past:
    return Past(code, began, saved, reported=True, sound_until=sound)


def test_out_of_memory_divides_the_batch_until_a_mini_batch_is_one_image() -> None:
    change, cfg, past, taken = NO_CHANGE, network(), [], []
    while True:
        past.append(failed("out-of-memory"))
        decision = decide(past, change, cfg, Limits(retries=1))
        if not decision.again:
            break
        change = decision.change
        taken.append(change.subdivisions)
    assert taken == [32, 64]
    assert "one image" in decision.words


@pytest.mark.parametrize(
    ("batch", "subdivisions", "following"),
    [(64, 1, 2), (64, 16, 32), (64, 64, None), (24, 8, 24), (24, 12, 24), (7, 4, None), (6, 2, 6)],
)
def test_subdivisions_divide_the_batch(
    batch: int, subdivisions: int, following: int | None
) -> None:
    cfg = network(batch, subdivisions)
    more = find_subdivisions(cfg, subdivisions)
    assert more == following
    if more is not None:
        # An iteration stays what it was: the engine computes it as images seen / batch.
        assert effective_batch(apply_change(cfg, Change(subdivisions=more))) == effective_batch(cfg)


def test_a_batch_that_its_subdivisions_do_not_divide_stays_what_the_engine_made_of_it() -> None:
    # 10 / 4 is a mini-batch of 2, so AlexeyAB's engine trains with 8 and counts with 8.
    cfg = apply_change(network(10, 4), Change(subdivisions=8))
    assert (cfg.net.integer("batch"), cfg.net.integer("subdivisions")) == (8, 8)


def test_a_lost_loss_halves_the_rate_three_times() -> None:
    change, past, rates = NO_CHANGE, [], []
    for number in range(4):
        past.append(failed("diverged", 100 * number, 100 * number + 100, sound=100 * number + 150))
        decision = decide(past, change, network(), Limits())
        change = decision.change
        rates.append(apply_change(network(), change).net.number("learning_rate"))
    assert rates[:3] == [0.0005, 0.00025, 0.000125]
    assert not decision.again


def test_a_lost_loss_goes_back_to_weights_from_before() -> None:
    first = failed("diverged", 0, 300, sound=260)
    assert decide([first], NO_CHANGE, network(), Limits()).back_to == 260
    # Lost again from 200, without anything new: those of 200 may be the reason.
    again = failed("diverged", 200, 200, sound=240)
    assert decide([first, again], NO_CHANGE, network(), Limits()).back_to == 199


def test_stop_means_stop() -> None:
    limits = Limits(lower_rate=False)
    assert not decide([failed("diverged", 0, 300, sound=260)], NO_CHANGE, network(), limits).again
    assert not decide([failed("crashed")], NO_CHANGE, network(), Limits(retries=0)).again


@pytest.mark.parametrize("code", sorted(HOPELESS))
def test_what_no_repetition_cures_ends_at_once(code: str) -> None:
    decision = decide([failed(code, 100, 200)], NO_CHANGE, network(), Limits())
    assert not decision.again


@pytest.mark.parametrize("code", ["crashed", "killed", "stalled", "cuda-error", "engine-ended"])
def test_retries_are_counted_since_the_last_progress(code: str) -> None:
    night = [failed(code, 100 * n, 100 * n + 100) for n in range(50)]
    assert decide(night, NO_CHANGE, network(), Limits(retries=1)).again
    stuck = [failed(code, 0, 100), *[failed(code, 100, 100)] * 2]
    assert count_failures(stuck) == 3
    assert decide(stuck, NO_CHANGE, network(), Limits(retries=3)).again
    assert not decide(stuck, NO_CHANGE, network(), Limits(retries=2)).again


def test_going_over_the_same_ground_is_no_progress() -> None:
    past = [failed("diverged", 0, 1000), failed("crashed", 500, 600), failed("crashed", 600, 700)]
    assert count_failures(past) == 3


def test_waits_grow_to_a_minute() -> None:
    waits = []
    for count in range(1, 7):
        past = [failed("cuda-error", 100, 100)] * count
        waits.append(decide(past, NO_CHANGE, network(), Limits(retries=9)).wait)
    assert waits == [1, 4, 16, 60, 60, 60]


def test_what_fails_twice_alike_before_its_first_iteration_is_left() -> None:
    start = Past("engine-ended", 0, 0, reported=False)
    assert decide([start], NO_CHANGE, network(), Limits()).again
    assert not decide([start, start], NO_CHANGE, network(), Limits()).again
    assert decide(
        [Past("killed", 0, 0, reported=False), start], NO_CHANGE, network(), Limits()
    ).again


def test_without_map_where_cudnn_refuses_it() -> None:
    decision = decide([failed("cudnn-refused", 0, 900)], NO_CHANGE, network(), Limits())
    assert (decision.again, decision.change) == (True, Change(map=False))
