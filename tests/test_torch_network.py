"""A whole cfg as a module: shapes, frozen layers, spans computed anew, copies for inference."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, dtype, nn  # noqa: E402

from darknet_kit.engine.torch.activations import ACTIVATE  # noqa: E402
from darknet_kit.engine.torch.heads.head import Head  # noqa: E402
from darknet_kit.engine.torch.layers.convolutional import Convolutional  # noqa: E402
from darknet_kit.engine.torch.network import Network  # noqa: E402
from darknet_kit.engine.torch.spans import plan_spans  # noqa: E402
from darknet_kit.errors import CfgError  # noqa: E402
from darknet_kit.formats.cfg import Cfg, parse_cfg, read_cfg  # noqa: E402
from darknet_kit.network.model import CfgRequest, make_cfg  # noqa: E402

CONV = "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=leaky\n"
HEAD = (
    "[convolutional]\nfilters=14\nactivation=linear\n"
    "[yolo]\nmask=0,1\nanchors=4,4,9,9\nnum=2\nclasses=2\n"
)
RESIDUAL = CONV * 3 + "[shortcut]\nfrom=-3\nactivation=linear\n"
TWO_HEADS = (
    CONV + RESIDUAL + "[maxpool]\nsize=2\nstride=2\n" + RESIDUAL + HEAD
    + "[route]\nlayers=-3\n" + CONV + "[upsample]\nstride=2\n[route]\nlayers=-1,4\n" + CONV + HEAD
)  # fmt: skip


def make(body: str, net: str = "") -> Network:
    torch.manual_seed(11)
    return Network(parse_cfg(f"[net]\nwidth=24\nheight=16\nchannels=3\n{net}\n{body}"))


def images(batch: int = 2) -> Tensor:
    drawn: Tensor = torch.rand(batch, 3, 16, 24, generator=torch.Generator().manual_seed(1))
    return drawn


def learn(network: Network) -> tuple[tuple[Tensor, ...], dict[str, Tensor | None]]:
    """Return outputs and gradients of a mini-batch of which all outputs shall grow smaller."""
    raws = network.train()(images())
    learnt = [raw for raw in raws if raw.requires_grad]
    torch.autograd.backward(learnt, [raw.detach() / 100 for raw in learnt])
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    return raws, gradients


def with_gradient(network: Network) -> set[int]:
    _, gradients = learn(network)
    return {int(name.split(".")[1]) for name, grad in gradients.items() if grad is not None}


def moved(network: Network, run: Callable[[], object]) -> set[int]:
    """Return the layers whose running statistics change when something is run."""

    def means() -> dict[int, Tensor]:
        found = {}
        for layer in network.built:
            if isinstance(layer, Convolutional) and layer.norm is not None:
                assert layer.norm.running_mean is not None
                found[layer.index] = layer.norm.running_mean.clone()
        return found

    before = means()
    run()
    return {index for index, mean in means().items() if not torch.equal(mean, before[index])}


@pytest.mark.parametrize("model", ["dkit-nano", "yolov4"])
def test_our_own_networks_have_the_shapes_that_are_planned(model: str) -> None:
    compare_shapes(make_cfg(CfgRequest(classes=5, model=model, size=(64, 96))))


UNSUPPORTED = {
    "thtrieu__person-bottle": "unsupported-by-engine",
    "thtrieu__yolo-tiny-extract": "unsupported-by-engine",
    "jpfleischer__728b2b92_legogearsv7tiny": "wrong-filters",
}


def test_real_networks_have_the_shapes_that_are_planned(
    shared_data: Callable[[str], Path],
) -> None:
    refused = {}
    for path in sorted(shared_data("E_cfg_data_names").glob("*.cfg")):
        try:
            compare_shapes(read_cfg(path))
        except CfgError as error:
            refused[path.stem] = error.code if error.line else "without line"
    assert refused == UNSUPPORTED


def compare_shapes(cfg: Cfg) -> None:
    """Run a network that computes nothing, and compare what lies between its layers."""
    with torch.device("meta"):
        network = Network(cfg).eval()
        seen: dict[int, tuple[int, ...]] = {}

        def note(layer: nn.Module, _: object, output: Tensor) -> None:
            assert isinstance(layer.index, int)
            seen[layer.index] = tuple(output.shape)

        for layer in network.built:
            layer.register_forward_hook(note)
            if isinstance(layer, Convolutional):  # slow on this device, and no matter of shape
                layer.norm, layer.activate = None, ACTIVATE["linear"]
        shape = network.plan[0].input
        raws = network(torch.empty(2, shape.channels, shape.height, shape.width))
    for planned in network.plan:
        output = planned.output
        assert seen[planned.index] == (2, output.channels, output.height, output.width)
    assert len(raws) == max(1, len(network.heads))


@pytest.mark.parametrize(
    ("keys", "learning", "moving"),
    [
        ({}, {0, 1, 2, 3}, {0, 1, 2}),
        # Layer 1 with the key and all before it get no gradient; those before it lie still.
        ({1: "stopbackward=1"}, {2, 3}, {1, 2}),
        ({1: "stopbackward=5"}, {2, 3}, {0, 1, 2}),
        ({1: "train_only_bn=1"}, {2, 3}, {0, 1, 2}),
        # What goes through a layer with onlyforward carries nothing back.
        ({1: "onlyforward=1"}, {2, 3}, {0, 1, 2}),
        ({4: "onlyforward=1"}, set(), {0, 1, 2}),
    ],
)
def test_who_learns(keys: dict[int, str], learning: set[int], moving: set[int]) -> None:
    sections = [CONV, CONV, CONV, *("[" + part for part in HEAD.split("[")[1:])]
    for index, line in keys.items():
        sections[index] += line + "\n"
    network = make("".join(sections))
    assert moved(network, lambda: learn(network)) == moving
    network.zero_grad(set_to_none=True)
    assert with_gradient(network) == learning
    network.eval()
    assert moved(network, lambda: network(images())) == set()


def test_stopbackward_ends_at_its_iteration() -> None:
    network = make(CONV + CONV + "stopbackward=5\n" + CONV + HEAD)
    network.advance(4)
    assert (network.frozen, network.still) == (2, 0)
    assert with_gradient(network) == {2, 3}
    network.advance(5)
    assert (network.frozen, network.still) == (0, 0)
    assert with_gradient(network) == {0, 1, 2, 3}


def test_the_last_stopbackward_counts() -> None:
    network = make(CONV + "stopbackward=1\n" + CONV + CONV + "stopbackward=1\n" + HEAD)
    assert (network.frozen, network.still) == (3, 2)
    assert [layer.training for layer in network.train().built] == [False, False, True, True, True]


def test_spans_computed_anew_change_nothing() -> None:
    plain, spared = make(TWO_HEADS), make(TWO_HEADS, "dkit_checkpoint=1")
    assert spared.spares_memory
    assert len(plan_spans(spared.built, split=True)) > 3
    expected, found = learn(plain), learn(spared)
    for one, other in zip(expected[0], found[0], strict=True):
        assert torch.equal(one, other)
    assert expected[1].keys() == found[1].keys()
    for name, gradient in expected[1].items():
        assert gradient is not None
        torch.testing.assert_close(found[1][name], gradient)
    for (name, buffer), other in zip(plain.named_buffers(), spared.buffers(), strict=True):
        if "running" in name:  # once, not twice
            assert torch.equal(buffer, other), name


def test_spans_hold_fewer_outputs() -> None:
    held: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        held.append(tensor.numel())
        return tensor

    def unpack(tensor: Tensor) -> Tensor:
        return tensor

    sums = []
    for net in ("", "dkit_checkpoint=1"):
        held.clear()
        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            make(CONV * 16 + HEAD, net).train()(images())
        sums.append(sum(held))
    assert sums[1] < sums[0] / 2


def norms(network: Network) -> Iterator[nn.BatchNorm2d]:
    return (module for module in network.modules() if isinstance(module, nn.BatchNorm2d))


def test_a_fused_copy_sees_the_same() -> None:
    network = make(CONV + "[connected]\noutput=336\nbatch_normalize=1\nactivation=leaky\n")
    for norm in norms(network):
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
        for statistic in (norm.running_mean, norm.running_var):
            assert statistic is not None
            nn.init.uniform_(statistic, 0.5, 2)
    fused = network.eval().fuse()
    assert not list(norms(fused))
    assert len(list(norms(network))) == 2
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    torch.testing.assert_close(fused(images())[0], network(images())[0], atol=1e-5, rtol=1e-5)


def test_images_are_normalized_before_anything_pads() -> None:
    plain = make(CONV + HEAD).eval()
    network = make(CONV + HEAD, "dkit_mean=.485,.456,.406\ndkit_std=.229,.224,.225").eval()
    x = images()
    for channel, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        x[:, channel] = (x[:, channel] - mean) / std
    torch.testing.assert_close(network(images())[0], plain(x)[0])
    assert plain.state_dict().keys() == network.state_dict().keys()
    for keys in ("dkit_mean=1,2", "dkit_std=1,0,1"):
        with pytest.raises(CfgError) as caught:
            make(CONV + HEAD, keys)
        assert (caught.value.code, caught.value.line) == ("bad-value", 5)


def test_a_graph_without_breaks_and_bfloat16() -> None:
    body = CONV + "[shortcut]\nfrom=-1\n" + HEAD + "[route]\nlayers=-3\n" + HEAD
    network = make(body).train()
    expected = network(images())
    compiled = torch.compile(make(body).train(), backend="eager", fullgraph=True)
    for one, other in zip(expected, compiled(images()), strict=True):
        torch.testing.assert_close(one, other)
    kinds: dict[int, dtype] = {}
    for layer in network.built:
        layer.register_forward_hook(
            lambda layer, _, output: kinds.__setitem__(layer.index, output.dtype)
        )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = network(images().contiguous(memory_format=torch.channels_last))
    heads = {head.index for head in network.heads}
    exact = {index for index, kind in kinds.items() if kind == torch.float32}
    assert exact == heads | {index - 1 for index in heads}
    for one, other in zip(expected, rounded, strict=True):
        assert other.dtype == torch.float32
        assert (one - other).abs().max() < 0.1


def test_a_network_without_head_gives_its_last_layer() -> None:
    network = make(CONV + "[avgpool]\n[softmax]\n[cost]\n")
    (output,) = network.eval()(images())
    assert not any(isinstance(layer, Head) for layer in network.built)
    torch.testing.assert_close(output.sum((1, 2, 3)), torch.ones(2))


def test_what_it_does_not_have_is_refused_by_line() -> None:
    for body, code, line in [
        (CONV + "xnor=1\n", "unsupported-by-engine", 12),
        (CONV + "[contrastive]\nclasses=3\n", "unsupported-by-engine", 12),
        ("[crnn]\n", "unsupported-by-engine", 6),
    ]:
        with pytest.raises(CfgError) as caught:
            make(body)
        assert (caught.value.code, caught.value.line) == (code, line)
    make(CONV + HEAD, "contrastive=1")  # concerns the training alone


def test_a_mini_batch_of_one_value_is_refused_in_training() -> None:
    network = make("[connected]\noutput=4\nbatch_normalize=1\nactivation=leaky\n")
    assert network.train()(images(2))[0].shape == network.eval()(images(2))[0].shape
    assert network(images(1))[0].shape == (1, 4, 1, 1)
    with pytest.raises(CfgError, match="one value") as caught:
        network.train()(images(1))
    assert caught.value.code == "mini-batch-of-one"
