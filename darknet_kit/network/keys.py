"""The keys that AlexeyAB's fork reads in each section (`src/parser.c`); the others read fewer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from darknet_kit.core.spelling import find_near
from darknet_kit.formats.cfg import NETWORK_KINDS, Cfg, Entry, Section
from darknet_kit.network.kinds import canonical_kind

OWN_PREFIX = "dkit_"
"""Begins the keys of the embedded engine, which Darknet passes over."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


EVERY_LAYER = _words(
    "burnin_update clip dont_update dontload dontloadscales learning_rate onlyforward stopbackward "
    "train_only_bn"
)
_DETECTOR = _words("classes num max jitter resize random nms_kind beta_nms counters_per_class")
_ANCHORED = _DETECTOR | _words(
    "anchors mask cls_normalizer delta_normalizer ignore_thresh iou_loss iou_normalizer iou_thresh "
    "iou_thresh_kind label_smooth_eps map max_delta obj_normalizer objectness_smooth scale_x_y "
    "truth_thresh"
)
_OLD_HEAD = _DETECTOR | _words(
    "class_scale coord_scale coords noobject_scale object_scale rescore softmax"
)
_WINDOW = _words("padding size stride stride_x stride_y")

KEYS: Mapping[str, frozenset[str]] = {
    "net": _words(
        "B1 B2 adam adversarial_lr angle aspect attention augment_speed "
        "badlabels_rejection_percentage batch blur burn_in channels contrastive contrastive_color "
        "contrastive_jit_flip cutmix decay dynamic_minibatch ema_alpha eps equidistant_point "
        "exposure flip gamma gaussian_noise height hue inputs label_smooth_eps learning_rate "
        "learning_rate_min letter_box loss_scale max_batches max_chart_loss max_crop min_crop "
        "mixup momentum mosaic mosaic_bound num_sigmas_reject_badlabels optimized_memory policy "
        "power resize_step saturation scale scales seq_scales sequential_subdivisions sgdr_cycle "
        "sgdr_mult show_receptive_field step steps subdivisions time_steps track try_fix_nan "
        "unsupervised use_cuda_graph weights_reject_freq width workspace_size_limit_MB"
    ),
    "activation": _words("activation"),
    "avgpool": frozenset(),
    "batchnorm": frozenset(),
    "connected": _words("activation batch_normalize output"),
    "convolutional": _WINDOW
    | _words(
        "activation angle antialiasing assisted_excitation batch_normalize bin_output binary cbn "
        "coordconv dilation dot filters flipped grad_centr groups pad reverse rotate share_index "
        "stream stretch stretch_sway sway wait_stream xnor"
    ),
    "cost": _words("ratio scale type"),
    "crop": _words("angle crop_height crop_width exposure flip noadjust saturation shift"),
    "detection": _OLD_HEAD | _words("forced reorg side sqrt"),
    "dropout": _words("dropblock dropblock_size_abs dropblock_size_rel probability"),
    "empty": frozenset(),
    "Gaussian_yolo": _ANCHORED | _words("uc_normalizer yolo_point"),
    "implicit": _words("atoms filters mean std"),
    "local": _words("activation filters pad size stride"),
    "local_avgpool": _WINDOW,
    "maxpool": _WINDOW | _words("antialiasing maxpool_depth maxpool_zero_nonmax out_channels"),
    "normalization": _words("alpha beta kappa size"),
    "region": _OLD_HEAD
    | _words("absolute anchors bias_match classfix focal_loss log map mask_scale sqrt thresh tree"),
    "reorg": _words("reverse stride"),
    "reorg3d": _words("reverse stride"),
    "route": _words("group_id groups layers stream wait_stream"),
    "sam": _words("activation from"),
    "scale_channels": _words("activation from scale_wh"),
    "shortcut": _words("activation from weights_normalization weights_type"),
    "softmax": _words("groups noloss spatial temperature tree"),
    "upsample": _words("scale stride"),
    "yolo": _ANCHORED
    | _words(
        "dets_for_show dets_for_track embedding_layer focal_loss new_coords show_details "
        "sim_thresh track_ciou_norm track_history_size"
    ),
}
_ANYWHERE = EVERY_LAYER.union(*KEYS.values())


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A key that no engine reads. `near` is what may have been meant, or empty."""

    section: Section
    entry: Entry
    near: str


def iter_unknown_keys(cfg: Cfg) -> Iterator[UnknownKey]:
    """Yield the keys that mean nothing to any Darknet, in sections of known kinds."""
    for section in cfg.sections:
        is_net = section.kind in NETWORK_KINDS
        kind = "net" if is_net else canonical_kind(section.kind)
        if kind not in KEYS:
            continue
        known = KEYS[kind] | (frozenset() if is_net else EVERY_LAYER)
        for entry in section.entries:
            if entry.key not in known | {"show_receptive_field"} and not _is_own(entry.key):
                # A key of another section is in the wrong place, and no misspelling.
                near = [] if entry.key in _ANYWHERE else find_near(entry.key, known, likeness=0.7)
                yield UnknownKey(section, entry, near[0] if near else "")


def _is_own(key: str) -> bool:
    return key.startswith(OWN_PREFIX)
