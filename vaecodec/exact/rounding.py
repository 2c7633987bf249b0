"""From float layers to exact ones: the largest shift that the bound allows, rounding folded into the bias."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vaecodec.exact.arithmetic import BOUND, IntArray
from vaecodec.exact.layers import GUARD_SHIFT, DepthwiseData, LinearData

FloatArray = npt.NDArray[np.float64]

MAX_SHIFT = 24
HEADROOM = 0.97
"""Part of the bound that rounding of weights may not eat up."""


class ScaleTooFineError(ValueError):
    """Some outputs have so many integers per unit that their sums could pass the bound.

    Attributes:
        rows: bool [out], which.
    """

    def __init__(self, rows: npt.NDArray[np.bool_]) -> None:
        super().__init__(f"{int(rows.sum())} outputs are too large for exact sums: their scale must be coarser")
        self.rows = rows


def _largest_shift(weight: FloatArray, bias: FloatArray, input_limit: int, lowest: int = 0) -> IntArray:
    """[out, in] and [out], in output units per input unit -> the largest s per row with Σ|W|·limit + |b| below the bound."""
    sums = np.abs(weight).sum(axis=1) * input_limit + np.abs(bias) + 1.0
    shift = np.floor(np.log2(HEADROOM * BOUND / sums))
    if shift.min() < lowest:
        raise ScaleTooFineError(shift < lowest)
    capped: IntArray = np.minimum(shift, MAX_SHIFT).astype(np.int64)
    return capped


def round_linear(
    weight: FloatArray,
    bias: FloatArray,
    *,
    input_scale: FloatArray,
    output_scale: FloatArray,
    input_limit: int,
    limit: int,
    leaky: bool = False,
    parts: int = 1,
) -> LinearData:
    """Rounds a float linear layer.

    Args:
        weight: [groups, out, in], float.
        bias: [groups, out].
        input_scale: [in] or [groups, in]: integers per unit of each input.
        output_scale: [out] or [groups, out]: integers per unit of each output.
        input_limit: inputs are within ±input_limit.
        limit: outputs will be clamped to ±limit.
        leaky: the leaky ReLU follows.
        parts: pieces over the inputs, each within the bound by itself.
    """
    groups, outputs, inputs = weight.shape
    s_in = np.broadcast_to(input_scale, (groups, inputs))
    s_out = np.broadcast_to(output_scale, (groups, outputs))
    w = weight * s_out[:, :, None] / s_in[:, None, :]
    b = bias * s_out
    slices = [slice(inputs * p // parts, inputs * (p + 1) // parts) for p in range(parts)]
    lowest = 0 if parts == 1 else GUARD_SHIFT
    # The first part carries the bias; every part carries its own half for rounding.
    share = np.stack([b if p == 0 else np.zeros_like(b) for p in range(parts)])
    shift = np.stack(
        [
            np.min(
                [_largest_shift(w[g][:, part], share[p, g], input_limit, lowest) for p, part in enumerate(slices)],
                axis=0,
            )
            for g in range(groups)
        ]
    )
    factor = 2.0**shift
    half = np.where(shift > 0, 2.0 ** (shift - 1), 0.0)
    if parts > 1:
        shift = shift - GUARD_SHIFT
        # Rounding is half a unit of the sum, less the mean of what the floors of the parts take.
        half = half / parts + np.where(shift > 0, 2.0 ** (shift - 1), 0.0)
    return LinearData(
        weight=np.rint(w * factor[:, :, None]).astype(np.int32),
        bias=np.rint(share * factor + half).astype(np.int32),
        shift=shift.astype(np.int32),
        limit=limit,
        input_limit=input_limit,
        leaky=leaky,
    )


def round_depthwise(
    weight: FloatArray,
    bias: FloatArray,
    *,
    input_scale: FloatArray,
    output_scale: FloatArray,
    input_limit: int,
    limit: int,
) -> DepthwiseData:
    """Rounds a float depthwise convolution: weight [C, k, k], bias [C], scales [C] in integers per unit."""
    C = weight.shape[0]
    w = weight * (output_scale / input_scale)[:, None, None]
    b = bias * output_scale
    shift = _largest_shift(w.reshape(C, -1), b, input_limit)
    half = np.where(shift > 0, 2.0 ** (shift - 1), 0.0)
    return DepthwiseData(
        weight=np.rint(w * (2.0**shift)[:, None, None]).astype(np.int32),
        bias=np.rint(b * 2.0**shift + half).astype(np.int32),
        shift=shift.astype(np.int32),
        limit=limit,
        input_limit=input_limit,
    )
