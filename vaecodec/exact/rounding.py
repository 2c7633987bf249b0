"""From float layers to exact ones: the largest shift that the bound allows, rounding folded into the bias."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vaecodec.exact.integers import BOUND, DIGIT_SHIFT, DepthwiseData, IntArray, LinearData

FloatArray = npt.NDArray[np.float64]

MAX_SHIFT = 24
WEIGHT_LIMIT = 32767
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
    """[out, in] and [out], in output units per input unit -> the largest s per row with Σ|W|·limit + |b| below the bound.

    Weights stay within 16 bits as well: the native kernels are fast for those.
    """
    sums = np.abs(weight).sum(axis=1) * input_limit + np.abs(bias) + 1.0
    largest = np.maximum(np.abs(weight).max(axis=1), 1e-12)
    shift = np.floor(np.log2(np.minimum(HEADROOM * BOUND / sums, WEIGHT_LIMIT / largest)))
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
    digits: bool = False,
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
        digits: floats shall take the inputs in two digits, which leaves more bits for the weights.

    Raises:
        ScaleTooFineError: some outputs need a coarser scale.
    """
    groups, outputs, inputs = weight.shape
    s_in = np.broadcast_to(input_scale, (groups, inputs))
    s_out = np.broadcast_to(output_scale, (groups, outputs))
    w = weight * s_out[:, :, None] / s_in[:, None, :]
    b = bias * s_out
    if digits:
        largest_digit = max((1 << DIGIT_SHIFT) - 1, -(-input_limit >> DIGIT_SHIFT)) + 1
        rows = [_largest_shift(w[g], b[g], largest_digit, lowest=DIGIT_SHIFT) for g in range(groups)]
    else:
        rows = [_largest_shift(w[g], b[g], input_limit) for g in range(groups)]
    shift = np.stack(rows)
    factor = 2.0**shift
    half = np.where(shift > 0, 2.0 ** (shift - 1), 0.0)
    return LinearData(
        weight=np.rint(w * factor[:, :, None]).astype(np.int32),
        bias=np.rint(b * factor + half).astype(np.int32),
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
