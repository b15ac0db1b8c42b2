"""What is wrong with a cfg before a run is wasted on it. Nothing here raises for bad data.

An error means that no run could give what the cfg says; a warning, that a run is likely to
disappoint. The engines themselves notice next to nothing.
"""

from collections.abc import Callable, Iterator

from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import Cfg, format_cfg
from darknet_kit.network.checkheads import check_classes, check_heads
from darknet_kit.network.checkkeys import check_keys
from darknet_kit.network.checknet import check_batch, check_length, check_numbers, check_steps
from darknet_kit.network.heads import find_heads
from darknet_kit.network.layer import Layer
from darknet_kit.network.layers import infer_layers, largest_stride
from darknet_kit.network.problem import CfgProblem, Subject, warning
from darknet_kit.network.size import describe_misfit, find_stride

# AlexeyAB `src/activations.c`, `get_activation`; any other name silently means relu.
_ACTIVATIONS = frozenset(
    {
        *("logistic", "loggy", "linear", "ramp", "tanh", "hardtan", "lhtan", "stair", "plse"),
        *("relu", "relu6", "relie", "elu", "selu", "gelu", "leaky", "revleaky"),
        *("swish", "mish", "hard_mish"),
        *("normalize_channels", "normalize_channels_softmax"),
        "normalize_channels_softmax_maxval",
    }
)


def check_cfg(
    cfg: Cfg, classes: int | None = None, train_images: int | None = None
) -> list[CfgProblem]:
    """Return every problem of a cfg by line. Never raises for bad data.

    `classes` is the number of names, `train_images` the number of training images of the data set
    that it is to train on; what is not given is not compared.
    """
    layers: tuple[Layer, ...] = ()
    failure = None
    try:
        layers = infer_layers(cfg)
    except CfgError as error:
        failure = error
    subject = Subject(cfg, layers, failure, find_heads(cfg), classes, train_images)
    problems = [problem for check in _CHECKS for problem in check(subject)]
    return sorted(problems, key=lambda problem: problem.line)


def _check_text(subject: Subject) -> Iterator[CfgProblem]:
    text = format_cfg(subject.cfg)
    if text.startswith("\ufeff"):
        yield CfgProblem(
            "byte-order-mark",
            1,
            "the file starts with a byte order mark, at which Darknet crashes",
            "Save it as UTF-8 without BOM.",
        )
    if "\r\n" in text:
        yield warning(
            "crlf",
            0,
            "the lines end as on Windows; the 2018 original cannot read them",
            "Save it with Unix line endings: `sed -i 's/\\r$//' FILE`.",
        )


def _check_layers(subject: Subject) -> Iterator[CfgProblem]:
    """Report why the network cannot be built: a wrong size first, since it hides behind others."""
    grid_heads = [head for head in subject.heads if head.section.kind != "detection"]
    stride = _stride_of(subject) if grid_heads else None
    net = subject.cfg.net
    width, height = net.integer("width"), net.integer("height")
    misfit = describe_misfit(width, height, stride) if stride and width > 0 and height > 0 else ""
    if misfit:
        step = stride[0] if stride else 1
        yield CfgProblem(
            "size-not-multiple",
            subject.line("width"),
            misfit,
            f"Width and height are multiples of {step}, the network's largest stride.",
        )
    elif subject.failure:
        error = subject.failure
        yield CfgProblem(error.code, error.line or 0, error.message, error.hint)


def _stride_of(subject: Subject) -> tuple[int, int] | None:
    return largest_stride(subject.layers) if subject.layers else find_stride(subject.cfg)


def _check_activations(subject: Subject) -> Iterator[CfgProblem]:
    for section in subject.cfg.layers:
        entry = section.find("activation")
        if entry and entry.value not in _ACTIVATIONS:
            name, comment, _ = entry.value.partition("#")
            cure = "Put the comment on its own line." if comment and name in _ACTIVATIONS else ""
            yield warning(
                "unknown-activation",
                entry.line,
                f"activation={entry.value} is unknown to Darknet, which would take relu",
                cure or "Usual are leaky, mish and linear.",
            )


_CHECKS: tuple[Callable[[Subject], Iterator[CfgProblem]], ...] = (
    _check_text,
    check_numbers,
    check_batch,
    check_length,
    check_steps,
    check_keys,
    _check_layers,
    _check_activations,
    check_heads,
    check_classes,
)
