"""Options that dkit passes, against the real programs: an unknown one is taken for a file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.engine.command import (
    can_map,
    detect_command,
    map_command,
    train_command,
    valid_command,
)
from darknet_kit.engine.find import Engine
from darknet_kit.engine.flavor import identify
from tests.engines import alexeyab, original


@pytest.mark.parametrize("find", [alexeyab, original])
def test_every_option_is_one_that_the_real_program_knows(find: Callable[[], Path]) -> None:
    program = find()
    engine = Engine(program, identify(program).flavor)
    with_map = can_map(engine.flavor)
    files = ("a.data", "n.cfg", "w.weights")
    commands = [
        train_command(engine, *files, map=with_map, gpus=(0, 1), clear=True),
        valid_command(engine, *files),
        detect_command(engine, *files, "i.jpg", json="o.json" if with_map else None),
        *([map_command(engine, *files)] if with_map else []),
    ]
    words = {word for command in commands for word in command[command.index("detector") :]}
    options = {word for word in words if word.startswith("-")}
    known = program.resolve().read_bytes()
    assert [word for word in options if f"\0{word}\0".encode() not in known] == []
    assert len(options) > 3
