"""A training for Weights & Biases: an offline run, which `wandb sync` uploads if one likes."""

import os
from collections.abc import Mapping
from pathlib import Path

from darknet_kit.core.files import make_folder
from darknet_kit.errors import AnyPath, ToolchainError
from darknet_kit.export.scalars import iter_steps
from darknet_kit.formats.trainlog import Log

_MOST_STEPS = 10_000  # its writer takes about a millisecond for one


def export_wandb(log: Log, folder: AnyPath, name: str, config: Mapping[str, str]) -> Path:
    """Write a training into `folder` as an offline run, without a network or an account.

    `config` is what it was asked for. Raises ToolchainError (`missing-extra`), WriteError.
    """
    try:
        import wandb
    except ImportError as error:
        raise ToolchainError(
            f"this needs {error.name}, which is not installed",
            code="missing-extra",
            hint="pip install 'darknet-kit[wandb]'",
        ) from error
    settings = wandb.Settings(
        console="off",
        silent=True,
        disable_git=True,
        save_code=False,
        x_disable_meta=True,  # of this machine, which need not be the one that trained
        x_disable_stats=True,
    )
    run = wandb.init(
        mode="offline",
        dir=os.fspath(make_folder(folder)),
        project="darknet",
        name=name,
        config=dict(config),
        settings=settings,
    )
    for step in iter_steps(log, _MOST_STEPS):
        run.log(dict(step.values), step=step.iteration)
    place = Path(run.dir).parent
    run.finish()
    return place
