"""The level between model and bytes: drives the exact prior, hands symbols to a coder and takes them from it.

The coder is anything with ``push(symbols, indices)`` or ``pop(indices)``: the prior is anything that computes the same integers. Nothing here knows bytes, or torch.

::

    encode_tile:  v, z ──► symbols of z ──► push      decode_tile:  pop ──► z ──► prior
                  step k: μ, index ◄── prior                        step k: μ, index ◄── prior
                          round(v − μ) ──► push                             pop ──► symbol
                  with a dead zone, if one is given
                          symbol + μ ──► prior                              symbol + μ ──► prior
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from vaecodec.exact.integers import IntArray
from vaecodec.exact.kernels import reference
from vaecodec.exact.steps import STEPS
from vaecodec.models.decoder_data import Pop, Push
from vaecodec.models.encoder_data import DEAD_ZONE_LIMIT, V_UNIT
from vaecodec.models.tunes import TUNES


class PriorPass(Protocol):
    """One tile on its way through a prior: ask for a step, hand in its latents, four times."""

    def next(self) -> tuple[IntArray, IntArray]:
        """μ in sixteenths of a step, int32 [M/4, h, w], and table indices 0..63, uint8 [M/4, h, w], of the next step."""

    def put(self, y16: IntArray) -> None:
        """Hands in the latents of the step asked for last: int32 [M/4, h, w], symbol·16 + μ."""


class Prior(Protocol):
    """What an exact prior does, whatever computes it."""

    @property
    def latents(self) -> int:
        """M: channels of y."""

    def hyper_indices(self, quality16: int, height: int, width: int) -> IntArray:
        """Table indices of z for a grid of ``height`` × ``width`` latents: uint8 [Z, ceil(h/4), ceil(w/4)]."""

    def begin(self, z: IntArray, quality16: int, height: int, width: int) -> PriorPass:
        """Starts on the symbols of z: int32 [Z, ceil(h/4), ceil(w/4)], for a grid of ``height`` × ``width`` latents."""


LatentType = type[np.int16] | type[np.int32]


class TileLatents(NamedTuple):
    """The integers of a tile: z as symbols, int32 [Z, h/4, w/4]; y16 in sixteenths of a step, [h, w, M].

    y16 is int32, or where that is asked for int16, clamped to ±32767 as the synthesis clamps it.
    """

    z: IntArray
    y16: IntArray


def dead_zone(costs: npt.NDArray[np.float32], tune: str = "psnr") -> npt.NDArray[np.float32]:
    """Which residuals are better coded as 0: an encoder's decision, of which decoders know nothing.

    A residual of 0.6 rounds to 1 and loses little error by it, but where the table expects 0 the 1 takes several bits. The dead zone is as
    much wider than rounding's as the bits ask for that it saves; ``bench/TRAINING.md`` has what it gains.

    Source: the dead zones of video encoders, e.g. Sullivan and Sun, "On dead-zone plus uniform threshold scalar quantization", 2005.

    Args:
        costs: float [64, 2·K + 1], bits of the symbols −K..K under each table.
        tune: what the weights are tuned for, a name in ``TUNES``.

    Returns:
        Float [64], 0.5 to 0.95, in steps: what is smaller in magnitude becomes 0.
    """
    zero = costs.shape[1] // 2
    saved = (costs[:, zero - 1] + costs[:, zero + 1]) / 2 - costs[:, zero]
    least, per_bit = map(np.float32, TUNES[tune].dead_zone)
    zone: npt.NDArray[np.float32] = np.float32(0.5) + ((saved - least) * per_bit).clip(0, np.float32(0.45))
    return zone


def dead_zone_table(costs: npt.NDArray[np.float32], tune: str = "psnr") -> IntArray:
    """The dead zone in 256ths of a step, int32 [64]: residuals of at most this magnitude become 0. Arguments as :func:`dead_zone`."""
    # Half a step is rounded away from 0 where nothing is to be gained by a 0.
    steps = dead_zone(costs, tune).astype(np.float64)
    table: IntArray = np.clip(np.rint(steps * V_UNIT) - 1, V_UNIT // 2 - 1, DEAD_ZONE_LIMIT).astype(np.int32)
    return table


def encode_tile(
    v: IntArray,
    z: IntArray,
    prior: Prior,
    quality16: int,
    push: Push,
    zeroed: IntArray | None = None,
    unseen: npt.NDArray[np.bool_] | None = None,
    *,
    functions: ModuleType = reference,
    threads: int = 1,
    dtype: LatentType = np.int32,
) -> TileLatents:
    """Rounds and codes one tile: z first, then the four steps of y. All in integers: every backend rounds alike.

    Args:
        v: int32 [h, w, M] in 256ths of a step.
        z: symbols of z, int32 [Z, ceil(h/4), ceil(w/4)].
        prior: the exact prior.
        quality16: 16·q.
        push: takes the groups in order.
        zeroed: int32 [64], by table index, see :func:`dead_zone_table`; plain rounding when None.
        unseen: [h, w], cells that an overlay hides: their residuals are 0, whatever v is.
        functions: what computes ``round_step`` and ``put_step``: those of ``vaecodec.exact.kernels``, or numpy.
        threads: at most so many compute.
        dtype: of y16.

    Returns:
        What a decoder will see.
    """
    h, w, _ = v.shape
    indices = prior.hyper_indices(quality16, h, w)
    z = np.where(indices == 0, 0, z).astype(np.int32)
    push(z.reshape(-1), indices.reshape(-1))
    v = np.ascontiguousarray(v)
    prior_pass, y16 = prior.begin(z, quality16, h, w), np.empty(v.shape, dtype)
    for k in range(STEPS):
        mean, index = prior_pass.next()
        symbols, planes = np.empty_like(mean), np.empty_like(mean)
        functions.round_step(v, mean, index, zeroed, k, symbols, threads)
        if unseen is not None:
            symbols[:, unseen] = 0
        push(symbols.reshape(-1), index.reshape(-1))
        functions.put_step(symbols, mean, k, planes, y16, threads)
        prior_pass.put(planes)
    return TileLatents(z, y16)


def decode_tile(
    prior: Prior,
    quality16: int,
    height: int,
    width: int,
    pop: Pop,
    *,
    functions: ModuleType = reference,
    threads: int = 1,
    dtype: LatentType = np.int32,
) -> TileLatents:
    """The inverse of :func:`encode_tile` for a tile of ``height`` × ``width`` latents; ``dtype`` is that of y16."""
    indices = prior.hyper_indices(quality16, height, width)
    z = pop(indices.reshape(-1)).reshape(indices.shape)
    prior_pass, y16 = prior.begin(z, quality16, height, width), np.empty((height, width, prior.latents), dtype)
    for k in range(STEPS):
        mean, index = prior_pass.next()
        symbols, planes = pop(index.reshape(-1)).reshape(index.shape), np.empty_like(mean)
        functions.put_step(symbols, mean, k, planes, y16, threads)
        prior_pass.put(planes)
    return TileLatents(z, y16)
