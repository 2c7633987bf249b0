"""The integers of exact layers, and the proof that float32 adds their products exactly; without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vaecodec.errors import DamagedWeightsError

IntArray = npt.NDArray[Any]
"""An array of integers; of which width, the place says."""

BOUND = 1 << 24
"""float32 holds every integer below this, and every sum of integers that stays below it."""

LEAK_SHIFT = 3
"""The leaky ReLU is max(x, floor(x / 2^3))."""

DIGIT_SHIFT = 7
"""Inputs that are too large for float32 sums are taken as 128·high + low."""


@dataclass(frozen=True)
class LinearData:
    """The integers of a linear layer.

    Attributes:
        weight: [groups, out, in], int16 where that holds it; one group, or four for the positions of a 2×2 cell.
        bias: [groups, out].
        shift: [groups, out], 0..30.
        limit: outputs are within ±limit.
        input_limit: inputs are within ±input_limit.
        leaky: whether the leaky ReLU follows.
    """

    weight: IntArray
    bias: IntArray
    shift: IntArray
    limit: int
    input_limit: int
    leaky: bool


@dataclass(frozen=True)
class DepthwiseData:
    """The integers of a depthwise convolution.

    Attributes:
        weight: [channels, k, k], k odd, int16 where that holds it.
        bias: [channels].
        shift: [channels], 0..30.
        limit: outputs are within ±limit.
        input_limit: inputs are within ±input_limit.
    """

    weight: IntArray
    bias: IntArray
    shift: IntArray
    limit: int
    input_limit: int


def prove_bound(name: str, weight: IntArray, bias: IntArray, limit: IntArray | int) -> float:
    """Checks Σ|W|·max|x| + |b| < 2^24 for every output channel.

    Args:
        name: of the layer, for the message.
        weight: [out, in], integers.
        bias: [out].
        limit: max |x|, one number or one per input.

    Returns:
        The largest sum, as a part of 2^24.

    Raises:
        DamagedWeightsError: the bound does not hold, so that sums could depend on the machine.
    """
    w = np.abs(weight.astype(np.int64))
    sums = (w * np.asarray(limit, np.int64)).sum(axis=1) + np.abs(bias.astype(np.int64))
    worst = int(sums.max(initial=0))
    if worst >= BOUND:
        raise DamagedWeightsError(
            f"layer {name}: a sum can reach {worst}, and from {BOUND} on float32 is not exact; these weights cannot be used"
        )
    return worst / BOUND


def prove_linear(name: str, data: LinearData) -> tuple[bool, float]:
    """Proves the bound of a linear layer: whether it needs digits, and the largest sum as a part of 2^24.

    Raises:
        DamagedWeightsError: the bound does not hold with two digits either.
    """
    weight = np.abs(data.weight.astype(np.int64)).sum(axis=2)
    bias = np.abs(data.bias.astype(np.int64))
    if int((weight * data.input_limit + bias).max()) < BOUND:
        return False, max(
            prove_bound(name, w, b, data.input_limit) for w, b in zip(data.weight, data.bias, strict=True)
        )
    digit = 1 << DIGIT_SHIFT
    if int(data.shift.min()) < DIGIT_SHIFT:
        raise DamagedWeightsError(f"layer {name}: a sum can pass {BOUND}, and its shift is too small for two digits")
    # high is within ±ceil(limit/128), low within 0..127; the carry of the low sum is added to the high one.
    low = max(prove_bound(name, w, b, digit - 1) for w, b in zip(data.weight, data.bias, strict=True))
    carry = ((weight * (digit - 1) + bias) >> DIGIT_SHIFT) + 1
    high = max(prove_bound(name, w, c, -(-data.input_limit // digit)) for w, c in zip(data.weight, carry, strict=True))
    return True, max(low, high)
