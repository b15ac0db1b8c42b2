"""What the embedded engine makes of each key of a cfg. Imports no PyTorch.

The keys are those that AlexeyAB's fork reads (`src/parser.c`), and this engine's own, which begin
with `dkit_`; Darknet passes over those.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from darknet_kit.core.spelling import find_near
from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import NETWORK_KINDS, Cfg, Entry, Section
from darknet_kit.network.keys import EVERY_LAYER
from darknet_kit.network.kinds import canonical_kind


@dataclass(frozen=True, slots=True)
class KeyProblem:
    """A key or section that does something else here than in Darknet, or nothing.

    `section` is 0 for `[net]` and one more than the layer's number for a layer. `key` is empty
    where the section itself is the problem. `line` is 1-based. Without `is_error` it is a note.
    """

    section: int
    kind: str
    key: str
    line: int
    message: str
    is_error: bool


ACTIVATIONS = (
    *("linear", "leaky", "mish", "swish", "logistic", "relu", "relu6", "tanh", "hard_mish"),
    *("elu", "selu", "gelu", "ramp", "relie", "loggy", "plse", "stair", "hardtan", "lhtan"),
    *("revleaky", "normalize_channels", "normalize_channels_softmax"),
    "normalize_channels_softmax_maxval",
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DETECTOR = _words("classes num max jitter resize random nms_kind beta_nms counters_per_class")
_ANCHORED = _DETECTOR | _words(
    "anchors mask cls_normalizer delta_normalizer ignore_thresh iou_loss "
    "iou_normalizer iou_thresh iou_thresh_kind label_smooth_eps max_delta obj_normalizer "
    "objectness_smooth scale_x_y truth_thresh"
)
_WINDOW = _words("padding size stride stride_x stride_y")

HONOURED: Mapping[str, frozenset[str]] = {
    "net": _words(
        "B1 B2 adam batch blur burn_in channels decay dynamic_minibatch ema_alpha eps exposure "
        "flip gamma gaussian_noise height hue inputs learning_rate learning_rate_min letter_box "
        "max_batches mixup momentum mosaic mosaic_bound policy power resize_step saturation scale "
        "scales sgdr_cycle sgdr_mult step steps subdivisions width "
        "dkit_optimizer dkit_policy dkit_grad_clip dkit_class_weights dkit_rotate dkit_shear "
        "dkit_vertical_flip dkit_checkpoint dkit_precision dkit_mean dkit_std dkit_best_metric "
        "dkit_patience dkit_weight_decay dkit_ema"
    ),
    "activation": _words("activation"),
    "avgpool": frozenset(),
    "batchnorm": frozenset(),
    "connected": _words("activation batch_normalize output"),
    "convolutional": _WINDOW
    | _words(
        "activation antialiasing batch_normalize dilation filters grad_centr groups pad share_index"
    ),
    "cost": _words("type scale"),
    "crop": _words("crop_height crop_width noadjust"),
    "detection": _DETECTOR
    | _words(
        "class_scale coord_scale coords forced noobject_scale object_scale rescore side softmax "
        "sqrt dkit_class_loss dkit_obj_loss dkit_side_w dkit_side_h"
    ),
    "dropout": _words("dropblock dropblock_size_abs dropblock_size_rel probability"),
    "empty": frozenset(),
    "Gaussian_yolo": _ANCHORED | _words("uc_normalizer yolo_point"),
    "implicit": _words("atoms filters mean std"),
    "local": _words("activation filters pad size stride"),
    "local_avgpool": _WINDOW,
    "maxpool": _WINDOW | _words("antialiasing maxpool_depth out_channels"),
    "normalization": _words("alpha beta kappa size"),
    "region": _DETECTOR
    | _words(
        "anchors bias_match class_scale classfix coord_scale coords focal_loss noobject_scale "
        "object_scale rescore softmax thresh tree"
    ),
    "reorg": _words("reverse stride"),
    "reorg3d": _words("reverse stride"),
    "route": _words("group_id groups layers"),
    "sam": _words("activation from"),
    "scale_channels": _words("activation from scale_wh"),
    "shortcut": _words("activation from weights_normalization weights_type"),
    "softmax": _words("groups spatial temperature"),
    "upsample": _words("scale stride"),
    "yolo": _ANCHORED | _words("focal_loss new_coords show_details dkit_class_loss dkit_obj_loss"),
}
"""What is done as Darknet's build with cuDNN does it, or as the dkit_ key asks."""

INERT: Mapping[str, frozenset[str]] = {
    "net": _words(
        "angle aspect attention augment_speed contrastive_color contrastive_jit_flip "
        "label_smooth_eps loss_scale max_chart_loss max_crop min_crop optimized_memory seq_scales "
        "show_receptive_field try_fix_nan use_cuda_graph workspace_size_limit_MB"
    ),
    "convolutional": _words("angle bin_output cbn coordconv dot stream wait_stream"),
    "cost": _words("ratio"),
    "crop": _words("angle exposure flip saturation shift"),
    "detection": _words("reorg"),
    "region": _words("absolute log mask_scale sqrt"),
    "route": _words("stream wait_stream"),
    "softmax": _words("noloss"),
    "yolo": _words(
        "dets_for_show dets_for_track embedding_layer map sim_thresh track_ciou_norm "
        "track_history_size"
    ),
}
"""What changes nothing, or nothing that this engine would do worse without."""

REFUSED: Mapping[str, Mapping[str, str]] = {
    "net": {
        "adversarial_lr": "adversarial training",
        "badlabels_rejection_percentage": "the rejection of labels",
        "contrastive": "contrastive training",
        "cutmix": "cutmix, which Darknet has for classifiers only",
        "equidistant_point": "the rejection of labels",
        "num_sigmas_reject_badlabels": "the rejection of labels",
        "sequential_subdivisions": "subdivisions that change",
        "time_steps": "sequences of images",
        "track": "sequences of images",
        "unsupervised": "unsupervised training",
        "weights_reject_freq": "the rejection of filters",
    },
    "convolutional": {
        "assisted_excitation": "assisted excitation",
        "binary": "binary weights",
        "flipped": "flipped weights",
        "reverse": "reversed gradients",
        "rotate": "rotated filters",
        "stretch": "stretched filters",
        "stretch_sway": "stretched filters",
        "sway": "swaying filters",
        "xnor": "binary convolutions",
    },
    "maxpool": {"maxpool_zero_nonmax": "a maxpool that changes its input"},
    "Gaussian_yolo": {"map": "a map of classes"},
    "region": {"map": "a map of classes"},
    "softmax": {"tree": "a tree of classes"},
}
"""What would train or detect something else without a word."""

RECURRENT = _words("contrastive conv_lstm crnn gru history lstm rnn")

# With these values the keys ask for nothing.
_NEUTRAL = {"time_steps": 1.0, "loss_scale": 1.0, "aspect": 1.0}


def check_keys(cfg: Cfg) -> list[KeyProblem]:
    """List what this engine does not do as the cfg says, errors and notes, by line."""
    return [
        problem
        for index, section in enumerate(cfg.sections)
        for problem in _check_section(cfg, index, section)
    ]


def report_keys(cfg: Cfg, tell: Callable[[str], object]) -> None:
    """Tell which keys are ignored. Raises CfgError for what this engine cannot do."""
    for problem in check_keys(cfg):
        if problem.is_error:
            raise unsupported(cfg, problem)
        tell(f"note: {cfg.path}:{problem.line}: {problem.message}\n")


def unsupported(cfg: Cfg, problem: KeyProblem) -> CfgError:
    """Return the error that this engine cannot do what a key or section asks for."""
    misspelt = problem.key == "activation"
    return CfgError(
        problem.message,
        code="unsupported-by-engine",
        hint=f"There are {', '.join(ACTIVATIONS)}; a comment behind a word belongs to it."
        if misspelt
        else "`dkit build` makes an engine that has it.",
        path=cfg.path,
        line=problem.line,
    )


def _check_section(cfg: Cfg, index: int, section: Section) -> Iterator[KeyProblem]:
    kind = "net" if section.kind in NETWORK_KINDS else canonical_kind(section.kind)
    name = f"layer {index - 1} [{section.kind}]" if index else "[net]"
    if kind not in HONOURED or (index and kind == "net"):
        near = "" if kind in RECURRENT else _near_match(kind, HONOURED)
        what = f"{name} is a section that the embedded engine does not have{near}"
        yield KeyProblem(index, section.kind, "", section.line, what, is_error=True)
        return
    seen: set[str] = set()
    for entry in section.entries:
        if entry.key in seen:
            continue  # of duplicate keys Darknet takes the first
        seen.add(entry.key)
        message, is_error = _judge(cfg, section, kind, entry)
        if message:
            yield KeyProblem(
                index, section.kind, entry.key, entry.line, f"{name} {message}", is_error
            )


def _judge(cfg: Cfg, section: Section, kind: str, entry: Entry) -> tuple[str, bool]:
    """Return what is to be said of a key, and whether it is an error."""
    key, value = entry.key, entry.value
    honoured = HONOURED[kind] | (frozenset() if kind == "net" else EVERY_LAYER)
    if key == "activation" and key in honoured and value not in ACTIVATIONS:
        near = _near_match(value.partition("#")[0], ACTIVATIONS)
        return f"has activation={value}, which does not exist{near}", True
    if key in honoured:
        return "", False
    reason = REFUSED.get(kind, {}).get(key)
    inert = INERT.get(kind, frozenset()) | {"show_receptive_field"}
    if (reason or key in inert) and not _asks(cfg, section, entry):
        return "", False
    if reason:
        return f"has {key}={value}: the embedded engine lacks {reason}", True
    if key in inert:
        return f"has {key}={value}, which has no effect here", False
    known = honoured | inert | REFUSED.get(kind, {}).keys()
    return f"has {key}=, which no engine reads{_near_match(key, known)}", False


def _asks(cfg: Cfg, section: Section, entry: Entry) -> bool:
    """Tell whether the value of a key asks for something."""
    if entry.key in ("tree", "map"):
        return True
    if entry.key == "sequential_subdivisions":
        return section.integer(entry.key) != max(1, cfg.net.integer("subdivisions", 1))
    return section.number(entry.key) != _NEUTRAL.get(entry.key, 0.0)


def _near_match(word: str, words: Iterable[str]) -> str:
    """Return `; did you mean X?` where one of the words is like `word`, else nothing."""
    near = find_near(word, words, likeness=0.7)
    return f"; did you mean {near[0]}?" if near else ""
