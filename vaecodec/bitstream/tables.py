"""Frozen tables: the integer probabilities of the coder, 63 of them, for residuals of y and for z alike.

Reading and writing files uses the integers of a weights file and nothing else; ``vaecodec.exact.tables`` fits them when
weights are exported.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Final

import numpy as np
import numpy.typing as npt

from vaecodec.errors import DamagedWeightsError

try:
    from vaecodec.bitstream import _range_coder
except ImportError:
    # Not built, for want of a compiler: what is written in Python gives the same, and is slower.
    in_c: ModuleType | None = None
else:
    in_c = _range_coder

Int32Array = npt.NDArray[np.int32]
UInt32Array = npt.NDArray[np.uint32]
UInt8Array = npt.NDArray[np.uint8]

PRECISION: Final = 24
TOTAL: Final = 1 << PRECISION
TABLES: Final = 63
"""Tables have the indices 1..63; index 0 is the certain symbol 0, which is not coded."""
MAX_HALF_WIDTH: Final = 4095

ESCAPE_LENGTH_BITS: Final = 5
"""The length n of an escape is coded as one of 32 values."""
MAX_ESCAPE_LENGTH: Final = 20
"""A longer escape is damage: residuals of real latents end far below 2^20 steps."""


def largest_symbol(half_width: int) -> int:
    """Return the largest magnitude that a table of this half-width can code, escape included."""
    return half_width + (1 << (MAX_ESCAPE_LENGTH + 1)) - 1


class FrozenTables:
    """The probabilities of all symbols under each table index, as integers; see ``docs/format.md``, section 4.

    Table i (1..63) covers the values −L_i .. L_i and, as its last entry, the escape: 2·L_i + 2 counts, each at least
    1, which sum to exactly 2^24. Instances do not change after construction.

    Attributes:
        entry_bits: −log2 p of each entry of table 1, then of table 2, and so on: float64.
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
            raise DamagedWeightsError(f"the tables need {TABLES} integer half-widths: download the weights again")
        if len(counts) != TABLES:
            raise DamagedWeightsError(
                f"there are {len(counts)} tables in place of {TABLES}: download the weights again"
            )
        for index, (half_width, table) in enumerate(zip(half_widths.tolist(), counts, strict=True), start=1):
            _check_table(index, half_width, table)
        self._half_widths = np.ascontiguousarray(half_widths, dtype=np.int32)
        self._counts = tuple(np.ascontiguousarray(table, dtype=np.uint32) for table in counts)
        self._starts = np.cumsum([0, *(len(table) for table in self._counts[:-1])])
        self.entry_bits: Final = PRECISION - np.log2(np.concatenate(self._counts).astype(np.float64))
        for frozen in (self._half_widths, *self._counts, self.entry_bits):
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
            raise DamagedWeightsError(f"the tables need {TABLES} integer half-widths: download the weights again")
        if counts.dtype.kind not in "iu" or counts.ndim != 1:
            raise DamagedWeightsError(
                "the counts of the tables must be integers in one row: download the weights again"
            )
        if int(half_widths.min()) < 0 or int(half_widths.max()) > MAX_HALF_WIDTH:
            raise DamagedWeightsError(f"a half-width is outside 0..{MAX_HALF_WIDTH}: download the weights again")
        ends = np.cumsum(2 * half_widths.astype(np.int64) + 2)
        if len(counts) != ends[-1]:
            raise DamagedWeightsError(
                f"the tables need {ends[-1]} counts, not {len(counts)}: download the weights again"
            )
        return cls(half_widths, np.split(counts, ends[:-1]))

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
        if in_c is not None and symbols.dtype == np.int32 and indices.dtype == np.uint8:
            return self._bits_in_c(symbols.reshape(-1), np.ascontiguousarray(indices).reshape(-1))
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
        return float(self.entry_bits[entries].sum() + escape_bits(excess[escaped]).sum())

    def _bits_in_c(self, symbols: Int32Array, indices: UInt8Array) -> float:
        assert in_c is not None
        entries, excess = np.empty(len(indices), np.int32), np.empty(len(indices), np.int32)
        symbols = np.require(symbols, np.int32, ["C", "A"])
        coded, escaped = in_c.entries(self._half_widths, symbols, indices, entries, excess)
        # Added in the order of the group, as above: the same sum to the last bit.
        return float(self.entry_bits.take(entries[:coded]).sum() + escape_bits(excess[:escaped].astype(np.int64)).sum())


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
            f"table {index} has the half-width {half_width}, outside 0..{MAX_HALF_WIDTH}: download the weights again"
        )
    if table.dtype.kind not in "iu" or table.shape != (2 * half_width + 2,):
        raise DamagedWeightsError(
            f"table {index} does not have {2 * half_width + 2} integer counts: download the weights again"
        )
    if int(table.min()) < 1 or int(table.astype(np.int64).sum()) != TOTAL:
        raise DamagedWeightsError(
            f"the counts of table {index} are not all positive with the sum 2^{PRECISION}: download the weights again"
        )
