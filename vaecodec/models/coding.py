"""The level between model and bytes: drives the exact prior, hands symbols to a coder and takes them from it.

The coder is anything with ``push(symbols, indices)`` or ``pop(indices)``: nothing here knows bytes.

::

    encode_tile:  v, z ──► symbols of z ──► push      decode_tile:  pop ──► z ──► prior
                  step k: μ, index ◄── prior                        step k: μ, index ◄── prior
                          round(v − μ) ──► push                             pop ──► symbol
                  with a dead zone, if one is given
                          symbol + μ ──► prior                              symbol + μ ──► prior
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vaecodec.exact.integers import IntArray
from vaecodec.models.decoder_data import MEAN_UNIT, QUALITY_UNITS, Pop, Push
from vaecodec.models.encoder_data import DEAD_ZONE_LIMIT, SYMBOL_LIMIT, V_PER_MEAN, V_UNIT
from vaecodec.models.exact_image import ExactPrior
from vaecodec.models.image import ImageEncoder
from vaecodec.models.layers import join_cells, split_cells
from vaecodec.models.settings import STEPS, Z_STRIDE, coded_group

DEAD_ZONES = {"psnr": (2.0, 0.022), "eye": (2.0, 0.012)}
"""By what weights are tuned for: the bits that a 0 must save before the dead zone grows, and how many steps it grows per bit above that."""


@dataclass(frozen=True)
class Latents:
    """The integers of a tile: z as symbols, int32 [Z, h/4, w/4]; y16 in sixteenths of a step, int32 [h, w, M]."""

    z: IntArray
    y16: Tensor


def quality_of_units(quality16: int) -> float:
    """16·q -> q in 0..1, as the float model takes it."""
    return quality16 / (100 * QUALITY_UNITS)


def in_256ths(v: Tensor) -> Tensor:
    """Latents in steps, float -> int32, in whole 256ths of a step: what is rounded to symbols."""
    return (v * V_UNIT).round_().clamp_(-(1 << 30), 1 << 30).to(torch.int32)


def hyper_symbols(encoder: ImageEncoder, v: Tensor) -> IntArray:
    """v: [1, h, w, M] in steps -> symbols of z, int32 [Z, ceil(h/4), ceil(w/4)]; edges are repeated to whole cells."""
    h, w = v.shape[1:3]
    rows = torch.arange(-(-h // Z_STRIDE) * Z_STRIDE).clamp_max(h - 1)
    columns = torch.arange(-(-w // Z_STRIDE) * Z_STRIDE).clamp_max(w - 1)
    with torch.inference_mode():
        z = encoder.h_a(v[:, rows.to(v.device)][:, :, columns.to(v.device)])
    whole = z.round().clamp_(-SYMBOL_LIMIT, SYMBOL_LIMIT)[0].permute(2, 0, 1)
    return np.ascontiguousarray(whole.to(torch.int32).cpu().numpy())


def step_planes(v: Tensor) -> list[Tensor]:
    """[h, w, M] -> for each step [M/4, h, w]: the latents that it codes, at the positions where it does."""
    h, w, M = v.shape
    H, W = -(-h // 2) * 2, -(-w // 2) * 2
    cells = split_cells(F.pad(v, (0, 0, 0, W - w, 0, H - h))[None])
    cells = cells.reshape(4, cells.shape[1], STEPS, M // STEPS)
    planes = []
    for k in range(STEPS):
        chosen = torch.stack([cells[p, :, g] for p, g in enumerate(coded_group(k))])
        planes.append(join_cells(chosen, 1, H, W)[0, :h, :w].permute(2, 0, 1))
    return planes


def dead_zone(costs: Tensor, tune: str = "psnr") -> Tensor:
    """Which residuals are better coded as 0: an encoder's decision, of which decoders know nothing.

    A residual of 0.6 rounds to 1 and loses little error by it, but where the table expects 0 the 1 takes several bits. The dead zone is as
    much wider than rounding's as the bits ask for that it saves; ``bench/TRAINING.md`` has what it gains.

    Source: the dead zones of video encoders, e.g. Sullivan and Sun, "On dead-zone plus uniform threshold scalar quantization", 2005.

    Args:
        costs: float [64, 2·K + 1], bits of the symbols −K..K under each table.
        tune: what the weights are tuned for.

    Returns:
        Float [64], 0.5 to 0.95, in steps: what is smaller in magnitude becomes 0.
    """
    zero = costs.shape[1] // 2
    saved = (costs[:, zero - 1] + costs[:, zero + 1]) / 2 - costs[:, zero]
    least, per_bit = DEAD_ZONES[tune]
    return 0.5 + ((saved - least) * per_bit).clamp(0, 0.45)


def dead_zone_table(costs: Tensor, tune: str = "psnr") -> IntArray:
    """The dead zone in 256ths of a step, int32 [64]: residuals of at most this magnitude become 0. Arguments as :func:`dead_zone`."""
    # Half a step is rounded away from 0 where nothing is to be gained by a 0.
    steps = dead_zone(costs, tune).double().numpy()
    table: IntArray = np.clip(np.rint(steps * V_UNIT) - 1, V_UNIT // 2 - 1, DEAD_ZONE_LIMIT).astype(np.int32)
    return table


def encode_tile(
    v: Tensor, z: IntArray, prior: ExactPrior, quality16: int, push: Push, zeroed: Tensor | None = None
) -> Latents:
    """Rounds and codes one tile: z first, then the four steps of y. All in integers: every backend rounds alike.

    Args:
        v: int32 [h, w, M] in 256ths of a step, on the prior's device.
        z: symbols of z, int32 [Z, ceil(h/4), ceil(w/4)].
        prior: the exact prior.
        quality16: 16·q.
        push: takes the groups in order.
        zeroed: int32 [64], by table index, see :func:`dead_zone_table`; plain rounding when None.

    Returns:
        What a decoder will see.
    """
    h, w, _ = v.shape
    indices = prior.hyper_indices(quality16, h, w)
    z = np.where(indices == 0, 0, z).astype(np.int32)
    push(z.reshape(-1), indices.reshape(-1))
    on_the_way = prior.begin(z, quality16, h, w)
    for planes in step_planes(v):
        mean, index = on_the_way.next()
        residuals = planes - mean * V_PER_MEAN
        coded = index > 0 if zeroed is None else (index > 0) & (residuals.abs() > zeroed[index.long()])
        symbols = (residuals + V_UNIT // 2).bitwise_right_shift_(8).clamp_(-SYMBOL_LIMIT, SYMBOL_LIMIT) * coded
        push(symbols.reshape(-1).cpu().numpy(), index.reshape(-1).cpu().numpy())
        on_the_way.put(symbols * MEAN_UNIT + mean)
    return Latents(z, on_the_way.latents())


def decode_tile(prior: ExactPrior, quality16: int, height: int, width: int, pop: Pop) -> Latents:
    """The inverse of :func:`encode_tile` for a tile of ``height`` × ``width`` latents."""
    indices = prior.hyper_indices(quality16, height, width)
    z = pop(indices.reshape(-1)).reshape(indices.shape)
    on_the_way = prior.begin(z, quality16, height, width)
    for _ in range(STEPS):
        mean, index = on_the_way.next()
        symbols = torch.from_numpy(pop(index.reshape(-1).cpu().numpy())).reshape(index.shape).to(mean.device)
        on_the_way.put(symbols * MEAN_UNIT + mean)
    return Latents(z, on_the_way.latents())
