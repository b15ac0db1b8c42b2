"""The moving average of the weights: when it starts, what it is, when the network takes it."""

import pytest

torch = pytest.importorskip("torch")

from darknet_kit.engine.torch.network import Network  # noqa: E402
from darknet_kit.engine.torch.training.ema import MovingAverage, plan_average  # noqa: E402
from darknet_kit.errors import CfgError, WeightsError  # noqa: E402
from darknet_kit.formats.cfg import Cfg, parse_cfg  # noqa: E402


def _cfg(keys: str, filters: int = 2) -> Cfg:
    return parse_cfg(
        f"[net]\nwidth=8\nheight=8\nchannels=1\n{keys}\n"
        f"[convolutional]\nfilters={filters}\nbatch_normalize=1\nactivation=linear\n",
        "net.cfg",
    )


def _average(cfg: Cfg) -> tuple[Network, MovingAverage]:
    network, plan = Network(cfg), plan_average(cfg)
    assert plan is not None
    return network, MovingAverage(network, plan)


def _run(network: Network, average: MovingAverage, iterations: range) -> list[str]:
    """Give every parameter the number of the iteration, and let the average follow."""
    said = []
    for iteration in iterations:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(float(iteration))
        said.append(average.follow(iteration - 1, iteration))
    return said


def _values(network: Network) -> set[float]:
    return {round(value, 3) for one in network.parameters() for value in one.flatten().tolist()}


def test_it_starts_at_half_and_is_taken_over_1000_iterations_before_the_end() -> None:
    network, average = _average(_cfg("max_batches=2006\nema_alpha=.75"))
    update = " ema_update(), ema_alpha = 0.750000 \n"
    assert _run(network, average, range(1001, 1003)) == ["", ""]
    assert not average
    assert _run(network, average, range(1003, 1006)) == [
        " EMA initialization \n" + update,
        update,
        update,
    ]
    # e = w at first, then .75 e + .25 w: 1003, 1003.25, 1003.6875.
    with average.lent():
        assert _values(network) == {1003.688}
    assert _values(network) == {1005.0}
    assert _run(network, average, range(1006, 1007)) == [" ema_apply() \n"]
    assert _values(network) == {1003.688}
    # From here on the average rests.
    assert _run(network, average, range(1007, 1009)) == ["", ""]
    with average.lent():
        assert _values(network) == {1003.688}


def test_updates_that_count_several_iterations_do_not_miss_the_moment() -> None:
    network, average = _average(_cfg("max_batches=2006\nema_alpha=.5"))
    _run(network, average, range(1003, 1005))
    assert average.follow(1004, 1008) == " ema_apply() \n"
    assert _values(network) == {1003.5}


def test_own_average_runs_from_the_first_update_and_leaves_the_network_alone() -> None:
    network, average = _average(_cfg("max_batches=4\ndkit_ema=.5"))
    _run(network, average, range(1, 5))
    assert _values(network) == {4.0}
    with average.lent():
        assert _values(network) == {3.125}  # 1, 1.5, 2.25, 3.125


def test_none_is_asked_for_by_default() -> None:
    assert plan_average(_cfg("max_batches=4000")) is None


def test_a_share_that_is_none_is_an_error_at_its_line() -> None:
    with pytest.raises(CfgError) as caught:
        plan_average(_cfg("max_batches=4000\nema_alpha=1"))
    assert (caught.value.code, caught.value.line) == ("bad-value", 6)


def test_the_average_of_another_network_is_refused() -> None:
    network, average = _average(_cfg("dkit_ema=.5"))
    other = _average(_cfg("dkit_ema=.5", filters=3))
    _run(*other, range(1, 3))
    with pytest.raises(WeightsError, match="another network"):
        average.restore(other[1].state())
    assert not average
    _run(network, average, range(1, 3))
    again = _average(_cfg("dkit_ema=.5"))
    again[1].restore(average.state())
    with again[1].lent():
        assert _values(again[0]) == {1.5}
