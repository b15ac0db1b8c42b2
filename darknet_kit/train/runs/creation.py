"""A new run folder: all that its engine will read but images and labels."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from darknet_kit import __version__
from darknet_kit.core.contents import digest
from darknet_kit.core.files import link, make_folder, replacing, write_text
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.moments import format_moment
from darknet_kit.dataset.reading import Dataset
from darknet_kit.engine.find import Engine
from darknet_kit.engine.nvidia import find_driver
from darknet_kit.engine.toolchain import parse_cpu_model
from darknet_kit.errors import AnyPath, UsageError
from darknet_kit.formats.cfg import Cfg, write_cfg
from darknet_kit.formats.datafile import format_data, format_lines, iter_image_list, locate
from darknet_kit.train.runs.folder import BACKUP, BASE, RunFolder
from darknet_kit.train.runs.record import (
    EngineRecord,
    HostRecord,
    Made,
    RunRecord,
    RunSettings,
    write_record,
)

_ABOVE = "../.."  # from an attempt's folder, where the engine runs, to the run's


def free_name(root: AnyPath, wanted: str) -> str:
    """Return `wanted`, or `wanted-2`, `wanted-3`, … where a run of that name exists."""
    name, number = wanted, 1
    while os.path.exists(os.path.join(root, name)):
        number += 1
        name = f"{wanted}-{number}"
    return name


def create_run(
    path: AnyPath, dataset: Dataset, cfg: Cfg, settings: RunSettings, engine: Engine
) -> RunFolder:
    """Make a run folder that holds all that the engine will read but images and labels.

    Raises UsageError (`run-exists`), WriteError.
    """
    run = RunFolder(Path(path).absolute())
    make_folder(run.path)
    if any(run.path.iterdir()) or not _claim(run.weights):
        raise UsageError(
            "this run exists already",
            code="run-exists",
            hint=f"Go on with it: dkit train --resume {run.path}   or choose another --name.",
            path=run.path,
        )
    write_cfg(run.cfg, cfg)
    write_text(run.names, format_lines(dataset.names))
    lists = _lists(dataset, settings.map, engine)
    _write_lists(run, lists)
    write_text(run.data, format_data(_data_options(dataset, settings.map, lists)))
    write_record(run, _record(dataset, cfg, settings, engine))
    return run


def _claim(folder: Path) -> bool:
    """Make a folder; tell whether it was this process, of several at the same time, that did."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    except OSError:
        make_folder(folder)  # says what is wrong
    return True


def _lists(dataset: Dataset, with_map: bool, engine: Engine) -> dict[str, Path]:
    """Return the lists that this engine will read, by their names in the run.

    AlexeyAB's and the embedded engine know of difficult objects; hank-ai's would warn of the key.
    """
    data = dataset.data
    lists = {"train.txt": data.train, "valid.txt": data.valid}
    if with_map and engine.flavor is Flavor.ALEXEYAB and "difficult" in data.options:
        lists["difficult.txt"] = locate(data.options["difficult"], data.path)
    return {name: path for name, path in lists.items() if path is not None and path.exists()}


def _write_lists(run: RunFolder, lists: Mapping[str, Path]) -> None:
    """Put the image lists into the run: as links, or rewritten where their paths are relative."""
    for name, source in lists.items():
        if all(map(os.path.isabs, iter_image_list(source))):
            link(source, run.path / name)
        else:
            with replacing(run.path / name) as stream:
                stream.writelines(f"{os.path.abspath(p)}\n" for p in iter_image_list(source))


def _data_options(dataset: Dataset, with_map: bool, lists: Mapping[str, Path]) -> dict[str, object]:
    # Relative, because Darknet mangles blanks in values and overflows on very long paths.
    valid = "valid.txt" if with_map else "train.txt"
    options: dict[str, object] = {
        "classes": len(dataset.names),
        "train": f"{_ABOVE}/train.txt",
        "valid": f"{_ABOVE}/{valid}",
        "names": f"{_ABOVE}/{BASE}.names",
        "backup": BACKUP,
    }
    if "difficult.txt" in lists:
        options["difficult"] = f"{_ABOVE}/difficult.txt"
    return options


def _record(dataset: Dataset, cfg: Cfg, settings: RunSettings, engine: Engine) -> RunRecord:
    return RunRecord(
        run=Made(format_moment(), __version__),
        settings=settings,
        engine=EngineRecord(
            path=os.fspath(engine.path),
            flavor=engine.flavor.value,
            version=engine.version,
            commit=engine.commit,
            features=str(engine.features),
        ),
        digests={
            "cfg": digest(cfg.path) if cfg.path else "",
            "names": digest(dataset.data.names),
            "train": digest(dataset.data.require_train()),
            **({"weights": digest(settings.weights)} if settings.weights else {}),
        },
        host=_describe_host(engine),
    )


def _describe_host(engine: Engine) -> HostRecord:
    driver = None if engine.features.gpu is False else find_driver()  # sleeping GPUs are slow
    return HostRecord(
        system=platform.platform(),
        processor=_name_processor() or platform.machine(),
        cores=os.cpu_count() or 0,
        gpus=tuple(gpu.name for gpu in driver.gpus) if driver else (),
        driver=driver.version if driver else "",
    )


def _name_processor() -> str:
    try:
        return parse_cpu_model(Path("/proc/cpuinfo").read_text(errors="replace"))
    except OSError:
        return ""
