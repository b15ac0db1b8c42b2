"""The embedded engine against recordings of AlexeyAB's own code (`golden/README.md`)."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from darknet_kit.engine.torch.data.loader import Batch  # noqa: E402
from darknet_kit.engine.torch.device import Arithmetic  # noqa: E402
from darknet_kit.engine.torch.distributed import Team  # noqa: E402
from darknet_kit.engine.torch.network import Network  # noqa: E402
from darknet_kit.engine.torch.training.learner import Learner  # noqa: E402
from darknet_kit.engine.torch.training.optimizer import build_optimizer  # noqa: E402
from darknet_kit.engine.torch.weights import load_weights, save_weights  # noqa: E402
from darknet_kit.formats.cfg import Cfg, read_cfg, set_value  # noqa: E402

GOLDEN = Path(__file__).parent / "golden"
NUMBER = re.compile(r"(-?\d+\.?)(\d*)")
HEADER = 20  # bytes before the first float of a `.weights` file
Keys = Mapping[str, Mapping[str, str]]
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Recording:
    """One net with the keys of one variant, and what AlexeyAB's code made of it."""

    cfg: Cfg
    arrays: Arrays

    def build(self, folder: Path) -> Network:
        path = folder / "initial.weights"
        path.write_bytes(self.arrays["weights"].tobytes())
        network = Network(self.cfg)
        load_weights(network, path)
        return network

    def minibatches(self) -> list[tuple[Tensor, Tensor]]:
        size = len(self.arrays["pixels"]) // self.cfg.net.integer("subdivisions", 1)
        pixels, truths = (torch.from_numpy(self.arrays[name]) for name in ("pixels", "truths"))
        return list(zip(pixels.split(size), truths.split(size), strict=True))

    def numbered(self, name: str) -> Iterator[tuple[int, np.ndarray]]:
        """Yield what was recorded of each head under this name."""
        return ((n, self.arrays[f"{name}{n}"]) for n in (0, 1) if f"{name}{n}" in self.arrays)


def _variants() -> list[tuple[str, str, Keys]]:
    nets = tomllib.loads((GOLDEN / "variants.toml").read_text())
    return [
        (net, variant, keys) for net, variants in nets.items() for variant, keys in variants.items()
    ]


def _set_keys(cfg: Cfg, keys: Keys) -> Cfg:
    for kind, values in keys.items():
        for key, value in values.items():
            for index, section in enumerate(cfg.sections):
                if section.kind == kind:
                    cfg = set_value(cfg, cfg.sections[index], key, value)
    return cfg


def _read_arrays(net: str, variant: str) -> Arrays:
    parts = (np.load(GOLDEN / f"{name}.npz") for name in (net, f"{net}-{variant}"))
    return {name: array for part in parts for name, array in part.items()}


RECORDINGS = {
    f"{net}-{variant}": Recording(
        _set_keys(read_cfg(GOLDEN / f"{net}.cfg"), keys), _read_arrays(net, variant)
    )
    for net, variant, keys in _variants()
}
# The variants of a net have one forward pass.
FIRSTS = list({name.partition("-")[0]: name for name in reversed(RECORDINGS)}.values())
TRAINED = [name for name, recording in RECORDINGS.items() if "losses" in recording.arrays]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """These nets are too small to be shared out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=RECORDINGS)
def recording(request: pytest.FixtureRequest) -> Recording:
    return RECORDINGS[request.param]


def _relative_l2(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def _digits(number: re.Match[str]) -> str:
    """Return a number's form: how many digits it has behind the point."""
    return f"#{len(number[2])}"


@pytest.mark.parametrize("recording", FIRSTS, indirect=True)
def test_forward_equals_the_recorded_one(recording: Recording, tmp_path: Path) -> None:
    network = recording.build(tmp_path)
    pixels, _ = recording.minibatches()[0]
    for mode in ("inference", "training"):
        with torch.no_grad():
            raws = network.train(mode == "training")(pixels.float() / 255)
        compared = 0
        for head, expected in recording.numbered(mode):
            found = raws[head][0].reshape(-1).numpy()
            np.testing.assert_allclose(found, expected[0], rtol=0, atol=1e-4, err_msg=mode)
            compared += 1
        assert compared == len(network.heads)


def test_delta_cost_and_lines_equal_the_recorded_ones(recording: Recording, tmp_path: Path) -> None:
    network = recording.build(tmp_path).train()
    pixels, truths = recording.minibatches()[0]
    with torch.no_grad():
        raws = network(pixels.float() / 255)
    told = network.assess(raws, truths, network.size, len(pixels))
    for head, expected in recording.numbered("delta"):
        found = told[head].delta.reshape(len(pixels), -1).numpy()
        assert _relative_l2(found, expected) < 1e-5
    for head, expected in recording.numbered("cost"):
        assert float(told[head].cost) == pytest.approx(float(expected), rel=1e-5)
    stats = [one.stats.tolist() for one in told]
    for head, expected in recording.numbered("line"):
        line = network.heads[head].format_line(stats[head])
        assert NUMBER.sub(_digits, line) == NUMBER.sub(_digits, f"{expected}\n")
        for ours, theirs in zip(NUMBER.findall(line), NUMBER.findall(str(expected)), strict=True):
            # A part of the loss is the difference of two sums, printed with few digits.
            last = 10.0 ** -len(theirs[1]) if theirs[1] else 0.0
            assert float("".join(ours)) == pytest.approx(
                float("".join(theirs)), rel=1e-4 if last else 0, abs=1.5 * last
            )
    if "boxes" in recording.arrays:
        counts = [head.count_boxes(one) for head, one in zip(network.heads, stats, strict=True)]
        assert np.sum(counts, axis=0).tolist() == recording.arrays["boxes"].tolist()


@pytest.mark.parametrize("recording", TRAINED, indirect=True)
def test_training_follows_the_recorded_one(recording: Recording, tmp_path: Path) -> None:
    """8 or 30 updates with the same images, with momentum, decay and two mini-batches each."""
    network = recording.build(tmp_path).train()
    batches = [Batch(*pair) for pair in recording.minibatches()]
    images = sum(len(batch.images) for batch in batches)
    learner = Learner(network, Arithmetic(torch.device("cpu")), Team(), subdivisions=len(batches))
    optimizer = build_optimizer(network, recording.cfg)
    rate = recording.cfg.net.number("learning_rate")
    losses = []
    for iteration in range(len(recording.arrays["losses"])):
        losses.append(learner.read(learner.learn(batches, iteration * images)).loss)
        optimizer.step(rate, images=images, batch_number=iteration + 1)
        if iteration == 0:
            path = tmp_path / "after.weights"
            save_weights(network, path, images)
            found, expected = (
                np.frombuffer(data[HEADER:], np.float32)
                for data in (path.read_bytes(), recording.arrays["weights_after"].tobytes())
            )
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(losses, recording.arrays["losses"], rtol=1e-4)
