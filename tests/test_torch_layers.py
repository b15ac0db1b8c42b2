"""Each section against a plain reading of its arithmetic, index by index."""

import math
import random
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from darknet_kit.engine.torch.activations import ACTIVATE, IN_PLACE  # noqa: E402
from darknet_kit.engine.torch.keys import ACTIVATIONS  # noqa: E402
from darknet_kit.engine.torch.layers.connected import Connected  # noqa: E402
from darknet_kit.engine.torch.layers.convolutional import Convolutional  # noqa: E402
from darknet_kit.engine.torch.layers.local import Local  # noqa: E402
from darknet_kit.engine.torch.layers.shortcut import Shortcut  # noqa: E402
from darknet_kit.engine.torch.network import Network  # noqa: E402
from darknet_kit.errors import CfgError  # noqa: E402
from darknet_kit.formats.cfg import parse_cfg  # noqa: E402

Image = list[list[list[float]]]  # channels, rows, columns


def make(body: str, shape: tuple[int, int, int] = (3, 6, 8), net: str = "") -> Network:
    """Build a network whose input is [channels, height, width]."""
    channels, height, width = shape
    text = f"[net]\nchannels={channels}\nheight={height}\nwidth={width}\n{net}\n{body}"
    return Network(parse_cfg(text))


def draw(*shape: int) -> Tensor:
    drawn: Tensor = torch.randn(*shape, generator=torch.Generator().manual_seed(7))
    return drawn


def run(body: str, x: Tensor) -> Tensor:
    shape = (x.shape[1], x.shape[2], x.shape[3])
    with torch.no_grad():
        output: Tensor = make(body, shape).eval()(x)[0]
    return output


def slide(
    image: Image, size: int, stride: tuple[int, int], padding: int, *, total: bool
) -> list[list[list[tuple[int, int, int, float]]]]:
    """List (channel, dy, dx, value) in each window; `total` says that padding is of both sides."""
    rows, columns = len(image[0]), len(image[0][0])
    both, before = (padding, padding // 2) if total else (2 * padding, padding)
    places = []
    for top in range((rows + both - size) // stride[1] + 1):
        line = []
        for left in range((columns + both - size) // stride[0] + 1):
            window = []
            for channel, plane in enumerate(image):
                for dy in range(size):
                    for dx in range(size):
                        y = top * stride[1] - before + dy
                        x = left * stride[0] - before + dx
                        if 0 <= y < rows and 0 <= x < columns:
                            window.append((channel, dy, dx, plane[y][x]))
            line.append(window)
        places.append(line)
    return places


@pytest.mark.parametrize(
    ("keys", "size", "strides", "padding", "groups"),
    [
        ("size=3\nstride=1\npad=1", 3, (1, 1), 1, 1),
        ("size=3\nstride=2\npad=1\ngroups=2", 3, (2, 2), 1, 2),
        ("size=2\nstride_x=2\nstride_y=1", 2, (2, 1), 0, 1),
        ("size=1\npad=1", 1, (1, 1), 0, 1),
        ("size=3\npadding=2\nstride=3", 3, (3, 3), 2, 1),
    ],
)
def test_convolutional(
    keys: str, size: int, strides: tuple[int, int], padding: int, groups: int
) -> None:
    channels, filters = 4, 6
    network = make(f"[convolutional]\nfilters={filters}\nactivation=linear\n{keys}", (4, 5, 7))
    layer = network.built[0]
    assert isinstance(layer, Convolutional)
    assert layer.bias is not None
    torch.nn.init.normal_(layer.bias)
    image = draw(1, channels, 5, 7)
    with torch.no_grad():
        (found,) = network(image)
    weight, bias = layer.weight.tolist(), layer.bias.tolist()
    places = slide(image[0].tolist(), size, strides, padding, total=False)
    share, made = channels // groups, filters // groups
    expected = torch.tensor(
        [
            [
                [
                    bias[f]
                    + sum(
                        weight[f][c - share * (f // made)][dy][dx] * value
                        for c, dy, dx, value in window
                        if c // share == f // made
                    )
                    for window in line
                ]
                for line in places
            ]
            for f in range(filters)
        ]
    )
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=1e-5)


def test_convolutional_starts_as_darknets_does() -> None:
    torch.manual_seed(3)
    network = make("[convolutional]\nfilters=64\nsize=3\ngroups=2\nbatch_normalize=1", (32, 8, 8))
    layer = network.built[0]
    assert isinstance(layer, Convolutional)
    bound = math.sqrt(2 / (3 * 3 * 16))
    assert 0.98 * bound < layer.weight.abs().max() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert layer.bias is None
    bias, scale, mean, variance, weight = layer.stored()
    assert weight is layer.weight
    assert [set(v.tolist()) for v in (bias, scale, mean, variance)] == [{0}, {1}, {0}, {0}]
    assert list(layer.decayed()) == [layer.weight]


def test_batch_normalization_is_cudnns() -> None:
    """Biased variance to normalize, unbiased and a hundredth of it to remember."""
    network = make("[convolutional]\nbatch_normalize=1\nactivation=linear\nfilters=2", (3, 4, 5))
    layer = network.built[0]
    assert isinstance(layer, Convolutional)
    assert layer.norm is not None
    with torch.no_grad():
        layer.norm.weight.copy_(torch.tensor([1.5, -0.5]))
        layer.norm.bias.copy_(torch.tensor([0.25, 3.0]))
        for statistic, value in ((layer.norm.running_mean, 0.5), (layer.norm.running_var, 2.0)):
            assert statistic is not None
            statistic.fill_(value)
    images = draw(2, 3, 4, 5)
    network.train()
    with torch.no_grad():
        (found,) = network(images)
    _, scale, mean, variance, weight = layer.stored()
    for f in range(2):
        values = (images * weight[f].detach()).sum(1).flatten().tolist()
        n = len(values)
        average = sum(values) / n
        spread = sum((value - average) ** 2 for value in values) / n
        expected = [
            scale[f].item() * (value - average) / math.sqrt(spread + 1e-5) + [0.25, 3.0][f]
            for value in values
        ]
        torch.testing.assert_close(
            found[:, f].flatten(), torch.tensor(expected), atol=1e-5, rtol=1e-5
        )
        assert mean[f].item() == pytest.approx(0.99 * 0.5 + 0.01 * average, abs=1e-6)
        assert variance[f].item() == pytest.approx(0.99 * 2 + 0.01 * spread * n / (n - 1), rel=1e-6)


def test_dilation_moves_the_taps_apart() -> None:
    network = make("[convolutional]\nsize=3\npad=1\ndilation=2\nactivation=linear", (1, 7, 7))
    layer = network.built[0]
    assert isinstance(layer, Convolutional)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(9.0).reshape(1, 1, 3, 3))
        point = torch.zeros(1, 1, 7, 7)
        point[0, 0, 3, 3] = 1
        (found,) = network(point)
    assert found[0, 0, 1::2, 1::2].tolist() == [[8, 7, 6], [5, 4, 3], [2, 1, 0]]
    assert found.sum() == 36


def test_share_index_shares_what_is_learnt() -> None:
    conv = "[convolutional]\nfilters=3\nsize=3\npad=1\nbatch_normalize=1\nactivation=leaky\n"
    network = make(conv + "[maxpool]\nsize=2\nstride=2\n" + conv + "share_index=-2\n")
    first, _, second = network.built
    assert isinstance(first, Convolutional)
    assert isinstance(second, Convolutional)
    assert second.weight is first.weight
    assert second.norm is first.norm
    assert list(second.stored()) == []
    assert network(draw(2, 3, 6, 8))[0].shape == (2, 3, 3, 4)
    with pytest.raises(CfgError, match="another shape"):
        make(conv + "[convolutional]\nfilters=5\nshare_index=0\n")


@pytest.mark.parametrize(
    ("keys", "size", "stride", "padding"),
    [
        ("size=2\nstride=2", 2, (2, 2), 1),
        ("size=2\nstride=1", 2, (1, 1), 1),  # the size stays: one more row and column, at the end
        ("size=5\nstride=1", 5, (1, 1), 4),
        ("size=3\nstride=2", 3, (2, 2), 2),
        ("size=3\nstride=2\npadding=0", 3, (2, 2), 0),
        ("size=3\nstride_x=2\nstride_y=1\npadding=1", 3, (2, 1), 1),
        ("size=4\nstride=2", 4, (2, 2), 3),
    ],
)
@pytest.mark.parametrize("shape", [(2, 7, 9), (2, 6, 8)])
def test_pools(
    keys: str, size: int, stride: tuple[int, int], padding: int, shape: tuple[int, int, int]
) -> None:
    x = draw(1, *shape) - 3  # a zero beyond the edge would win
    places = [slide([plane], size, stride, padding, total=True) for plane in x[0].tolist()]
    values = [[[[v for *_, v in w] for w in line] for line in plane] for plane in places]
    greatest = torch.tensor([[[max(w) for w in line] for line in plane] for plane in values])
    mean = torch.tensor([[[sum(w) / len(w) for w in line] for line in plane] for plane in values])
    stride_keys = keys if "stride" in keys else keys + "\nstride=1"
    torch.testing.assert_close(run(f"[maxpool]\n{stride_keys}", x)[0], greatest, atol=0, rtol=0)
    torch.testing.assert_close(
        run(f"[local_avgpool]\n{stride_keys}", x)[0], mean, atol=1e-5, rtol=1e-5
    )


def test_maxpool_depth() -> None:
    x = draw(2, 7, 2, 3)
    found = run("[maxpool]\nmaxpool_depth=1\nout_channels=3\nsize=1", x)
    expected = torch.stack([x[:, [c for c in range(7) if c % 3 == g]].amax(1) for g in range(3)], 1)
    assert torch.equal(found, expected)


@pytest.mark.parametrize(("kind", "taps"), [(1, [1, 2, 1]), (2, [1, 1])])
def test_antialiasing_blurs_what_it_skips(kind: int, taps: list[int]) -> None:
    x = draw(1, 2, 7, 9)
    pooled = run("[maxpool]\nsize=3\nstride=1", x)[0].tolist()
    expected = []
    for plane in pooled:
        places = slide([plane], len(taps), (2, 2), 1 if kind == 1 else 0, total=False)
        expected.append(
            [
                [sum(taps[dy] * taps[dx] * v for _, dy, dx, v in w) / sum(taps) ** 2 for w in line]
                for line in places
            ]
        )
    found = run(f"[maxpool]\nsize=3\nstride=2\nantialiasing={kind}", x)
    torch.testing.assert_close(found[0], torch.tensor(expected))
    torch.manual_seed(1)
    conv = "[convolutional]\nfilters=2\nsize=3\npad=1\nactivation=relu\n"
    sharp = make(f"{conv}stride=1", (2, 7, 9))
    blurred = make(f"{conv}stride=2\nantialiasing={kind}", (2, 7, 9))
    blurred.load_state_dict(sharp.state_dict())
    (host,) = sharp(x)
    (found,) = blurred(x)
    flat = torch.tensor([taps], dtype=torch.float32)
    kernel = (flat.T @ flat / sum(taps) ** 2).expand(2, 1, -1, -1)
    wanted = torch.nn.functional.conv2d(host, kernel, None, 2, 1 if kind == 1 else 0, 1, 2)
    torch.testing.assert_close(found, wanted)


def test_route_takes_shares() -> None:
    x = draw(2, 4, 3, 3)
    pools = "[maxpool]\nsize=1\nstride=1\n[upsample]\nstride=1\nscale=2\n"
    found = run(f"{pools}[route]\nlayers=-1,0\ngroups=2\ngroup_id=1", x)
    assert torch.equal(found, torch.cat([2 * x[:, 2:], x[:, 2:]], 1))
    assert torch.equal(run(f"{pools}[route]\nlayers=0", x), x)


def test_upsample_up_and_down() -> None:
    x = draw(1, 2, 4, 6)
    up = run("[upsample]\nstride=2\nscale=.5", x)
    assert all(
        up[0, c, y, k] == x[0, c, y // 2, k // 2] / 2
        for c in range(2)
        for y in range(8)
        for k in range(12)
    )
    down = run("[upsample]\nstride=-2", x)
    torch.testing.assert_close(down[0, 1, 1, 2], x[0, 1, 2:4, 4:6].sum(), atol=1e-6, rtol=1e-6)


SHORTCUTS = (
    "[convolutional]\nfilters=5\nactivation=linear\n"
    "[convolutional]\nfilters=2\nactivation=linear\n"
    "[convolutional]\nfilters=3\nactivation=linear\n"
    "[shortcut]\nfrom=-3,-2\nactivation=leaky\n"
)


def test_shortcut_adds_the_channels_that_are_there() -> None:
    network = make(SHORTCUTS)
    x = draw(2, 3, 6, 8)
    (found,) = network(x)
    outputs = [x]
    for layer in network.built[:3]:
        outputs.append(layer(outputs[-1]))
    many, few, own = outputs[1:]
    total = own + many[:, :3]
    total[:, :2] += few
    torch.testing.assert_close(found, torch.nn.functional.leaky_relu(total, 0.1))


@pytest.mark.parametrize("weights", ["per_feature", "per_channel"])
@pytest.mark.parametrize("normalization", ["none", "relu", "softmax"])
def test_weighted_shortcut_and_its_gradient(weights: str, normalization: str) -> None:
    body = SHORTCUTS.replace("activation=leaky", "activation=linear")
    keys = f"weights_type={weights}\nweights_normalization={normalization}\n"
    network = make(body + keys)
    layer = network.built[3]
    assert isinstance(layer, Shortcut)
    assert layer.weight is not None
    with torch.no_grad():
        layer.weight.copy_(draw(*layer.weight.shape))
    own, many, few = draw(2, 3, 4, 4), draw(2, 5, 4, 4) + 1, draw(2, 2, 4, 4) - 1
    parts = [part.clone().requires_grad_() for part in (own, many, few)]
    found = layer(*parts)
    delta = draw(2, 3, 4, 4) * 2
    torch.autograd.backward(found, delta)
    assert layer.weight.grad is not None
    expected_gradient = torch.zeros_like(layer.weight)
    expected = torch.zeros_like(own)
    for b, c, y, x in [
        (b, c, y, x) for b in range(2) for c in range(3) for y in range(4) for x in range(4)
    ]:
        k = c if weights == "per_channel" else 0
        w = layer.weight[:, k].tolist()
        shares, slopes = w, [1.0] * 3
        if normalization == "softmax":
            powers = [math.exp(value - max(w)) for value in w]
            shares = [power / (sum(powers) + 1e-4) for power in powers]
            slopes = [share * (1 - share) for share in shares]
        elif normalization == "relu":
            positive = [max(value, 1e-3) for value in w]
            shares = slopes = [value / (sum(positive) + 1e-4) for value in positive]
        for i, part in enumerate((own, many, few)):
            if c < part.shape[1]:
                expected[b, c, y, x] += part[b, c, y, x] * shares[i]
                expected_gradient[i, k] += delta[b, c, y, x] * part[b, c, y, x] * slopes[i]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer.weight.grad, expected_gradient, atol=1e-4, rtol=1e-4)
    assert list(layer.stored()) == [layer.weight]
    assert list(layer.decayed()) == []


def reorg(x: list[float], width: int, height: int, channels: int, stride: int) -> list[float]:
    """The index formula of space to depth over a flat buffer, for an output of that size."""
    planes = channels // stride**2
    made = [0.0] * len(x)
    for k in range(channels):
        for j in range(height):
            for i in range(width):
                square = k // planes
                column = i * stride + square % stride
                row = j * stride + square // stride
                made[i + width * (j + height * k)] = x[
                    column + width * stride * (row + height * stride * (k % planes))
                ]
    return made


def test_both_reorgs() -> None:
    x = draw(2, 8, 4, 6)
    odd, plain = run("[reorg]\nstride=2", x), run("[reorg3d]\nstride=2", x)
    assert odd.shape == plain.shape == (2, 32, 2, 3)
    for b in range(2):
        flat = x[b].flatten().tolist()
        # The old one runs over the shape of its input, the other over that of its output.
        assert odd[b].flatten().tolist() == reorg(flat, 6, 4, 8, 2)
        assert plain[b].flatten().tolist() == reorg(flat, 3, 2, 32, 2)
    assert torch.equal(
        run("[reorg]\nstride=2\n[reorg]\nstride=2\nreverse=1", x).flatten(), undo(odd).flatten()
    )
    with pytest.raises(CfgError, match="divides"):
        run("[reorg]\nstride=2", draw(1, 3, 4, 4))


def undo(x: Tensor) -> Tensor:
    """The same formula with source and target exchanged, on a layer of x's shape."""
    batch, channels, height, width = x.shape
    order = torch.tensor(
        reorg([float(i) for i in range(channels * height * width)], width, height, channels, 2)
    ).long()
    made: Tensor = torch.empty(batch, channels * height * width)
    made[:, order] = x.reshape(batch, -1)
    return made


def test_avgpool_is_the_mean_of_a_channel() -> None:
    x = draw(2, 3, 4, 5)
    found = run("[avgpool]", x)
    assert found.shape == (2, 3, 1, 1)
    assert found[1, 2].item() == pytest.approx(sum(x[1, 2].flatten().tolist()) / 20, abs=1e-6)


def test_connected_reads_channel_row_column() -> None:
    network = make("[connected]\noutput=3\nactivation=linear", (2, 2, 3))
    layer = network.built[0]
    assert isinstance(layer, Connected)
    assert layer.weight.abs().max() <= math.sqrt(2 / 12)
    assert layer.bias is not None
    torch.nn.init.normal_(layer.bias)
    x = draw(2, 2, 2, 3)
    (found,) = network(x.contiguous(memory_format=torch.channels_last))
    assert found.shape == (2, 3, 1, 1)
    flat = [x[1, c, y, k].item() for c in range(2) for y in range(2) for k in range(3)]
    for o in range(3):
        total = sum(w * v for w, v in zip(layer.weight[o].tolist(), flat, strict=True))
        assert found[1, o].item() == pytest.approx(total + layer.bias[o].item(), abs=1e-5)


def test_local_has_weights_for_each_place() -> None:
    network = make("[local]\nfilters=2\nsize=3\nstride=2\npad=1\nactivation=linear", (3, 5, 7))
    layer = network.built[0]
    assert isinstance(layer, Local)
    torch.nn.init.normal_(layer.bias)
    x = draw(1, 3, 5, 7)
    (found,) = network(x)
    assert found.shape == (1, 2, 3, 4)
    places = slide(x[0].tolist(), 3, (2, 2), 1, total=False)
    for y in range(3):
        for k in range(4):
            for f in range(2):
                weight = layer.weight[y * 4 + k, f].reshape(3, 3, 3).tolist()
                total = sum(weight[c][dy][dx] * v for c, dy, dx, v in places[y][k])
                bias = layer.bias.flatten()[(f * 3 + y) * 4 + k].item()
                assert found[0, f, y, k].item() == pytest.approx(total + bias, abs=1e-5)
    with pytest.raises(CfgError, match="counts wrong"):
        make("[local]\nfilters=2\nsize=5\npad=1", (3, 5, 7))


def test_scale_channels_and_sam() -> None:
    torch.manual_seed(2)
    conv = "[convolutional]\nfilters=4\nactivation=linear\n"
    x = draw(2, 3, 6, 8)
    squeezed = make(f"{conv}[avgpool]\n[scale_channels]\nfrom=0\nactivation=relu")
    host = squeezed.built[0](x)
    expected = torch.relu(host * host.mean((2, 3))[:, :, None, None])
    torch.testing.assert_close(squeezed(x)[0], expected)
    attended = make(f"{conv}{conv}[sam]\nfrom=0")
    host = attended.built[0](x)
    torch.testing.assert_close(attended(x)[0], host * attended.built[1](host))
    pixel = make(f"{conv}[convolutional]\nactivation=linear\n[scale_channels]\nfrom=0\nscale_wh=1")
    host = pixel.built[0](x)
    torch.testing.assert_close(pixel(x)[0], host * pixel.built[1](host))
    with pytest.raises(CfgError, match="needs 1 x 1 x 4"):
        make(f"{conv}{conv}[scale_channels]\nfrom=0")


def test_implicit_gives_every_image_the_same() -> None:
    network = make("[implicit]\nfilters=5\natoms=2\nmean=1\nstd=.1")
    (found,) = network(draw(3, 3, 6, 8))
    assert found.shape == (3, 5, 2, 1)
    assert torch.equal(found[0], found[2])
    assert found.min() >= 0.9
    assert found.max() <= 1.1
    (weight,) = network.built[0].stored()
    assert weight.numel() == 10


def test_softmax_in_groups() -> None:
    x = draw(1, 2, 2, 3)
    found = run("[softmax]\ngroups=2\ntemperature=.5", x).reshape(2, 6).tolist()
    for row, values in zip(found, x.reshape(2, 6).tolist(), strict=True):
        powers = [math.exp(value / 0.5) for value in values]
        assert row == pytest.approx([power / sum(powers) for power in powers], rel=1e-5)
    spatial = run("[softmax]\nspatial=1", x)
    torch.testing.assert_close(spatial.sum(1), torch.ones(1, 2, 3))


def test_normalization_counts_as_darknet() -> None:
    """Its sums are kept from channel to channel, and one square is never added."""
    x = draw(1, 9, 1, 1) * 3
    squares = [value**2 for value in x.flatten().tolist()]
    size, alpha, beta, kappa = 5, 0.01, 0.75, 1.5
    total = kappa + alpha * sum(squares[: size // 2])
    expected = []
    for k, value in enumerate(x.flatten().tolist()):
        if k:
            gone, come = k - (size - 1) // 2 - 1, k + size // 2
            total -= alpha * squares[gone] if gone >= 0 else 0
            total += alpha * squares[come] if come < len(squares) else 0
        expected.append(value * total**-beta)
    body = f"[normalization]\nsize={size}\nalpha={alpha}\nbeta={beta}\nkappa={kappa}"
    assert run(body, x).flatten().tolist() == pytest.approx(expected, rel=1e-5)
    network = make(body, (9, 1, 1))
    leaf = x.clone().requires_grad_()
    torch.autograd.backward(network(leaf)[0].sum())
    assert leaf.grad is not None
    slopes = [e / v for e, v in zip(expected, x.flatten().tolist(), strict=True)]
    assert leaf.grad.flatten().tolist() == pytest.approx(slopes, rel=1e-4)


def test_crop_takes_the_middle() -> None:
    x = torch.rand(1, 3, 6, 9)
    body = "[crop]\ncrop_height=3\ncrop_width=4\nflip=1\n"
    assert torch.equal(run(body, x), x[:, :, 1:4, 2:6] * 2 - 1)
    assert torch.equal(run(body + "noadjust=1", x), x[:, :, 1:4, 2:6])


def test_dropout_keeps_the_mean_and_replaces_what_came_in() -> None:
    torch.manual_seed(5)
    x = torch.ones(4, 8, 20, 20)
    body = "[activation]\n[dropout]\nprobability=.25\n[route]\nlayers=-2"
    network = make(body, (8, 20, 20)).train()
    (found,) = network(x)
    assert found.unique().tolist() == pytest.approx([0, 4 / 3])
    assert found.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(network.eval()(x)[0], x)


def test_dropblock_takes_squares_and_grows() -> None:
    torch.manual_seed(6)
    body = "[dropout]\ndropblock=1\nprobability=.5\ndropblock_size_abs=4"
    network = make(body, (6, 9, 11), net="max_batches=1000").train()
    network.advance(1000)
    (found,) = network(torch.ones(5, 6, 9, 11))
    for image in found:
        gone = [int((plane == 0).sum()) for plane in image]
        assert set(gone) <= {0, 16}
        kept = 1 - sum(gone) / (6 * 9 * 11)
        assert image.max().item() == pytest.approx(1 / kept)
    dropped = found == 0
    assert dropped.any()
    row, column = (int(v) for v in dropped.flatten(0, 1).any(0).nonzero()[0])
    assert (row, column) < (9, 11)
    network.advance(0)
    assert torch.equal(network(torch.ones(5, 6, 9, 11))[0], torch.ones(5, 6, 9, 11))


# The activations again, as scalars.
def _gelu(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(0.797885 * x + 0.035677 * x**3))


def _stair(x: float) -> float:
    n = math.floor(x)
    return math.floor(x / 2) if n % 2 == 0 else (x - n) + math.floor(x / 2)


def _selu(x: float) -> float:
    return 1.0507 * (x if x >= 0 else 1.6732 * (math.exp(x) - 1))


def _plse(x: float) -> float:
    if abs(x) > 4:
        return 0.01 * (x + 4) if x < 0 else 0.01 * (x - 4) + 1
    return 0.125 * x + 0.5


SCALAR: dict[str, Callable[[float], float]] = {
    "linear": lambda x: x,
    "leaky": lambda x: x if x > 0 else 0.1 * x,
    "revleaky": lambda x: x if x > 0 else 0.1 * x,
    "mish": lambda x: x * math.tanh(math.log(1 + math.exp(x))),
    "swish": lambda x: x / (1 + math.exp(-x)),
    "logistic": lambda x: 1 / (1 + math.exp(-x)),
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "tanh": math.tanh,
    "hard_mish": lambda x: x if x > 0 else (x * x / 2 + x if x > -2 else 0.0),
    "elu": lambda x: x if x >= 0 else math.exp(x) - 1,
    "selu": _selu,
    "gelu": _gelu,
    "ramp": lambda x: x * (x > 0) + 0.1 * x,
    "relie": lambda x: x if x > 0 else 0.01 * x,
    "loggy": lambda x: 2 / (1 + math.exp(-x)) - 1,
    "plse": _plse,
    "stair": _stair,
    "hardtan": lambda x: min(max(x, -1.0), 1.0),
    "lhtan": lambda x: 0.001 * x if x < 0 else (0.001 * (x - 1) + 1 if x > 1 else x),
}


@pytest.mark.parametrize("name", SCALAR)
def test_activations_and_their_slopes(name: str) -> None:
    source = random.Random(4)
    points = [source.uniform(-7, 7) for _ in range(300)] + [-30.3, 25.4]
    x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    y = ACTIVATE[name](x)
    assert y.tolist() == pytest.approx([SCALAR[name](p) for p in points], abs=1e-9, rel=1e-6)
    torch.autograd.backward(y.sum())
    assert x.grad is not None
    step = 1e-6
    slopes = [(SCALAR[name](p + step) - SCALAR[name](p - step)) / (2 * step) for p in points]
    if name == "gelu":  # Darknet takes the slope at the output
        slopes = [(_gelu(_gelu(p) + step) - _gelu(_gelu(p) - step)) / (2 * step) for p in points]
    assert x.grad.tolist() == pytest.approx(slopes, abs=1e-4)


@pytest.mark.parametrize("name", IN_PLACE)
def test_activations_in_place_are_the_same(name: str) -> None:
    x = draw(50).requires_grad_()
    torch.autograd.backward(ACTIVATE[name](x * 1).square().sum())
    expected, x.grad = x.grad, None
    found = IN_PLACE[name](x * 1)
    assert torch.equal(found, ACTIVATE[name](x))
    torch.autograd.backward(found.square().sum())
    assert torch.equal(x.grad, expected)


def test_normalized_channels_and_darknets_gradient() -> None:
    x = torch.tensor([[0.5, -1.0, 2.0, 3.0]]).reshape(1, 4, 1, 1)
    delta = torch.tensor([0.3, 0.7, -0.2, 0.1]).reshape(1, 4, 1, 1)
    values, moves = x.flatten().tolist(), delta.flatten().tolist()
    top = max(values)
    for name, parts in {
        "normalize_channels": [max(v, 0.0) for v in values],
        "normalize_channels_softmax": [math.exp(v) for v in values],
        "normalize_channels_softmax_maxval": [math.exp(v - top) for v in values],
    }.items():
        expected = [part / (sum(parts) + 1e-4) for part in parts]
        leaf = x.clone().requires_grad_()
        y = ACTIVATE[name](leaf)
        assert y.flatten().tolist() == pytest.approx(expected, rel=1e-5)
        torch.autograd.backward(y, delta)
        assert leaf.grad is not None
        slopes = [e * (1 - e) for e in expected]
        if name == "normalize_channels":
            slopes = [e or 1.0 for e in expected]
        gradient = [slope * m for slope, m in zip(slopes, moves, strict=True)]
        assert leaf.grad.flatten().tolist() == pytest.approx(gradient, rel=1e-5)


def test_every_activation_has_a_name_and_others_are_refused() -> None:
    assert set(ACTIVATIONS) == set(ACTIVATE)
    assert set(SCALAR) == {name for name in ACTIVATE if not name.startswith("normalize")}
    with pytest.raises(CfgError, match="did you mean leaky") as caught:
        make("[convolutional]\nfilters=1\nactivation=leeky")
    assert caught.value.line == 8
