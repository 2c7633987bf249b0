"""The coder's tables, fitted when weights are exported: from counts of real residuals to integer probabilities.

Floats are allowed here, and only here: what is fitted is frozen into a weights file, and files are written and read with the
integers alone (``vaecodec.bitstream.tables`` checks them). Tables have the indices 1..63; index 0 is the certain symbol 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from vaecodec.bitstream.tables import PRECISION, TABLES, TOTAL, Int32Array, UInt32Array, escape_bits

FloatArray = npt.NDArray[np.float64]

SIGMA_MIN: Final = 0.08
SIGMA_MAX: Final = 600.0
LEVELS: Final = TABLES + 1

# Mass left to the escape when a table is cut: 2^-18 · (about 20 bits more per escape) is below 0.01 % of one bit.
_ESCAPE_MASS: Final = 2.0**-18
_MIN_FITTED_HALF_WIDTH: Final = 2
# Above this a table of the widest σ saves less than 0.1 % of its own symbols, which are a handful per picture.
_DEFAULT_HALF_WIDTH_CAP: Final = 2047

Tables = tuple[Int32Array, UInt32Array]
"""Half-widths L_i, int32 [63], and the counts of all tables one after the other, each 2·L_i + 2 long."""

# --- scales ----------------------------------------------------------------------------------------------------------


def sigmas() -> FloatArray:
    """Return the nominal σ of each index, in steps, float64 [64]: log-spaced from 0.08 (index 0) to 600 (index 63)."""
    return np.exp(np.linspace(math.log(SIGMA_MIN), math.log(SIGMA_MAX), LEVELS))


# --- fitting, when weights are exported ------------------------------------------------------------------------------


def quantise_counts(probabilities: FloatArray) -> UInt32Array:
    """Return integer counts, each at least 1, with the sum 2^24, close to ``probabilities``.

    Args:
        probabilities: float64 [n], not negative, not all 0, n at most 2^24; they need not sum to 1.

    Raises:
        ValueError: a value is negative or not finite, or all are 0.
    """
    weights = np.asarray(probabilities, dtype=np.float64)
    if not np.all(np.isfinite(weights)) or weights.min() < 0 or weights.sum() <= 0 or weights.size > TOTAL:
        raise ValueError("probabilities must be finite, not negative, and not all zero")
    weights = weights / weights.max()
    scaled = weights * (TOTAL / weights.sum())
    counts = np.maximum(1, np.floor(scaled)).astype(np.int64)
    missing = TOTAL - int(counts.sum())
    if missing >= 0:
        # Largest remainders first, and among equals the first: a stable sort, so the same on every machine.
        order = np.argsort(counts - scaled, kind="stable")
        while missing > 0:
            counts[order[:missing]] += 1
            missing -= min(missing, len(order))
    while missing < 0:
        # The floor of 1 took more than there is: the largest entries give, in proportion.
        spare = counts - 1
        cut = np.minimum(spare, -(-spare * -missing // int(spare.sum())))
        order = np.argsort(-counts, kind="stable")
        kept = np.minimum(np.cumsum(cut[order]), -missing)
        counts[order] -= np.diff(kept, prepend=0)
        missing += int(kept[-1])
    quantised: UInt32Array = counts.astype(np.uint32)
    return quantised


def gaussian_tables(half_width_cap: int = _DEFAULT_HALF_WIDTH_CAP) -> Tables:
    """Return the tables of zero-mean Gaussians of the nominal σ, discretised to whole steps: a start without data.

    Args:
        half_width_cap: no table is wider; what lies beyond is escaped.
    """
    tables = [_gaussian_table(float(sigma), half_width_cap) for sigma in sigmas()[1:]]
    return _freeze(tables)


def fit_tables(
    histograms: Sequence[npt.NDArray[np.integer] | None], half_width_cap: int = _DEFAULT_HALF_WIDTH_CAP
) -> Tables:
    """Fit tables to what residuals really are.

    Each table blends the observed counts with a smooth shape: a mixture of Gaussian, logistic and Laplace
    distributions of several widths, its weights by maximum likelihood. How far the blend trusts the counts is chosen
    by leaving out one observation at a time, so little data gives a smooth table and much data the data's own. On
    the histograms themselves a fitted table never takes more bits than the Gaussian one.

    Args:
        histograms: 63 arrays for the indices 1..63; each has an odd length 2·K + 1 and counts the values −K..K. None,
            or all zeros, gives the Gaussian of the nominal σ.
        half_width_cap: no table is wider.

    Raises:
        ValueError: not 63 histograms, an even length, or a negative count.
    """
    if len(histograms) != TABLES:
        raise ValueError(f"{len(histograms)} histograms given, there are {TABLES} tables")
    tables = []
    for histogram, sigma in zip(histograms, sigmas()[1:].tolist(), strict=True):
        gaussian = _gaussian_table(sigma, half_width_cap)
        if histogram is None or not np.any(histogram):
            tables.append(gaussian)
            continue
        observed = np.asarray(histogram, dtype=np.float64)
        if observed.ndim != 1 or len(observed) % 2 == 0 or observed.min() < 0:
            raise ValueError("a histogram needs counts for −K..K: an odd length and nothing negative")
        fitted = _fit_table(observed, sigma, half_width_cap)
        better = _bits_of_histogram(observed, fitted) <= _bits_of_histogram(observed, gaussian)
        tables.append(fitted if better else gaussian)
    return _freeze(tables)


def _freeze(tables: list[UInt32Array]) -> Tables:
    return np.array([len(table) // 2 - 1 for table in tables], dtype=np.int32), np.concatenate(tables)


def _gaussian_table(sigma: float, half_width_cap: int) -> UInt32Array:
    # 2^-18 of a Gaussian lies beyond 4.62 σ.
    half_width = min(half_width_cap, max(_MIN_FITTED_HALF_WIDTH, math.ceil(4.62 * sigma)))
    return _cut(_gaussian(sigma, half_width + 1), half_width)


def _fit_table(observed: FloatArray, sigma: float, half_width_cap: int) -> UInt32Array:
    reach = max(len(observed) // 2, half_width_cap, _MIN_FITTED_HALF_WIDTH)
    observed = np.pad(observed, reach - len(observed) // 2)
    shapes = _shapes(sigma, reach)
    seen = np.flatnonzero(observed)
    smooth = _mixture_weights(shapes[:, seen], observed[seen]) @ shapes
    trust = blend_weight(observed[seen], smooth[seen])
    blended = (observed + trust * smooth) / (observed.sum() + trust)
    beyond = 1.0 - _mass_within(blended)
    enough = np.flatnonzero(beyond <= _ESCAPE_MASS)
    widest = min(half_width_cap, reach)
    half_width = min(widest, max(_MIN_FITTED_HALF_WIDTH, int(enough[0]) if len(enough) else widest))
    return _cut(blended, half_width)


def _cut(probabilities: FloatArray, half_width: int) -> UInt32Array:
    """Quantise −half_width..half_width of a distribution over −K..K; the rest, at least 2^-24, is the escape's."""
    middle = len(probabilities) // 2
    inside = probabilities[middle - half_width : middle + half_width + 1]
    escape = max(1.0 - float(inside.sum()), 1.0 / TOTAL)
    return quantise_counts(np.append(inside, escape))


def _mass_within(probabilities: FloatArray) -> FloatArray:
    """Return the mass of −l..l for l = 0..K."""
    middle = len(probabilities) // 2
    pairs = probabilities[middle:] + probabilities[middle::-1]
    pairs[0] = probabilities[middle]
    return np.cumsum(pairs)


def _bits_of_histogram(observed: FloatArray, table: UInt32Array) -> float:
    values = np.abs(np.arange(len(observed)) - len(observed) // 2)
    half_width = len(table) // 2 - 1
    escaped = values > half_width
    entries = np.where(escaped, 2 * half_width + 1, np.arange(len(observed)) - len(observed) // 2 + half_width)
    bits = PRECISION - np.log2(table[entries].astype(np.float64))
    bits[escaped] += escape_bits(values[escaped] - half_width - 1)
    return float(observed @ bits)


def _shapes(sigma: float, reach: int) -> FloatArray:
    """Return distributions over −reach..reach to mix, the nominal Gaussian first: float64 [shapes, 2·reach + 1]."""
    ratios = 2.0 ** np.arange(-2.0, 3.01, 0.5)
    gaussians = [_gaussian(sigma, reach)] + [_gaussian(sigma * ratio, reach) for ratio in ratios.tolist()]
    logistics = [_logistic(sigma * ratio, reach) for ratio in ratios.tolist()]
    laplaces = [_laplace(sigma * ratio, reach) for ratio in ratios.tolist()]
    return np.stack(gaussians + logistics + laplaces)


def _from_survival(survival: FloatArray) -> FloatArray:
    """Return the masses of −K..K from P(x > k + ½), k = 0..K, of a symmetric distribution."""
    tail = survival[:-1] - survival[1:]
    return np.concatenate([tail[::-1], [1.0 - 2.0 * survival[0]], tail])


def _gaussian(sigma: float, reach: int) -> FloatArray:
    # Beyond 39 σ erfc is 0 in double precision.
    edges = np.arange(min(reach, math.ceil(39 * sigma)) + 1) + 0.5
    survival = np.zeros(reach + 1)
    survival[: len(edges)] = [0.5 * math.erfc(edge / (sigma * math.sqrt(2.0))) for edge in edges.tolist()]
    return _from_survival(survival)


def _logistic(sigma: float, reach: int) -> FloatArray:
    scale = sigma * math.sqrt(3.0) / math.pi
    return _from_survival(1.0 / (1.0 + np.exp(np.minimum(700.0, (np.arange(reach + 1) + 0.5) / scale))))


def _laplace(sigma: float, reach: int) -> FloatArray:
    return _from_survival(0.5 * np.exp(-(np.arange(reach + 1) + 0.5) * (math.sqrt(2.0) / sigma)))


def _mixture_weights(shapes: FloatArray, observed: FloatArray, rounds: int = 200) -> FloatArray:
    """Return the mixing weights of maximum likelihood, by expectation maximisation (the problem is convex).

    Args:
        shapes: probability of each observed value under each shape, [shapes, values].
        observed: how often each value was seen, [values].
        rounds: enough that the likelihood no longer moves in the fifth digit.
    """
    weights = np.full(len(shapes), 0.5 / (len(shapes) - 1))
    weights[0] = 0.5
    for _ in range(rounds):
        mixed = np.maximum(weights @ shapes, 1e-300)
        weights = weights * (shapes @ (observed / mixed)) / observed.sum()
        weights /= weights.sum()
    return weights


def blend_weight(observed: FloatArray, smooth: FloatArray) -> float:
    """Return how many observations the smooth shape counts for: best at predicting each observation from the rest."""
    total = observed.sum()
    candidates = 2.0 ** np.arange(0.0, 41.0)
    scores = [
        float(observed @ np.log(np.maximum(observed - 1.0 + trust * smooth, 1e-300))) - total * math.log(total + trust)
        for trust in candidates.tolist()
    ]
    return float(candidates[int(np.argmax(scores))])
