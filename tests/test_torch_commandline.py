"""The embedded engine takes Darknet's command line."""

import pytest

from darknet_kit.engine.torch.commandline import parse_command_line
from darknet_kit.errors import UsageError


def test_a_training_as_darknet_users_type_it() -> None:
    words = "detector train a.data b.cfg c.conv.29 -map -dont_show -gpus 0,1 -mjpeg_port 8090"
    command = parse_command_line(words.split())
    assert (command.function, command.data, command.cfg) == ("train", "a.data", "b.cfg")
    assert command.weights == "c.conv.29"
    assert command.map
    assert command.gpus == (0, 1)
    assert not command.clear


def test_options_may_stand_between_the_files() -> None:
    words = "detector map -points 101 a.data b.cfg -iou_thresh 0.75 c.weights"
    command = parse_command_line(words.split())
    assert (command.data, command.cfg, command.weights) == ("a.data", "b.cfg", "c.weights")
    assert (command.points, command.iou_thresh) == (101, 0.75)


def test_images_follow_the_weights() -> None:
    words = "detector test a.data b.cfg c.weights x.jpg y.png"
    command = parse_command_line(words.split())
    assert command.images == ("x.jpg", "y.png")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("", "usage"),
        ("detector", "usage"),
        ("classifier train a b", "usage"),
        ("detector recall a.data b.cfg c.weights", "no-such-function"),
        ("detector train", "usage"),
        ("detector train a.data", "usage"),
        ("detector train a.data b.cfg c.weights d.weights", "usage"),
        ("detector map a.data b.cfg", "usage"),
        ("detector train a.data b.cfg -maps", "usage"),
        ("detector train a.data b.cfg -thresh high", "usage"),
        ("detector train a.data b.cfg -gpus 0,x", "usage"),
        ("detector train a.data b.cfg -precision fp8", "usage"),
        ("detector train a.data b.cfg -augment gpu", "usage"),
    ],
)
def test_a_wrong_command_line_is_refused(words: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_command_line(words.split())
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("detector train", "DATA is missing"),
        ("detector train a.data -map", "CFG is missing"),
        ("detector valid a.data b.cfg", "WEIGHTS is missing"),
        ("detector map a.data b.cfg c.weights d.jpg", "'d.jpg' is one file too many"),
    ],
)
def test_the_files_that_are_missing_or_too_many_are_named(words: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_command_line(words.split())
    assert caught.value.message == said
    assert f"detector {words.split()[1]} DATA CFG" in caught.value.hint


@pytest.mark.parametrize("words", ["--help", "detector -h", "detector map --help"])
def test_help_is_no_error(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_command_line(words.split())
    assert caught.value.code == 0
    assert "-iou_thresh" in capsys.readouterr().out
