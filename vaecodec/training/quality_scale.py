"""Lays out the qualities of a trained model anew, so that q says how its pictures look (`bench/studies/quality_scale.py` measures where)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from vaecodec.models.image import ImageModel
from vaecodec.training.grow import QUALITY_TABLES


@torch.no_grad()
def lay_out(model: ImageModel, places: Sequence[float]) -> ImageModel:
    """The same model with its tables over quality read at other places.

    Args:
        model: as trained, λ log-linear in its quality.
        places: for each of evenly spaced qualities of the new model the quality of ``model`` that it was, 0 to 1, ascending.

    Returns:
        A model with ``len(places)`` anchors.
    """
    at = torch.tensor(places, dtype=torch.float32)
    state = dict(model.state_dict())
    for name in QUALITY_TABLES:
        state[name] = model.at_quality(state[name], at)
    state["log_lambda"] = model.lambda_at(at).log()
    ends = state["log_lambda"].exp().tolist()
    settings = replace(model.settings, anchors=len(places), lambda_min=ends[0], lambda_max=ends[-1])
    laid_out = ImageModel(settings)
    laid_out.load_state_dict(state)
    return laid_out
