"""darknet-kit: from a folder of annotated images to a trained Darknet network.

The functions that the commands call, for notebooks and scripts; each is loaded when it is used.
"""

import importlib

__version__ = "0.1.0"

TYPE_CHECKING = False  # typing's: its import is long enough for Ctrl-C to show a traceback
if TYPE_CHECKING:
    from typing import Any

    from darknet_kit.dataset.checks.whole import HowToCheck, check_data
    from darknet_kit.dataset.convert import convert_coco, convert_ilsvrc, convert_voc
    from darknet_kit.dataset.plan import ConvertOptions
    from darknet_kit.dataset.reading import iter_images, read_dataset
    from darknet_kit.dataset.selection import SubsetOptions
    from darknet_kit.dataset.stats import stats
    from darknet_kit.dataset.subset import subset
    from darknet_kit.engine.find import find_engine
    from darknet_kit.evaluate.detect import detect
    from darknet_kit.formats.cfg import read_cfg, write_cfg
    from darknet_kit.formats.telemetry import read_telemetry
    from darknet_kit.formats.trainlog import read_log
    from darknet_kit.network.check import check_cfg
    from darknet_kit.network.model import CfgRequest, make_cfg
    from darknet_kit.report.charts import Look, draw_training, plot_training
    from darknet_kit.report.comparison import compare_trainings
    from darknet_kit.train.runs.history import read_history
    from darknet_kit.train.runs.listing import iter_runs

_HOMES = {
    "CfgRequest": "network.model",
    "ConvertOptions": "dataset.plan",
    "HowToCheck": "dataset.checks.whole",
    "Look": "report.charts",
    "SubsetOptions": "dataset.selection",
    "check_cfg": "network.check",
    "check_data": "dataset.checks.whole",
    "compare_trainings": "report.comparison",
    "convert_coco": "dataset.convert",
    "convert_ilsvrc": "dataset.convert",
    "convert_voc": "dataset.convert",
    "detect": "evaluate.detect",
    "draw_training": "report.charts",
    "find_engine": "engine.find",
    "iter_images": "dataset.reading",
    "iter_runs": "train.runs.listing",
    "make_cfg": "network.model",
    "plot_training": "report.charts",
    "read_cfg": "formats.cfg",
    "read_dataset": "dataset.reading",
    "read_history": "train.runs.history",
    "read_log": "formats.trainlog",
    "read_telemetry": "formats.telemetry",
    "stats": "dataset.stats",
    "subset": "dataset.subset",
    "write_cfg": "formats.cfg",
}

__all__ = [
    "CfgRequest",
    "ConvertOptions",
    "HowToCheck",
    "Look",
    "SubsetOptions",
    "__version__",
    "check_cfg",
    "check_data",
    "compare_trainings",
    "convert_coco",
    "convert_ilsvrc",
    "convert_voc",
    "detect",
    "draw_training",
    "find_engine",
    "iter_images",
    "iter_runs",
    "make_cfg",
    "plot_training",
    "read_cfg",
    "read_dataset",
    "read_history",
    "read_log",
    "read_telemetry",
    "stats",
    "subset",
    "write_cfg",
]


def __getattr__(name: str) -> "Any":
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
