"""Floats of exported weights, to train on from: integers over the scales that the file keeps of its layers.

What is lost is the rounding of the export: a thousandth of the validation loss, which a few hundred steps win back.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaecodec.errors import UsageError
from vaecodec.exact.integers import DepthwiseData, LinearData
from vaecodec.exact.rounding import FloatArray
from vaecodec.exact.tables import SIGMA_MIN
from vaecodec.models.decoder_data import FEATURE_SHIFT, MEAN_UNIT, QUALITIES
from vaecodec.models.encoder_data import V_UNIT
from vaecodec.models.export import INDEX_UNITS_PER_NAT
from vaecodec.models.image import SAMPLE_SCALE, ImageModel
from vaecodec.models.layers import PositionLinear
from vaecodec.models.rounding import SOURCE, TARGET
from vaecodec.models.settings import ImageSettings, log_lambdas
from vaecodec.models.weights import Weights

ANCHORS = 41
"""Of the floats: tables are read so finely, evenly over log λ."""


def floats_of(weights: Weights) -> tuple[dict[str, Tensor], ImageSettings]:
    """The parameters of the float model that weights were rounded from, nearly, λ log-linear in its quality; and its sizes.

    Raises:
        UsageError: the file is from before scales were kept, or has its encoder in floats.
    """
    data, analysis = weights.data, weights.analysis
    if analysis is None or not data.scales:
        raise UsageError(
            "these weights hold no scales of their layers, which training on from them needs: start from a checkpoint"
        )
    sizes = replace(
        data.settings,
        anchors=ANCHORS,
        lambda_min=weights.lambda_at(0),
        lambda_max=weights.lambda_at(16 * (QUALITIES - 1)),
    )
    model = ImageModel(sizes)
    state = model.state_dict()
    for name, layer in {**data.layers, **analysis.layers}.items():
        weight, bias = _floats(layer, *(data.scales[f"{name}.{side}"].astype(np.float64) for side in (SOURCE, TARGET)))
        if isinstance(layer, DepthwiseData):
            weight = weight[:, None]
        elif isinstance(model.get_submodule(name), PositionLinear):
            weight, bias = weight.transpose(0, 2, 1), bias[:, None]
        else:
            weight, bias = weight[0], bias[0]
        state |= {f"{name}.weight": _tensor(weight), f"{name}.bias": _tensor(bias)}
    for name in ("g_a.log_scale", "g_s.log_scale", "channel_std"):
        state[name] = _tensor(data.scales[name])
    at = np.array([weights.lambda_at(16 * q) for q in range(QUALITIES)])
    wanted = log_lambdas(sizes)
    for name, table in _quality_tables(weights).items():
        state[name] = _tensor(np.stack([np.interp(wanted, np.log(at), column) for column in table.T], 1))
    return state, sizes


def _floats(layer: LinearData | DepthwiseData, source: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weight and bias of a layer in units, shaped as its integers are."""
    shift = layer.shift.astype(np.float64)
    factor = 2.0**-shift
    # The bias holds half a unit for rounding.
    bias = (layer.bias - np.where(layer.shift > 0, 2.0 ** (shift - 1), 0.0)) * factor
    if isinstance(layer, DepthwiseData):
        return layer.weight * (factor * source / target)[:, None, None], bias / target
    _, outputs, inputs = layer.weight.shape
    source, target = np.tile(source, inputs // len(source)), np.tile(target, outputs // len(target))
    return layer.weight * factor[:, :, None] * source / target[:, None], bias / target


def _quality_tables(weights: Weights) -> dict[str, FloatArray]:
    """The tables over quality in units, a row for each whole quality: the inverse of what the export makes of them."""
    assert weights.analysis is not None
    scales = {name: value.astype(np.float64) for name, value in weights.data.scales.items()}
    tables = {n: t.astype(np.float64) for n, t in {**weights.data.tables, **weights.analysis.tables}.items()}
    decoded, analysed = scales[f"g_s.pairs.{SOURCE}"], scales[f"g_a.pairs.{TARGET}"]
    gain = tables["gain_factor"] * 2.0 ** -tables["gain_shift"] / V_UNIT * analysed / SAMPLE_SCALE
    latent = tables["latent_factor"] * 2.0 ** -tables["latent_shift"] * MEAN_UNIT * SAMPLE_SCALE / decoded

    def vector(table: str, before: str, after: str) -> FloatArray:
        # A channel that a quality does not use at all has a factor of 0.
        factor = np.maximum(tables[table], 0.5) / (1 << FEATURE_SHIFT)
        logs: FloatArray = np.log(factor * scales[before] / scales[after])
        return logs

    return {
        "log_gain": np.log(np.maximum(gain, 1e-12)) - scales["g_a.log_scale"],
        "log_inverse_gain": np.log(np.maximum(latent, 1e-12)) - scales["g_s.log_scale"],
        "analysis_vector": vector("analysis_factor", f"g_a.patches.{TARGET}", f"g_a.pairs.{SOURCE}"),
        "synthesis_vector": vector(
            "feature_factor", f"g_s.pairs.{TARGET}", f"{weights.data.settings.leaving8}.{SOURCE}"
        ),
        "prior_vector": tables["prior_vector"] / scales[f"h_s.up16.{TARGET}"],
        "log_sigma_z": tables["hyper_index"] / INDEX_UNITS_PER_NAT + math.log(SIGMA_MIN),
    }


def _tensor(values: npt.NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.array(values, np.float32))
