"""What an encoder in floats rounds: latents to 256ths of a step, and the symbols of z."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vaecodec.exact.integers import IntArray
from vaecodec.models.encoder_data import SYMBOL_LIMIT, V_UNIT
from vaecodec.models.image import ImageEncoder
from vaecodec.models.settings import Z_STRIDE


def in_256ths(v: Tensor) -> IntArray:
    """Latents in steps, float -> int32, in whole 256ths of a step: what is rounded to symbols."""
    whole: IntArray = (v * V_UNIT).round_().clamp_(-(1 << 30), 1 << 30).to(torch.int32).cpu().numpy()
    return whole


def hyper_symbols(encoder: ImageEncoder, v: Tensor) -> IntArray:
    """v: [1, h, w, M] in steps -> symbols of z, int32 [Z, ceil(h/4), ceil(w/4)]; edges are repeated to whole cells."""
    h, w = v.shape[1:3]
    rows = torch.arange(-(-h // Z_STRIDE) * Z_STRIDE).clamp_max(h - 1)
    columns = torch.arange(-(-w // Z_STRIDE) * Z_STRIDE).clamp_max(w - 1)
    with torch.inference_mode():
        z = encoder.h_a(v[:, rows.to(v.device)][:, :, columns.to(v.device)])
    whole = z.round().clamp_(-SYMBOL_LIMIT, SYMBOL_LIMIT)[0].permute(2, 0, 1)
    return np.ascontiguousarray(whole.to(torch.int32).cpu().numpy())
