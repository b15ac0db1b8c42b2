"""`detector map`, `valid` and `test`: a network with trained weights, and what is asked of it."""

import signal
import sys

from darknet_kit.engine.torch.commandline import CommandLine
from darknet_kit.engine.torch.detection.cocoap import run_coco_map
from darknet_kit.engine.torch.detection.meanap import MapOptions, read_map_set, run_map
from darknet_kit.engine.torch.detection.testing import TestOptions, run_test
from darknet_kit.engine.torch.detection.validation import ValidOptions, run_valid
from darknet_kit.engine.torch.device import choose_arithmetic
from darknet_kit.engine.torch.keys import report_keys
from darknet_kit.engine.torch.network import Network
from darknet_kit.engine.torch.weights import load_weights
from darknet_kit.errors import WeightsError
from darknet_kit.formats.cfg import read_cfg
from darknet_kit.formats.datafile import read_data


def run_inference(command: CommandLine) -> int:
    """Do what the command line asks for and return the exit code.

    SIGTERM ends it as Ctrl-C does. Raises DkitError.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    data, network = read_data(command.data), open_network(command)
    if command.function == "map":
        options = MapOptions(command.thresh, command.iou_thresh, command.points, command.letter_box)
        run_map(network, data, options)
        if command.coco:
            run_coco_map(network, read_map_set(data), letter_box=command.letter_box)
        return 0
    if command.function == "valid":
        return run_valid(network, data, ValidOptions(command.out, command.letter_box))
    return run_test(
        network,
        data,
        TestOptions(
            images=command.images,
            thresh=command.thresh,
            letter_box=command.letter_box,
            ext_output=command.ext_output,
            out=command.out,
            save_labels=command.save_labels,
        ),
    )


def open_network(command: CommandLine) -> Network:
    """Return the network of a command line, filled, on its device, ready for inference.

    Batch normalizations lie in the weights, as in Darknet's own inference. Raises CfgError, and
    WeightsError for weights that do not fill all of it.
    """
    cfg = read_cfg(command.cfg)
    report_keys(cfg, sys.stderr.write)
    arithmetic = choose_arithmetic(command.device, command.precision or "fp32")
    network = Network(cfg)
    loaded = load_weights(network, command.weights or "")
    if not loaded.is_whole:
        raise WeightsError(
            f"these weights end after {loaded.layers} of {loaded.of} layers",
            code="weights-do-not-fit",
            hint="They are for training to start from; take weights that a training has left.",
            path=command.weights,
        )
    return network.fuse().to(arithmetic.device)
