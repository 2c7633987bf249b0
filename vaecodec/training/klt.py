"""The linear path that is right before training starts: KLT of 8×8×3 patches, then of 2×2 cells of the result."""

from __future__ import annotations

import torch
from torch import Tensor

from vaecodec.exact.steps import STEPS
from vaecodec.models.image import SAMPLE_MIDDLE, SAMPLE_SCALE, ImageModel
from vaecodec.models.layers import space_to_depth
from vaecodec.models.settings import PATCH


def _klt(x: Tensor) -> tuple[Tensor, Tensor]:
    """Second moments of [N, D] -> (rows of the transform [D, D], standard deviations [D]), largest first."""
    moments = x.T.double() @ x.double() / x.shape[0]
    values, vectors = torch.linalg.eigh(moments)
    return vectors.T.flip(0).float(), values.flip(0).clamp_min(1e-12).sqrt().float()


@torch.no_grad()
def initialise_with_klt(model: ImageModel, crops: Tensor) -> dict[str, float]:
    """Sets the linear path of ``model`` to a 16×16 transform codec.

    Coefficients of standard deviation s are carried at about √s between layers (half whitened).

    Args:
        model: changed in place.
        crops: uint8 [N, H, W, 3], H and W multiples of 16, of the training set.

    Returns:
        ``{"discarded": energy outside the M channels that are kept, as MSE per sample}``.
    """
    s = model.settings
    x = (crops.float() - SAMPLE_MIDDLE) / SAMPLE_SCALE
    patches = space_to_depth(x, PATCH)
    first, std8 = _klt(patches.reshape(-1, patches.shape[-1]))
    first, std8 = first[: s.features], std8[: s.features]
    cells = space_to_depth(patches @ first.T, 2)
    second, std16 = _klt(cells.reshape(-1, cells.shape[-1]))
    discarded = float((std16[s.latents :] ** 2).sum()) * SAMPLE_SCALE**2 / (3 * PATCH * PATCH * 4)
    # Each of the four groups of channels gets its share of every variance.
    order = torch.arange(s.latents).reshape(-1, STEPS).T.reshape(-1)
    second, std16 = second[: s.latents][order], std16[: s.latents][order]
    half8, half16 = std8.sqrt(), std16.sqrt()
    half_cells = half8.repeat(4)

    model.g_a.patches.weight.copy_(first / half8[:, None])
    model.g_a.pairs.weight.copy_(second * half_cells / half16[:, None])
    model.g_a.log_scale.copy_(half16.log())
    model.g_s.log_scale.copy_(-half16.log())
    model.g_s.pairs.weight.copy_((second / half_cells).T * half16)
    model.g_s.draw_patches(first.T * half8, torch.zeros(len(first.T)))
    for layer in (model.g_a.patches, model.g_a.pairs, model.g_s.pairs):
        layer.bias.zero_()
    model.channel_std.copy_(std16 * SAMPLE_SCALE)
    return {"discarded": discarded}


def linear_path(model: ImageModel) -> list[torch.nn.Parameter]:
    """The parameters that start out right and learn ten times more slowly than the rest."""
    layers = [model.g_a.patches, model.g_a.pairs, model.g_s.pairs, model.g_s.patches]
    if model.g_s.leaving8 is not model.g_s.patches:
        layers.append(model.g_s.leaving8)
    return [p for layer in layers for p in layer.parameters()] + [model.g_a.log_scale, model.g_s.log_scale]
