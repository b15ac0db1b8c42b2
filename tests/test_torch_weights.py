"""Values out of and into `.weights` files: the order of the floats, cut files, old files."""

import itertools
import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from darknet_kit.engine.torch.layers.connected import Connected  # noqa: E402
from darknet_kit.engine.torch.layers.convolutional import Convolutional  # noqa: E402
from darknet_kit.engine.torch.network import Network  # noqa: E402
from darknet_kit.engine.torch.weights import load_weights, save_weights  # noqa: E402
from darknet_kit.errors import TrainError, WeightsError  # noqa: E402
from darknet_kit.formats.cfg import format_cfg, parse_cfg, read_cfg  # noqa: E402
from darknet_kit.network.model import CfgRequest, make_cfg  # noqa: E402
from darknet_kit.train.health.causes import find_said  # noqa: E402
from tests.engines import alexeyab, run_engine  # noqa: E402

HEADER = struct.pack("<iiiQ", 0, 2, 5, 6400)
CONV = "[convolutional]\nbatch_normalize=1\nfilters=2\nsize=1\nactivation=linear\n"
PLAIN = "[convolutional]\nfilters=3\nsize=3\npad=1\nactivation=linear\n"
CONNECTED = "[connected]\noutput=4\nbatch_normalize=1\nactivation=linear\n"


def make(body: str) -> Network:
    return Network(parse_cfg(f"[net]\nwidth=3\nheight=2\nchannels=1\n{body}"))


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Write a file whose floats count from 0."""

    def write(count: int, header: bytes = HEADER) -> Path:
        path = tmp_path / "given.weights"
        path.write_bytes(header + np.arange(count, dtype="<f4").tobytes())
        return path

    return write


def values(network: Network) -> dict[str, list[float]]:
    return {name: tensor.flatten().tolist() for name, tensor in network.state_dict().items()}


def test_the_order_of_the_floats(save: Callable[..., Path]) -> None:
    body = (
        CONV  # bias 2, scale 2, mean 2, variance 2, weights 2
        + PLAIN  # bias 3, weights 3 x 2 x 3 x 3
        + "[shortcut]\nfrom=0\nweights_type=per_channel\nweights_normalization=relu\n"  # 2 x 3
        + "[batchnorm]\n"  # bias 3, scale 3, mean 3, variance 3
        + "[implicit]\nfilters=2\natoms=2\n"  # 4
        + "[local]\nfilters=2\nsize=1\n"  # bias 4 (one for each output), weights 2 x 2 x 2
        + CONNECTED  # bias 4, weights 4 x 4, scale 4, mean 4, variance 4
    )
    network = make(body)
    path = save(10 + 57 + 6 + 12 + 4 + 12 + 32)
    loaded = load_weights(network, path)
    assert (loaded.seen, loaded.layers, loaded.of, loaded.is_whole) == (6400, 7, 7, True)
    order = [
        *("0.norm.bias", "0.norm.weight", "0.norm.running_mean", "0.norm.running_var", "0.weight"),
        *("1.bias", "1.weight", "2.weight"),
        *("3.norm.bias", "3.norm.weight", "3.norm.running_mean", "3.norm.running_var"),
        *("4.weight", "5.bias", "5.weight"),
        *("6.norm.bias", "6.weight", "6.norm.weight"),
        *("6.norm.running_mean", "6.norm.running_var"),
    ]
    found = values(network)
    read = list(itertools.chain.from_iterable(found[f"layers.{name}"] for name in order))
    assert read == list(range(133))
    for parameter in network.parameters():
        if parameter.dim() == 4:  # as it lies in memory where a GPU is fastest
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    save_weights(network, path.with_name("saved.weights"), 6400)
    assert path.with_name("saved.weights").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "name", ["yoloface-50k", "MobileNetV2-YOLO-Fastest-voc", "yolo-fastest-1.1"]
)
def test_real_files_come_back_as_they_were(
    shared_data: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    network = Network(read_cfg(shared_data(f"F_weights/{name}.cfg")))
    path = shared_data(f"F_weights/{name}.weights")
    loaded = load_weights(network, path)
    save_weights(network, tmp_path / "saved.weights", loaded.seen)
    assert (tmp_path / "saved.weights").read_bytes() == path.read_bytes()


def test_files_that_darknet_writes_and_cuts(tmp_path: Path) -> None:
    """`darknet partial` reads our file and writes it again: the whole, then the first 5 layers."""
    engine = alexeyab()
    cfg = make_cfg(CfgRequest(classes=3, model="dkit-nano"))
    network = Network(cfg)
    (tmp_path / "nano.cfg").write_text(format_cfg(cfg))
    save_weights(network, tmp_path / "ours.weights", 640)
    for layers in (len(network.built), 5):
        out = tmp_path / f"theirs.conv.{layers}"
        words: list[str | Path] = ["partial", tmp_path / "nano.cfg", tmp_path / "ours.weights"]
        words += [out, str(layers)]
        run_engine(engine, words, tmp_path)
        ours = tmp_path / "cut.weights"
        loaded = load_weights(network, out)
        assert loaded.layers >= layers
        save_weights(network, ours, loaded.seen, cutoff=layers)
        assert ours.read_bytes() == out.read_bytes()


def test_a_backbone_fills_the_layers_that_it_has(save: Callable[..., Path]) -> None:
    network = make(CONV + "[maxpool]\n" + PLAIN)
    before = values(network)
    loaded = load_weights(network, save(10))
    assert (loaded.layers, loaded.of, loaded.is_whole) == (2, 3, False)
    after = values(network)
    assert after["layers.0.weight"] == [8, 9]
    assert after["layers.2.weight"] == before["layers.2.weight"]


def test_a_cutoff_leaves_the_rest_of_the_file_alone(save: Callable[..., Path]) -> None:
    network = make(CONV + PLAIN)
    before = values(network)
    loaded = load_weights(network, save(67), cutoff=1)
    assert (loaded.layers, loaded.unread) == (1, 57)
    assert values(network)["layers.1.weight"] == before["layers.1.weight"]
    assert values(network)["layers.0.norm.bias"] == [0, 1]


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (9, r"end inside layer 0 \(convolutional\), 1 values too early"),
        (30, r"end inside layer 2 \(convolutional\), 37 values too early"),
        (70, "hold 3 values too many"),
        (0, "end inside layer 0"),
    ],
)
def test_what_does_not_fit_changes_nothing(
    save: Callable[..., Path], count: int, message: str
) -> None:
    network = make(CONV + "[maxpool]\n" + PLAIN)
    before = values(network)
    with pytest.raises(WeightsError, match=message) as caught:
        load_weights(network, save(count))
    assert caught.value.code == "weights-do-not-fit"
    assert values(network) == before


def test_dontload_and_dontloadscales_do_not_advance_the_file(save: Callable[..., Path]) -> None:
    network = make(CONV + "dontloadscales=1\n" + PLAIN + "dontload=1\n" + PLAIN)
    before = values(network)
    path = save(2 + 2 + 3 + 81)
    loaded = load_weights(network, path)
    assert loaded.is_whole
    after = values(network)
    assert after["layers.0.norm.bias"] == [0, 1]
    assert after["layers.0.norm.weight"] == [1, 1]
    assert after["layers.0.weight"] == [2, 3]
    assert after["layers.1.weight"] == before["layers.1.weight"]
    assert after["layers.2.bias"] == [4, 5, 6]
    save_weights(network, path, 0)  # what is written is whole
    assert path.stat().st_size == 20 + 4 * (10 + 57 + 84)


def test_a_file_that_holds_all_values_is_read_whole_but_where_a_training_starts_anew(
    tmp_path: Path,
) -> None:
    """A training with `dontload=1` goes on from its own weights, and they can be tested."""
    trained, text = tmp_path / "trained.weights", CONV + PLAIN + "dontload=1\n"
    save_weights(make(text), trained, 5)
    again, fresh = make(text), make(text)
    head = values(fresh)["layers.1.weight"]
    assert load_weights(again, trained).is_whole
    save_weights(again, tmp_path / "again.weights", 5)
    assert (tmp_path / "again.weights").read_bytes() == trained.read_bytes()
    load_weights(fresh, trained, anew=True)
    after = values(fresh)
    assert after["layers.0.weight"] == values(again)["layers.0.weight"]
    assert after["layers.1.weight"] == head != values(again)["layers.1.weight"]


def test_shared_weights_lie_in_the_file_once(tmp_path: Path) -> None:
    conv = "[convolutional]\nfilters=1\nsize=3\npad=1\nactivation=leaky\n"
    save_weights(make(conv + conv + "share_index=0\n"), tmp_path / "shared.weights", 0)
    assert (tmp_path / "shared.weights").stat().st_size == 20 + 4 * 10


def test_old_headers(save: Callable[..., Path]) -> None:
    network = make(CONV)
    assert load_weights(network, save(10, struct.pack("<iiiI", 0, 1, 0, 77))).seen == 77
    layer = network.built[0]
    assert isinstance(layer, Convolutional)
    assert layer.weight.flatten().tolist() == [8, 9]


def test_the_oldest_files_have_connected_weights_transposed(save: Callable[..., Path]) -> None:
    network = make("[connected]\noutput=2\nactivation=linear\n")
    path = save(2 + 12, struct.pack("<fffI", 0.001, 0.9, 0.0005, 77))
    assert load_weights(network, path).seen == 77
    layer = network.built[0]
    assert isinstance(layer, Connected)
    assert layer.weight.tolist() == [[2, 4, 6, 8, 10, 12], [3, 5, 7, 9, 11, 13]]


def test_saving_writes_todays_header_and_all_or_nothing(tmp_path: Path) -> None:
    network = make(CONV)
    path = tmp_path / "net.weights"
    save_weights(network, path, seen=(1 << 33) + 1)
    assert path.read_bytes()[:20] == struct.pack("<iiiQ", 0, 2, 5, (1 << 33) + 1)
    assert [file.name for file in tmp_path.iterdir()] == ["net.weights"]


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_values_that_are_no_numbers_are_not_written_over_good_ones(
    tmp_path: Path, value: float
) -> None:
    network, path = make(CONV), tmp_path / "net_last.weights"
    save_weights(network, path, 640)
    before = path.read_bytes()
    with torch.no_grad():
        next(network.parameters()).view(-1)[-1] = value
    with pytest.raises(TrainError, match="layer 0 holds NaN or infinite values") as caught:
        save_weights(network, path, 1280)
    assert caught.value.code == "diverged"
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    said = find_said([f"error: {caught.value}"])  # as its supervisor hears it
    assert said is not None
    assert said.code == "diverged"
