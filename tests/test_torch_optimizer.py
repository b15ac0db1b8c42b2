"""The update of the weights, against Darknet's rules written down number by number in float64."""

import math
from collections.abc import Sequence

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from darknet_kit.engine.torch.network import Network  # noqa: E402
from darknet_kit.engine.torch.training.learning import Learning, plan_learning  # noqa: E402
from darknet_kit.engine.torch.training.optimizer import DarknetOptimizer, build_optimizer  # noqa: E402
from darknet_kit.errors import CfgError, WeightsError  # noqa: E402
from darknet_kit.formats.cfg import Cfg, parse_cfg  # noqa: E402

IMAGES = 8
RATES = (0.01, 0.02, 0.5, 0.1, 0.003)
TWO_CONVOLUTIONS = """
[convolutional]
batch_normalize=1
filters=4
size=3
pad=1
activation=leaky
{first}

[convolutional]
filters=6
size=1
activation=linear
{second}
"""


def _cfg(net: str = "", first: str = "", second: str = "") -> Cfg:
    head = f"[net]\nwidth=8\nheight=8\nchannels=3\nmomentum=.8\ndecay=.02\n{net}\n"
    return parse_cfg(head + TWO_CONVOLUTIONS.format(first=first, second=second), "net.cfg")


def _train(network: Network, cfg: Cfg, sums: Sequence[dict[str, list[float]]]) -> None:
    """Update once with each of `sums`: in which direction Darknet's images move parameters."""
    optimizer = build_optimizer(network, cfg)
    for number, (rate, one) in enumerate(zip(RATES, sums, strict=False), start=1):
        for name, parameter in network.named_parameters():
            parameter.grad = None
            if name in one:
                parameter.grad = torch.tensor(one[name]).view_as(parameter) / -IMAGES
        optimizer.step(rate, images=IMAGES, batch_number=number)


def _draw(network: Network, seed: int = 3) -> list[dict[str, list[float]]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        {
            name: (torch.randn(parameter.numel(), generator=generator) * 2).tolist()
            for name, parameter in network.named_parameters()
        }
        for _ in RATES
    ]


def _numbers(network: Network) -> dict[str, list[float]]:
    return {name: one.detach().flatten().tolist() for name, one in network.named_parameters()}


def _sgd(weight: float, sums: Sequence[float], decay: float, *, scale: float = 1.0) -> float:
    """AlexeyAB's update_convolutional_layer_gpu, for one number."""
    update = 0.0
    for rate, total in zip(RATES, sums, strict=False):
        update += total
        update -= decay * IMAGES * weight
        weight += rate * scale / IMAGES * update
        update *= 0.8
    return weight


def _adam(weight: float, sums: Sequence[float], decay: float) -> float:
    """AlexeyAB's adam_update_gpu, for one number."""
    first = second = 0.0
    for number, (rate, total) in enumerate(zip(RATES, sums, strict=True), start=1):
        total -= decay * IMAGES * weight
        first = 0.9 * first + 0.1 * total
        second = 0.99 * second + 0.01 * total * total
        weight += (
            rate * (first / (1 - 0.9**number)) / (math.sqrt(second / (1 - 0.99**number)) + 0.5)
        )
    return weight


def _adamw(weight: float, sums: Sequence[float], decay: float) -> float:
    """Loshchilov and Hutter, Decoupled Weight Decay Regularization, algorithm 2."""
    first = second = 0.0
    for number, (rate, total) in enumerate(zip(RATES, sums, strict=True), start=1):
        gradient = -total / IMAGES
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient * gradient
        step = first / (1 - 0.9**number) / (math.sqrt(second / (1 - 0.99**number)) + 1e-8)
        weight -= rate * step + rate * decay * weight
    return weight


def _is_weight(name: str) -> bool:
    return name in ("layers.0.weight", "layers.1.weight")


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("net", "rule", "others_decay"),
    [
        ("", _sgd, 0.0),
        ("adam=1\nB2=.99\neps=.5", _adam, 0.02),
        ("dkit_optimizer=adamw\nB2=.99", _adamw, 0.0),
    ],
)
def test_five_updates(net: str, rule: object, others_decay: float, channels_last: bool) -> None:
    assert callable(rule)
    cfg = _cfg(net)
    network = Network(cfg)
    if channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    before, sums = _numbers(network), _draw(network)
    _train(network, cfg, sums)
    assert set(before) == {
        "layers.0.weight",
        "layers.0.norm.weight",
        "layers.0.norm.bias",
        "layers.1.weight",
        "layers.1.bias",
    }
    for name, numbers in _numbers(network).items():
        decay = 0.02 if _is_weight(name) else others_decay
        for position, number in enumerate(numbers):
            moves = [one[name][position] for one in sums]
            assert number == pytest.approx(
                rule(before[name][position], moves, decay), rel=1e-6, abs=1e-6
            )


def test_a_layer_has_its_own_rate_and_its_own_bounds() -> None:
    cfg = _cfg(first="learning_rate=.25", second="clip=.05")
    network = Network(cfg)
    before, sums = _numbers(network), _draw(network)
    _train(network, cfg, sums)
    after = _numbers(network)
    expected = [
        _sgd(weight, [one["layers.0.weight"][position] for one in sums], 0.02, scale=0.25)
        for position, weight in enumerate(before["layers.0.weight"])
    ]
    assert after["layers.0.weight"] == pytest.approx(expected, abs=1e-6)
    assert max(map(abs, after["layers.1.weight"])) == pytest.approx(0.05)
    assert max(map(abs, after["layers.1.bias"])) > 0.05


def test_centered_filters_keep_their_mean_where_darknet_centers() -> None:
    text = (
        "[net]\nwidth=8\nheight=8\nchannels=32\nmomentum=.8\ndecay=0\n"
        "[convolutional]\nbatch_normalize=1\nfilters=2\ngrad_centr=1\nactivation=linear\n"
        "[convolutional]\nbatch_normalize=1\nfilters=2\nsize=3\npad=1\ngrad_centr=1\n"
        "activation=linear\n"
    )
    cfg = parse_cfg(text)
    network = Network(cfg)
    before, sums = _numbers(network), _draw(network)
    _train(network, cfg, sums)
    after = _numbers(network)
    for start in (0, 32):
        mean_moves = [sum(one["layers.0.weight"][start : start + 32]) / 32 for one in sums]
        for position in range(start, start + 32):
            moves = [
                one["layers.0.weight"][position] - mean
                for one, mean in zip(sums, mean_moves, strict=True)
            ]
            number = _sgd(before["layers.0.weight"][position], moves, 0.0)
            assert after["layers.0.weight"][position] == pytest.approx(number, abs=2e-6)
    # Filters of 18 numbers are no multiple of a warp: upstream leaves them as they are.
    expected = [
        _sgd(weight, [one["layers.1.weight"][position] for one in sums], 0.0)
        for position, weight in enumerate(before["layers.1.weight"])
    ]
    assert after["layers.1.weight"] == pytest.approx(expected, abs=2e-6)


def test_shortcut_weights_move_by_bounded_updates_and_do_not_decay() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 1.0, 1.0]))
    learning = Learning("shortcut", (), (weight,))
    optimizer = DarknetOptimizer([learning], {weight: "weight"}, _cfg())
    sums = [(5.0, 0.5, -0.9), (-0.3, 0.4, -0.9), (-7.0, 0.1, -0.9)]
    expected = [1.0, 1.0, 1.0]
    updates = [0.0, 0.0, 0.0]
    for number, (rate, one) in enumerate(zip(RATES, sums, strict=False), start=1):
        weight.grad = torch.tensor(one) / -IMAGES
        optimizer.step(rate, images=IMAGES, batch_number=number)
        for position, total in enumerate(one):
            updates[position] = min(1.0, max(-1.0, updates[position] + total))
            expected[position] += rate / IMAGES * updates[position]
            updates[position] *= 0.8
    assert weight.tolist() == pytest.approx(expected, abs=1e-6)


def test_layers_before_stopbackward_1_stay_as_they_are() -> None:
    cfg = _cfg(second="stopbackward=1")
    network = Network(cfg)
    before, sums = _numbers(network), _draw(network)
    _train(network, cfg, sums)
    after = _numbers(network)
    moved = {name for name in after if after[name] != before[name]}
    assert moved == {"layers.1.weight", "layers.1.bias"}


def test_train_only_bn_holds_its_layer_and_all_before() -> None:
    cfg = _cfg(first="train_only_bn=1")
    network = Network(cfg)
    assert [layer.decayed[0] is network.layers[1].weight for layer in plan_learning(network)]
    before, sums = _numbers(network), _draw(network)
    _train(network, cfg, sums)
    assert _numbers(network)["layers.0.norm.weight"] == before["layers.0.norm.weight"]
    assert _numbers(network)["layers.1.weight"] != before["layers.1.weight"]


def test_what_decays_are_the_weights_of_layers_that_mix_their_input() -> None:
    cfg = parse_cfg(
        "[net]\nwidth=8\nheight=8\nchannels=4\n"
        "[convolutional]\nbatch_normalize=1\nfilters=4\nactivation=linear\n"
        "[batchnorm]\n"
        "[shortcut]\nfrom=-2\nweights_type=per_feature\nactivation=linear\n"
        "[convolutional]\nshare_index=0\nfilters=4\nbatch_normalize=1\nactivation=linear\n"
        "[local]\nfilters=2\nsize=1\nactivation=linear\n"
        "[connected]\noutput=5\nactivation=linear\n"
        "[implicit]\nfilters=3\n"
    )
    network = Network(cfg)
    learning = plan_learning(network)
    decayed = {id(one) for layer in learning for one in layer.decayed}
    others = {id(one) for layer in learning for one in layer.others}
    names = {id(one): name for name, one in network.named_parameters()}
    assert {names[one] for one in decayed} == {
        "layers.0.weight",
        "layers.4.weight",
        "layers.5.weight",
        "layers.6.weight",
    }
    assert decayed | others == names.keys()
    assert not decayed & others
    # Layer 3 has all that it learns from layer 0.
    assert [layer.kind for layer in learning].count("convolutional") == 1


def test_without_gradient_weights_decay_and_biases_rest() -> None:
    cfg = _cfg()
    network = Network(cfg)
    before = _numbers(network)
    _train(network, cfg, [{}] * 5)
    after = _numbers(network)
    expected = [_sgd(weight, [0.0] * 5, 0.02) for weight in before["layers.0.weight"]]
    assert after["layers.0.weight"] == pytest.approx(expected, abs=1e-7)
    assert after["layers.0.norm.weight"] == before["layers.0.norm.weight"]


@pytest.mark.parametrize(
    ("net", "key", "first"),
    [("", "dont_update=3", 4), ("burn_in=4", "burnin_update=1", 4), ("", "burnin_update=1", 1)],
)
def test_a_layer_waits_for_its_first_update(net: str, key: str, first: int) -> None:
    cfg = _cfg(net, second=key)
    network = Network(cfg)
    before, sums = _numbers(network), _draw(network)
    _train(network, cfg, sums[: first - 1])
    assert _numbers(network)["layers.1.weight"] == before["layers.1.weight"]
    _train(network, cfg, sums)
    assert _numbers(network)["layers.1.weight"] != before["layers.1.weight"]


def test_the_norm_of_the_gradient_is_bounded() -> None:
    plain, bounded = _cfg("momentum=0\ndecay=0"), _cfg("dkit_grad_clip=.5")
    network = Network(plain)
    sums = _draw(network)[:1]
    length = math.sqrt(sum(number**2 for one in sums[0].values() for number in one)) / IMAGES
    before = _numbers(network)
    _train(network, bounded, sums)
    for name, numbers in _numbers(network).items():
        decay = 0.02 if _is_weight(name) else 0.0
        for position, number in enumerate(numbers):
            move = sums[0][name][position] * 0.5 / length
            assert number == pytest.approx(
                _sgd(before[name][position], [move], decay), rel=1e-5, abs=1e-7
            )


@pytest.mark.parametrize(
    ("net", "line"),
    [("dkit_optimizer=lion", 7), ("adam=1\nB1=1", 8), ("dkit_grad_clip=-2", 7)],
)
def test_values_that_cannot_work_are_errors_at_their_line(net: str, line: int) -> None:
    cfg = _cfg(net)
    with pytest.raises(CfgError) as caught:
        build_optimizer(Network(cfg), cfg)
    assert (caught.value.code, caught.value.line) == ("bad-value", line)


def _other_layer(state: dict[str, dict[str, Tensor]]) -> None:
    state["layers.9.weight"] = state.pop("layers.1.weight")


def _other_shape(state: dict[str, dict[str, Tensor]]) -> None:
    state["layers.1.bias"]["momentum_buffer"] = torch.zeros(7)


def _one_number(state: dict[str, dict[str, Tensor]]) -> None:
    state["layers.1.bias"]["momentum_buffer"] = torch.zeros(())


def _other_optimizer(state: dict[str, dict[str, Tensor]]) -> None:
    state["layers.1.bias"] = {"exp_avg": torch.zeros(6)}


@pytest.mark.parametrize("spoil", [_other_layer, _other_shape, _one_number, _other_optimizer])
def test_a_foreign_state_is_refused_and_changes_nothing(spoil: object) -> None:
    assert callable(spoil)
    cfg = _cfg()
    optimizer = build_optimizer(Network(cfg), cfg)
    state = build_optimizer(Network(cfg), cfg).state()
    for one in state.values():
        one["momentum_buffer"] = torch.ones_like(one["momentum_buffer"])
    spoil(state)
    with pytest.raises(WeightsError, match="does not fit") as caught:
        optimizer.restore(state)
    assert caught.value.code == "foreign-state"
    assert not any(one["momentum_buffer"].any() for one in optimizer.state().values())
