"""A training that stops and goes on is the training that never stopped."""

import io
import pickle
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from darknet_kit.engine.torch.network import Network  # noqa: E402
from darknet_kit.engine.torch.training.classweights import (  # noqa: E402
    balance_classes,
    count_objects,
    weigh_classes,
)
from darknet_kit.engine.torch.training.ema import MovingAverage, plan_average  # noqa: E402
from darknet_kit.engine.torch.training.optimizer import build_optimizer  # noqa: E402
from darknet_kit.engine.torch.training.resume import (  # noqa: E402
    TrainState,
    read_generators,
    read_state,
    set_generators,
    state_path,
    write_state,
)
from darknet_kit.engine.torch.weights import load_weights, save_weights  # noqa: E402
from darknet_kit.errors import WeightsError  # noqa: E402
from darknet_kit.formats.cfg import Cfg, parse_cfg  # noqa: E402

CPU = torch.device("cpu")


def _cfg(keys: str = "") -> Cfg:
    return parse_cfg(
        f"[net]\nwidth=8\nheight=8\nchannels=3\nmax_batches=10\ndkit_ema=.9\n{keys}\n"
        "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\npad=1\nactivation=mish\n"
        "[convolutional]\nfilters=6\nactivation=linear\n"
        "[yolo]\nmask=0\nnum=1\nanchors=4,4\nclasses=1\n"
    )


class _Training:
    def __init__(self, cfg: Cfg) -> None:
        torch.manual_seed(1)
        plan = plan_average(cfg)
        assert plan is not None
        self.network = Network(cfg).train()
        self.optimizer = build_optimizer(self.network, cfg)
        self.average = MovingAverage(self.network, plan)

    def run(self, iterations: range) -> None:
        for iteration in iterations:
            images = torch.rand(2, 3, 8, 8)  # drawn, so that the generator must go on, too
            loss = self.network(images)[0].square().mean()
            self.network.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step(0.1 / iteration, images=2, batch_number=iteration)
            self.average.follow(iteration - 1, iteration)

    def save(self, path: Path, iteration: int) -> None:
        save_weights(self.network, path, seen=iteration * 2)
        state = TrainState(
            iteration,
            self.optimizer.state(),
            self.average.state(),
            read_generators(CPU),
            {"best": 0.25, "count": 7},
        )
        write_state(path, state)

    def restore(self, path: Path) -> TrainState:
        load_weights(self.network, path)
        state = read_state(path)
        assert state is not None
        self.optimizer.restore(state.optimizer)
        self.average.restore(state.average)
        set_generators(state.generators, CPU)
        return state


@pytest.mark.parametrize("keys", ["", "adam=1", "dkit_optimizer=adamw"])
def test_ten_iterations_are_five_and_five_bit_for_bit(keys: str, tmp_path: Path) -> None:
    cfg, path = _cfg(keys), tmp_path / "net_last.weights"
    whole = _Training(cfg)
    whole.run(range(1, 11))
    first = _Training(cfg)
    first.run(range(1, 6))
    first.save(path, 5)
    second = _Training(cfg)
    torch.rand(17)
    state = second.restore(path)
    second.run(range(state.iteration + 1, 11))
    whole.save(tmp_path / "whole.weights", 10)
    second.save(tmp_path / "second.weights", 10)
    assert (tmp_path / "second.weights").read_bytes() == (tmp_path / "whole.weights").read_bytes()
    assert state.numbers == {"best": 0.25, "count": 7}
    for name, kept in whole.optimizer.state().items():
        for key, value in kept.items():
            assert torch.equal(value, second.optimizer.state()[name][key])
    for name, value in whole.average.state().items():
        assert torch.equal(value, second.average.state()[name])


def test_without_the_state_it_would_be_another_training(tmp_path: Path) -> None:
    cfg, path = _cfg(), tmp_path / "net_last.weights"
    first = _Training(cfg)
    first.run(range(1, 6))
    first.save(path, 5)
    ends = []
    for resumes in (True, False):
        second = _Training(cfg)
        if resumes:
            second.restore(path)
        else:
            load_weights(second.network, path)
        torch.manual_seed(9)
        second.run(range(6, 11))
        ends.append(second.network.state_dict()["layers.1.weight"])
    assert not torch.equal(*ends)


def test_there_need_not_be_a_state(tmp_path: Path) -> None:
    assert read_state(tmp_path / "net.weights") is None


def test_a_state_lies_beside_its_weights() -> None:
    assert state_path("backup/net_last.weights") == Path("backup/net_last.state")


def test_the_state_of_other_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net_last.weights"
    training = _Training(_cfg())
    training.run(range(1, 3))
    training.save(path, 2)
    training.run(range(3, 4))
    save_weights(training.network, path, seen=6)
    with pytest.raises(WeightsError) as caught:
        read_state(path)
    assert (caught.value.code, caught.value.path) == ("stale-state", str(state_path(path)))


class _Harmful:
    """What runs code when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


def _saved(content: object) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def _good() -> dict[str, object]:
    return {
        "format": 1,
        "weights": "",
        "iteration": 1,
        "optimizer": {},
        "average": {},
        "generators": {},
        "numbers": {},
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 and then nothing",
        pickle.dumps([1, 2]),
        _saved([1, 2]),
        _saved(_good() | {"format": 2}),
        _saved(_good() | {"iteration": "1"}),
        _saved(_good() | {"iteration": -1}),
        _saved(_good() | {"optimizer": {"a": {"b": 1}}}),
        _saved(_good() | {"average": {"a": torch.eye(3).to_sparse()}}),
        _saved(_good() | {"numbers": {"best": "high"}}),
    ],
)
def test_what_is_no_state_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.weights"
    path.write_bytes(b"weights")
    state_path(path).write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        read_state(path)
    assert caught.value.code == "damaged-state"


def test_no_code_of_a_state_is_run(tmp_path: Path) -> None:
    path, target = tmp_path / "net.weights", tmp_path / "touched"
    path.write_bytes(b"weights")
    content = _saved(_good() | {"numbers": _Harmful(target)})
    state_path(path).write_bytes(content)
    with pytest.raises(WeightsError):
        read_state(path)
    assert not target.exists()
    torch.load(io.BytesIO(content), weights_only=False)
    assert target.exists()  # the file would have done it


def test_generators_that_are_none_are_refused() -> None:
    with pytest.raises(WeightsError):
        set_generators({"cpu": torch.zeros(3)}, CPU)


def test_an_object_counts_one_on_average(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "a.txt").write_text("0 .5 .5 .2 .2\n" * 6 + "2 .5 .5 .2 .2\n9 .5 .5 .2 .2\n")
    (tmp_path / "b.txt").write_text("2 .5 .5 .2 .2\n")
    images = [str(tmp_path / name) for name in ("a.jpg", "b.jpg", "none.jpg")]
    counts = count_objects(images, 3)
    assert counts == [6, 0, 2]
    weights = balance_classes(counts)
    # 8 objects, 2 classes that have any: 8 / (2 * 6), and 8 / (2 * 2).
    assert weights == pytest.approx((2 / 3, 1.0, 2.0))
    assert sum(w * n for w, n in zip(weights, counts, strict=True)) == pytest.approx(8)


def test_heads_get_the_weights_of_their_classes() -> None:
    cfg = parse_cfg(
        "[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nfilters=8\nactivation=linear\n"
        "[yolo]\nmask=0\nnum=1\nanchors=4,4\nclasses=3\n"
    )
    network = Network(cfg)
    weigh_classes(network, [6, 0, 2])
    weights = network.heads[0].class_weights
    assert isinstance(weights, torch.Tensor)
    assert weights.tolist() == pytest.approx([2 / 3, 1.0, 2.0])
