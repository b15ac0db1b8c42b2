"""How weights fit a network, in words, and what may be done with them."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darknet_kit.cli.paths import shown
from darknet_kit.errors import AnyPath
from darknet_kit.formats.cfg import Cfg
from darknet_kit.formats.weights import WeightsHeader
from darknet_kit.network.schedule import effective_batch

if TYPE_CHECKING:
    from darknet_kit.network.fit import Fit


@dataclass(frozen=True, slots=True)
class Fitting:
    """Weights and the network that they were judged for; `cut` first layers could serve where
    the file as it is does not, 0 for none."""

    header: WeightsHeader
    cfg: Cfg
    fit: "Fit"
    cut: int

    @property
    def iteration(self) -> int:
        """Where a training of this network would go on."""
        return self.header.iteration(effective_batch(self.cfg))


def judge(header: WeightsHeader, cfg: Cfg) -> Fitting:
    """Read weights as a network would. Raises CfgError, WeightsError."""
    from darknet_kit.network.fit import judge_weights, suggest_cut

    fit = judge_weights(cfg, header)
    return Fitting(header, cfg, fit, suggest_cut(cfg, fit))


def describe_fit(fitting: Fitting) -> list[str]:
    """Return the verdict, where a training starts, and what could serve all the same."""
    lines = [_verdict(fitting.fit)]
    if not fitting.fit.reason:
        lines.append(_progress(fitting))
    if fitting.cut:
        lines.append(f"Its first {fitting.cut} layers may serve as a backbone.")
    return lines


def list_fit(fitting: Fitting) -> dict[str, Any]:
    """Return the same for programs."""
    fit = fitting.fit
    return {
        "weights": os.path.abspath(fitting.header.path),
        "fits": "whole" if fit.is_whole else "backbone" if fit.is_backbone else "no",
        "fitting_layers": fit.layers,
        "layers": fit.of,
        "reason": fit.reason,
        "iteration": fitting.iteration,
    }


def name_start(fitting: Fitting) -> str:
    """Return how to name the weights to `dkit train`: with --clear where they are trained out."""
    spent = fitting.iteration >= fitting.cfg.net.integer("max_batches") > 0
    return shown(fitting.header.path) + (" --clear" if spent else "")


def cut_command(fitting: Fitting, cfg: AnyPath) -> str:
    """Return the command that cuts the layers that could serve."""
    return f"dkit weights cut {shown(fitting.header.path)} {shown(cfg)} --layers {fitting.cut}"


def _verdict(fit: "Fit") -> str:
    if fit.is_whole:
        return f"They FIT: all {fit.of} layers."
    if fit.is_backbone:
        return (
            f"They FIT AS A BACKBONE: the first {fit.layers} of {fit.of} layers; "
            "the others start at random."
        )
    return f"They DO NOT FIT this network: {fit.reason}."


def _progress(fitting: Fitting) -> str:
    iteration, end = fitting.iteration, fitting.cfg.net.integer("max_batches")
    if not fitting.header.seen:
        return "A training from them starts at iteration 0."
    if iteration >= end:
        return (
            f"At this batch that is iteration {iteration:,} of {end:,}: an engine would stop at "
            "once; --clear starts the count anew."
        )
    return f"At this batch a training goes on at iteration {iteration:,} of {end:,}."
