"""Fixtures that several test modules share."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from darknet_kit.cli.main import main
from tests.trainings import fake, gate, shapes

__all__ = ["fake", "gate", "shapes"]  # fixtures

PROJECT = Path(__file__).resolve().parent.parent

# On a busy machine an example takes what it takes; that says nothing about what is tested.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture
def dkit(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run `dkit` in this process: `dkit("plot-log", path)`."""

    def call(*words: str | os.PathLike[str]) -> Ended:
        arguments: Sequence[str] = [os.fspath(word) for word in words]
        capsys.readouterr()
        exit_code = main(arguments)
        captured = capsys.readouterr()
        return Ended(exit_code, captured.out, captured.err)

    return call


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """Find a file or folder of real data, or skip: `shared_data("D_logs/classic")`.

    The data cannot be redistributed, so it lies outside the project, beside it.
    """

    def find(name: str) -> Path:
        path = PROJECT.parent / "shared" / "data" / name
        if not path.exists():
            pytest.skip(f"real data is not on this machine: {name}")
        return path

    return find
