"""Command lines and checkpoint names; expected words are those of the engines' own usage."""

from pathlib import Path

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.command import (
    best_weights_name,
    detect_command,
    line_buffered,
    map_command,
    stdin_text,
    train_command,
    valid_command,
)
from darknet_kit.engine.find import Engine
from darknet_kit.engine.flavor import Features
from darknet_kit.errors import UsageError

ALEXEYAB = Engine(Path("/e/darknet"), Flavor.ALEXEYAB)
ORIGINAL = Engine(Path("/e/darknet"), Flavor.ORIGINAL)
HANK = Engine(Path("/e/darknet"), Flavor.HANK_AI, Features(gpu=False))


@pytest.fixture(autouse=True)
def _no_stdbuf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)


@pytest.mark.parametrize(
    ("engine", "weights", "options", "expected"),
    [
        (ALEXEYAB, None, {}, "a.data n.cfg -dont_show"),
        (ALEXEYAB, "w.conv.29", {"map": True}, "a.data n.cfg w.conv.29 -dont_show -map"),
        (
            ALEXEYAB,
            "w.weights",
            {"gpus": (0, 1), "clear": True},
            "a.data n.cfg w.weights -dont_show -gpus 0,1 -clear",
        ),
        (ORIGINAL, None, {}, "a.data n.cfg"),
        (ORIGINAL, "w.conv.15", {"clear": True}, "a.data n.cfg w.conv.15 -clear"),
        (HANK, None, {"map": True}, "a.data n.cfg -nocolour -dont_show -map"),
        (HANK, "w.weights", {}, "a.data n.cfg w.weights -nocolour -dont_show"),
    ],
)
def test_train(
    engine: Engine, weights: str | None, options: dict[str, bool], expected: str
) -> None:
    argv = train_command(engine, "a.data", "n.cfg", weights, **options)  # type: ignore[arg-type]
    assert argv == ["/e/darknet", "detector", "train", *expected.split()]


@pytest.mark.parametrize(
    ("engine", "files", "options", "code"),
    [
        (ORIGINAL, ("a.data", "n.cfg", "w.weights"), {"map": True}, "engine-without-map"),
        (ALEXEYAB, ("a.data", "n.cfg", None), {"clear": True}, "clear-without-weights"),
        (HANK, ("a.data", "n.cfg", "yolov4.conv.137"), {}, "hank-partial-weights"),
        (HANK, ("a.data", "n.cfg", "net.backup"), {}, "hank-file-name"),
        (HANK, ("a.txt", "n.cfg", None), {}, "hank-file-name"),
        (HANK, ("a.data", "n.cfg.txt", None), {}, "hank-file-name"),
    ],
)
def test_train_is_refused(
    engine: Engine, files: tuple[str, str, str | None], options: dict[str, bool], code: str
) -> None:
    with pytest.raises(UsageError) as refused:
        train_command(engine, *files, **options)  # type: ignore[arg-type]
    assert refused.value.code == code


def test_other_functions() -> None:
    files = ("a.data", "n.cfg", "w.weights")
    words = ["/e/darknet", "detector"]
    assert valid_command(ORIGINAL, *files) == [*words, "valid", *files]
    assert map_command(ALEXEYAB, *files, points=101) == [
        *[*words, "map", *files, "-dont_show"],
        *["-thresh", "0.25", "-iou_thresh", "0.5", "-points", "101"],
    ]
    assert detect_command(ALEXEYAB, *files, json="o.json")[6:] == [
        *["-dont_show", "-thresh", "0.25", "-out", "o.json", "-ext_output"]
    ]
    assert detect_command(ORIGINAL, *files, "i.jpg")[7:] == [
        *["-thresh", "0.25", "-out", "predictions"]
    ]
    with pytest.raises(UsageError, match="cannot compute mAP"):
        map_command(ORIGINAL, *files)
    with pytest.raises(UsageError, match="no JSON"):
        detect_command(ORIGINAL, *files, json="o.json")


def test_only_hank_on_a_cpu_asks_for_consent() -> None:
    assert stdin_text(HANK) == "yes\n"
    assert stdin_text(Engine(Path("e"), Flavor.HANK_AI)) == "yes\n"  # not told: be prepared
    assert stdin_text(Engine(Path("e"), Flavor.HANK_AI, Features(gpu=True))) == ""
    assert stdin_text(ALEXEYAB) == stdin_text(ORIGINAL) == ""


def test_stdbuf_stands_first_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert line_buffered(["darknet"]) == ["/usr/bin/stdbuf", "-oL", "darknet"]
    assert valid_command(ALEXEYAB, "a", "b", "c")[:3] == ["/usr/bin/stdbuf", "-oL", "/e/darknet"]


@pytest.mark.parametrize(
    ("flavor", "best"),
    [
        (Flavor.ALEXEYAB, "n_best.weights"),
        (Flavor.ORIGINAL, None),
        (Flavor.HANK_AI, "n_best.weights"),
    ],
)
def test_the_name_of_the_best_weights(flavor: Flavor, best: str | None) -> None:
    assert best_weights_name(flavor, "n") == best
