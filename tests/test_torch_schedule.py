"""The schedule prints the rates that AlexeyAB's Darknet prints."""

import math
import os
import random
import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from darknet_kit.engine.torch.training.schedule import learning_rate
from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import Cfg, parse_cfg
from tests.engines import alexeyab

# What AlexeyAB's binary (CPU, 59596d78) printed in the first 30 iterations of a net of two
# convolutions and a [yolo], with max_batches=30, batch=2 and these lines; `test_an_engine_prints`
# runs it again where there is one.
PRINTED = {
    "constant": (
        "policy=constant\nlearning_rate=7.3",
        """
        7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000
        7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000
        7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000
        7.300000 7.300000 7.300000
        """,
    ),
    "burn_in": (
        "policy=constant\nlearning_rate=7.3\nburn_in=20",
        """
        0.000046 0.000730 0.003696 0.011680 0.028516 0.059130 0.109546 0.186880 0.299346
        0.456250 0.667996 0.946080 1.303095 1.752730 2.309766 2.990080 3.810646 4.789530
        5.945896 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000
        7.300000 7.300000 7.300000
        """,
    ),
    "burn_in_power": (
        "policy=constant\nlearning_rate=7.3\nburn_in=20\npower=1.5",
        """
        0.081616 0.230846 0.424092 0.652932 0.912500 1.199512 1.511558 1.846770 2.203645
        2.580940 2.977604 3.392734 3.825541 4.275333 4.741489 5.223455 5.720728 6.232849
        6.759402 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000
        7.300000 7.300000 7.300000
        """,
    ),
    "step": (
        "policy=step\nlearning_rate=7.3\nstep=7\nscale=.7",
        """
        7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 5.110000 5.110000 5.110000
        5.110000 5.110000 5.110000 5.110000 3.577000 3.577000 3.577000 3.577000 3.577000
        3.577000 3.577000 2.503900 2.503900 2.503900 2.503900 2.503900 2.503900 2.503900
        1.752730 1.752730 1.752730
        """,
    ),
    "steps": (
        "policy=steps\nlearning_rate=7.3\nburn_in=5\nsteps=8,14,21\nscales=.3,.1,7.7",
        """
        0.011680 0.186880 0.946080 2.990080 7.300000 7.300000 7.300000 2.190000 2.190000
        2.190000 2.190000 2.190000 2.190000 0.219000 0.219000 0.219000 0.219000 0.219000
        0.219000 0.219000 1.686300 1.686300 1.686300 1.686300 1.686300 1.686300 1.686300
        1.686300 1.686300 1.686300
        """,
    ),
    "steps_unsorted": (
        "policy=steps\nlearning_rate=7.3\nsteps=20,5\nscales=.5,.1",
        """
        7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000
        7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000 7.300000
        7.300000 0.365000 0.365000 0.365000 0.365000 0.365000 0.365000 0.365000 0.365000
        0.365000 0.365000 0.365000
        """,
    ),
    "exp": (
        "policy=exp\nlearning_rate=7.3\ngamma=.93",
        """
        6.789000 6.313770 5.871807 5.460780 5.078526 4.723029 4.392416 4.084948 3.799001
        3.533071 3.285756 3.055753 2.841851 2.642921 2.457917 2.285862 2.125852 1.977043
        1.838650 1.709944 1.590248 1.478931 1.375406 1.279127 1.189588 1.106317 1.028875
        0.956854 0.889874 0.827583
        """,
    ),
    "poly": (
        "policy=poly\nlearning_rate=7.3",
        """
        6.374260 5.539493 4.789530 4.118426 3.520447 2.990080 2.522024 2.111196 1.752730
        1.441975 1.174498 0.946080 0.752720 0.590633 0.456250 0.346218 0.257402 0.186880
        0.131950 0.090123 0.059130 0.036915 0.021639 0.011680 0.005633 0.002307 0.000730
        0.000144 0.000009 0.000000
        """,
    ),
    "poly_power": (
        "policy=poly\nlearning_rate=7.3\npower=.7",
        """
        7.128802 6.955824 6.780982 6.604187 6.425338 6.244330 6.061045 5.875352 5.687108
        5.496155 5.302315 5.105388 4.905149 4.701344 4.493677 4.281812 4.065354 3.843836
        3.616703 3.383280 3.142735 2.894016 2.635765 2.366159 2.082654 1.781476 1.456542
        1.096627 0.675054 0.000000
        """,
    ),
    "sigmoid": (
        "policy=sigmoid\nlearning_rate=7.3\ngamma=.31\nstep=12",
        """
        7.066514 6.985317 6.877572 6.735913 6.551918 6.316668 6.021870 5.661617 5.234650
        4.746595 4.211263 3.650000 3.088738 2.553405 2.065351 1.638383 1.278130 0.983332
        0.748082 0.564087 0.422429 0.314683 0.233486 0.172722 0.127487 0.093942 0.069139
        0.050838 0.037356 0.027436
        """,
    ),
    "sgdr": (
        "policy=sgdr\nlearning_rate=7.3\nburn_in=3\nsgdr_cycle=4\nsgdr_mult=2",
        """
        0.090123 1.441975 1.069069 0.000010 7.022161 6.230941 5.046798 3.650005 2.253212
        1.069069 0.277849 0.000010 7.229867 7.022161 6.684865 6.230941 5.677834 5.046798
        4.362084 3.650005 2.937926 2.253212 1.622177 1.069069 0.615145 0.277849 0.070144
        0.000010 7.282424 7.229867
        """,
    ),
    "sgdr_once": (
        "policy=sgdr\nlearning_rate=7.3\nlearning_rate_min=.4",
        """
        7.281101 7.224609 7.131145 7.001732 6.837788 6.641109 6.413850 6.158501 5.877859
        5.575000 5.253242 4.916109 4.567296 4.210623 3.850000 3.489377 3.132705 2.783891
        2.446759 2.125000 1.822141 1.541499 1.286150 1.058891 0.862212 0.698268 0.568855
        0.475391 0.418899 0.400000
        """,
    ),
    "sgdr_even": (
        "policy=sgdr\nlearning_rate=7.3\nlearning_rate_min=.4\nsgdr_cycle=7\nsgdr_mult=1",
        """
        6.958343 6.001040 4.617697 3.082303 1.698960 0.741657 0.400000 6.958343 6.001040
        4.617697 3.082303 1.698960 0.741657 0.400000 6.958343 6.001040 4.617697 3.082303
        1.698960 0.741657 0.400000 6.958343 6.001040 4.617697 3.082303 1.698960 0.741657
        0.400000 6.958343 6.001040
        """,
    ),
}


def _net(keys: str) -> Cfg:
    return parse_cfg(f"[net]\nmax_batches=30\n{keys}\n", "net.cfg")


@pytest.mark.parametrize(("keys", "printed"), PRINTED.values(), ids=PRINTED.keys())
def test_rates_are_those_that_darknet_prints(keys: str, printed: str) -> None:
    cfg = _net(keys)
    rates = [f"{learning_rate(cfg, number):f}" for number in range(1, 31)]
    assert rates == printed.split()


@pytest.mark.parametrize("name", ["steps", "sgdr"])
def test_an_engine_prints(name: str, tmp_path: Path) -> None:
    keys, printed = PRINTED[name]
    Image.new("RGB", (40, 40), (90, 120, 30)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("0 .5 .5 .4 .4\n")
    (tmp_path / "train.txt").write_text(f"{tmp_path}/a.png\n")
    (tmp_path / "o.names").write_text("thing\n")
    (tmp_path / "o.data").write_text(
        f"classes=1\ntrain={tmp_path}/train.txt\nnames={tmp_path}/o.names\nbackup={tmp_path}\n"
    )
    (tmp_path / "n.cfg").write_text(
        f"[net]\nbatch=2\nwidth=32\nheight=32\nchannels=3\nmax_batches=30\n{keys}\n"
        "[convolutional]\nfilters=6\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
        "[convolutional]\nfilters=6\nactivation=linear\n"
        "[yolo]\nmask=0\nanchors=10,10\nclasses=1\nnum=1\n"
    )
    done = subprocess.run(
        [alexeyab(), "detector", "train", "o.data", "n.cfg", "-dont_show"],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert re.findall(r"avg loss, (\S+) rate", done.stdout) == printed.split()


def test_own_cosine_falls_from_burn_in_to_the_end() -> None:
    cfg = _net(
        "learning_rate=.2\nlearning_rate_min=.1\nburn_in=10\ndkit_policy=cosine\npolicy=steps"
    )
    rates = {number: learning_rate(cfg, number) for number in (5, 10, 15, 20, 25, 30, 40)}
    root = math.sqrt(0.5)
    assert rates == pytest.approx(
        {
            5: 0.2 / 16,
            10: 0.2,
            15: 0.15 + 0.05 * root,
            20: 0.15,
            25: 0.15 - 0.05 * root,
            30: 0.1,
            40: 0.1,
        },
        rel=1e-6,
    )


def test_random_draws_from_the_generator_that_it_is_given() -> None:
    cfg = _net("learning_rate=2\npolicy=random\npower=3")
    expected = [2 * random.Random(5).random() ** 3, 2 * random.Random(6).random() ** 3]
    rates = [learning_rate(cfg, 1, random.Random(seed)) for seed in (5, 6)]
    assert rates == pytest.approx(expected, rel=1e-6)


def test_processes_multiply_the_rate_and_not_its_least_value() -> None:
    cfg = _net("learning_rate=.01\nlearning_rate_min=.004\npolicy=sgdr")
    assert learning_rate(cfg, 30, processes=4) == pytest.approx(0.004, rel=1e-6)
    assert learning_rate(cfg, 0, processes=4) == pytest.approx(0.04, rel=1e-6)


def test_defaults_are_darknets() -> None:
    assert learning_rate(parse_cfg("[net]\n"), 1) == pytest.approx(0.001, rel=1e-6)


@pytest.mark.parametrize(
    ("keys", "rate"),
    [
        ("policy=exp\ngamma=10", math.inf),
        ("policy=sigmoid\ngamma=9", 0.0),
        ("policy=poly\npower=.5", math.nan),
    ],
)
def test_numbers_out_of_range_raise_nothing(keys: str, rate: float) -> None:
    assert learning_rate(_net(keys), 1000) == pytest.approx(rate, nan_ok=True)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("policy=warmup", 3),
        ("policy=steps", 1),
        ("policy=steps\nsteps=5,6\nscales=.1", 4),
        ("policy=step\nstep=0", 4),
        ("policy=sgdr\nsgdr_mult=0", 4),
        ("policy=sgdr\nsgdr_cycle=-3", 4),
        ("dkit_policy=cosin", 3),
    ],
)
def test_a_policy_that_cannot_work_is_an_error_at_its_line(keys: str, line: int) -> None:
    with pytest.raises(CfgError) as caught:
        learning_rate(_net(keys), 1)
    assert (caught.value.code, caught.value.path, caught.value.line) == (
        "bad-schedule",
        "net.cfg",
        line,
    )
