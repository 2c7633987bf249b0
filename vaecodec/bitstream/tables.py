"""Frozen tables: the integer probabilities of the coder, 63 of them, for residuals of y and for z alike.

Reading and writing files uses the integers of a weights file and nothing else. The fitting below them runs when
weights are exported; only there are floats allowed.

::

    counts of residuals per index ─► fit_tables ─► FrozenTables ─► to_arrays ─► weights file
                                                        ▲                            │
    coder ◄──────────────────────────────────────────── └──────── from_arrays ◄──────┘
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from vaecodec.errors import DamagedWeightsError

Int32Array = npt.NDArray[np.int32]
UInt32Array = npt.NDArray[np.uint32]
UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float64]

PRECISION: Final = 24
TOTAL: Final = 1 << PRECISION
TABLES: Final = 63
"""Tables have the indices 1..63; index 0 is the certain symbol 0, which is not coded."""
MAX_HALF_WIDTH: Final = 4095

ESCAPE_LENGTH_BITS: Final = 5
"""The length n of an escape is coded as one of 32 values."""
MAX_ESCAPE_LENGTH: Final = 20
"""A longer escape is damage: residuals of real latents end far below 2^20 steps."""

SIGMA_MIN: Final = 0.08
SIGMA_MAX: Final = 600.0
LEVELS: Final = 64
SIGMA_CERTAIN: Final = 0.12
"""At or below this σ a model takes index 0. Measured: 46 % of all symbols, none of them lost."""

# Mass left to the escape when a table is cut: 2^-18 · (about 20 bits more per escape) is below 0.01 % of one bit.
_ESCAPE_MASS: Final = 2.0**-18
_MIN_FITTED_HALF_WIDTH: Final = 2
# Above this a table of the widest σ saves less than 0.1 % of its own symbols, which are a handful per picture.
_DEFAULT_HALF_WIDTH_CAP: Final = 2047


def largest_symbol(half_width: int) -> int:
    """Return the largest magnitude that a table of this half-width can code, escape included."""
    return half_width + (1 << (MAX_ESCAPE_LENGTH + 1)) - 1


class FrozenTables:
    """The probabilities of all symbols under each table index, as integers; see ``docs/format.md``, section 4.

    Table i (1..63) covers the values −L_i .. L_i and, as its last entry, the escape: 2·L_i + 2 counts, each at least
    1, which sum to exactly 2^24. Instances do not change after construction.
    """

    def __init__(self, half_widths: Int32Array, counts: Sequence[UInt32Array]) -> None:
        """Take tables 1..63 in order.

        Args:
            half_widths: L_i, integers [63], 0..4095.
            counts: 63 integer arrays of 2·L_i + 2 counts.

        Raises:
            DamagedWeightsError: a size, a count or a sum is not as above.
        """
        if np.asarray(half_widths).dtype.kind not in "iu" or np.shape(half_widths) != (TABLES,):
            raise DamagedWeightsError(f"the tables need {TABLES} integer half-widths: get the weights again")
        if len(counts) != TABLES:
            raise DamagedWeightsError(f"there are {len(counts)} tables in place of {TABLES}: get the weights again")
        for index, (half_width, table) in enumerate(zip(half_widths.tolist(), counts, strict=True), start=1):
            _check_table(index, half_width, table)
        self._half_widths = np.ascontiguousarray(half_widths, dtype=np.int32)
        self._counts = tuple(np.ascontiguousarray(table, dtype=np.uint32) for table in counts)
        self._starts = np.cumsum([0, *(len(table) for table in self._counts[:-1])])
        self._entry_bits = PRECISION - np.log2(np.concatenate(self._counts).astype(np.float64))
        for frozen in (self._half_widths, *self._counts):
            frozen.flags.writeable = False

    @classmethod
    def from_arrays(cls, half_widths: Int32Array, counts: UInt32Array) -> FrozenTables:
        """Take the two arrays of a weights file and check all of them.

        Args:
            half_widths: L_i, int32 [63].
            counts: uint32, the counts of table 1, then those of table 2, and so on.

        Raises:
            DamagedWeightsError: anything is not as the class says.
        """
        half_widths, counts = np.asarray(half_widths), np.asarray(counts)
        if half_widths.dtype.kind not in "iu" or half_widths.shape != (TABLES,):
            raise DamagedWeightsError(f"the tables need {TABLES} integer half-widths: get the weights again")
        if counts.dtype.kind not in "iu" or counts.ndim != 1:
            raise DamagedWeightsError("the counts of the tables must be integers in one row: get the weights again")
        if int(half_widths.min()) < 0 or int(half_widths.max()) > MAX_HALF_WIDTH:
            raise DamagedWeightsError(f"a half-width is outside 0..{MAX_HALF_WIDTH}: get the weights again")
        ends = np.cumsum(2 * half_widths.astype(np.int64) + 2)
        if len(counts) != ends[-1]:
            raise DamagedWeightsError(f"the tables need {ends[-1]} counts, not {len(counts)}: get the weights again")
        return cls(half_widths, np.split(counts, ends[:-1]))

    def to_arrays(self) -> tuple[Int32Array, UInt32Array]:
        """Return (half-widths int32 [63], counts uint32 [Σ (2·L_i + 2)]), what ``from_arrays`` takes."""
        return self._half_widths.copy(), np.concatenate(self._counts)

    def half_width(self, index: int) -> int:
        """Return L of the table with ``index`` (1..63)."""
        return int(self._half_widths[index - 1])

    def counts(self, index: int) -> UInt32Array:
        """Return the counts of the table with ``index`` (1..63), uint32 [2·L + 2], for −L..L and the escape."""
        return self._counts[index - 1]

    def bits(self, symbols: Int32Array, indices: UInt8Array) -> float:
        """Return what coding would take: Σ −log2 p over all symbols, with the exact cost of escapes.

        The rate of a file is the size of the file; this is for estimates, and it is within a few bytes.

        Args:
            symbols: integers, any shape.
            indices: table index of each symbol, 0..63, same shape; index 0 costs nothing.

        Raises:
            ValueError: the shapes differ or an index is over 63.
        """
        if symbols.shape != indices.shape:
            raise ValueError(f"symbols have the shape {symbols.shape}, their indices {indices.shape}")
        coded = indices > 0
        tables = indices[coded].astype(np.intp) - 1
        if tables.size and int(tables.max()) >= TABLES:
            raise ValueError(f"a table index is over {TABLES}")
        values = symbols[coded].astype(np.int64)
        half_widths = self._half_widths[tables].astype(np.int64)
        excess = np.abs(values) - half_widths - 1
        escaped = np.flatnonzero(excess >= 0)
        entries = values + half_widths
        entries[escaped] = 2 * half_widths[escaped] + 1
        entries += self._starts[tables]
        return float(self._entry_bits[entries].sum() + escape_bits(excess[escaped]).sum())


def escape_bits(excess: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the bits that follow an escape entry: 5 for the length n, n, and 1 for the sign.

    Args:
        excess: e = |v| − L − 1, integers, at least 0.
    """
    # frexp gives the exact exponent of integers below 2^53: bit_length(e + 1), of which n is one less.
    lengths = np.frexp((excess + 1).astype(np.float64))[1].astype(np.int64) - 1
    return ESCAPE_LENGTH_BITS + lengths + 1


def _check_table(index: int, half_width: int, table: UInt32Array) -> None:
    if not 0 <= half_width <= MAX_HALF_WIDTH:
        raise DamagedWeightsError(
            f"table {index} has the half-width {half_width}, outside 0..{MAX_HALF_WIDTH}: get the weights again"
        )
    if table.dtype.kind not in "iu" or table.shape != (2 * half_width + 2,):
        raise DamagedWeightsError(f"table {index} has not {2 * half_width + 2} integer counts: get the weights again")
    if int(table.min()) < 1 or int(table.astype(np.int64).sum()) != TOTAL:
        raise DamagedWeightsError(
            f"the counts of table {index} are not all positive with the sum 2^{PRECISION}: get the weights again"
        )


# --- scales ----------------------------------------------------------------------------------------------------------


def sigmas() -> FloatArray:
    """Return the nominal σ of each index, in steps, float64 [64]: log-spaced from 0.08 (index 0) to 600 (index 63)."""
    return np.exp(np.linspace(math.log(SIGMA_MIN), math.log(SIGMA_MAX), LEVELS))


def sigma_thresholds() -> FloatArray:
    """Return where index i gives way to i + 1, float64 [63]: the geometric means of neighbouring levels.

    A model takes the number of thresholds below its σ as the index, and index 0 up to ``SIGMA_CERTAIN``.
    """
    levels = sigmas()
    return np.sqrt(levels[:-1] * levels[1:])


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


def gaussian_tables(half_width_cap: int = _DEFAULT_HALF_WIDTH_CAP) -> FrozenTables:
    """Return the tables of zero-mean Gaussians of the nominal σ, discretised to whole steps: a start without data.

    Args:
        half_width_cap: no table is wider; what lies beyond is escaped.
    """
    tables = [_gaussian_table(float(sigma), half_width_cap) for sigma in sigmas()[1:]]
    return _freeze(tables)


def fit_tables(
    histograms: Sequence[npt.NDArray[np.integer] | None], half_width_cap: int = _DEFAULT_HALF_WIDTH_CAP
) -> FrozenTables:
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


def _freeze(tables: list[UInt32Array]) -> FrozenTables:
    return FrozenTables(np.array([len(table) // 2 - 1 for table in tables], dtype=np.int32), tables)


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
    trust = _blend_weight(observed[seen], smooth[seen])
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


def _blend_weight(observed: FloatArray, smooth: FloatArray) -> float:
    """Return how many observations the smooth shape counts for: best at predicting each observation from the rest."""
    total = observed.sum()
    candidates = 2.0 ** np.arange(0.0, 41.0)
    scores = [
        float(observed @ np.log(np.maximum(observed - 1.0 + trust * smooth, 1e-300))) - total * math.log(total + trust)
        for trust in candidates.tolist()
    ]
    return float(candidates[int(np.argmax(scores))])
