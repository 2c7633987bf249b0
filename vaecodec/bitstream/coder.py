"""The entropy coder: groups of symbols, each with the index of its frozen table, to bytes and back.

::

    symbols ─┐                                          ┌─ symbols
             ├─ push ─► range coder ─► bytes ─► pop ────┤
    indices ─┘          (or a stack)             ▲      │
                                          indices┘      └─ (the next indices may depend on them)

A *group* is what one call of push or pop takes. Inside it symbols are coded by ascending table index, order kept
within one index, so that each table costs one call of the coder below; escaped values follow at the end of the group.
The range coder is C (``range_coding.h``), and where that was not built constriction's, as the stack is (Bamler,
*Understanding Entropy Coding With Asymmetric Numeral Systems*, 2022): 32-bit words, 64-bit states, probabilities of 24
bits. Section 4 of docs/format.md says the same at the level of bits.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from constriction import stream

from vaecodec.bitstream.tables import (
    ESCAPE_LENGTH_BITS,
    MAX_ESCAPE_LENGTH,
    MAX_HALF_WIDTH,
    TABLES,
    FrozenTables,
    in_c,
    largest_symbol,
)
from vaecodec.errors import damaged_file

Int32Array = npt.NDArray[np.int32]
UInt8Array = npt.NDArray[np.uint8]

_WORD_BYTES: Final = 4
_IMPOSSIBLE: Final = "a tile's stream has an impossible state"
_SIGNS: Final = 2
_QUEUE_LENGTHS: Final = 1 << ESCAPE_LENGTH_BITS
# The stack codes only lengths that exist, so that every state, even one of random bits, pops to a symbol.
_STACK_LENGTHS: Final = MAX_ESCAPE_LENGTH + 1
# Built once: Uniform(1) is no model and panics, so the low bits of a length of 0 are never asked for.
_SIGN_MODEL: Final = stream.model.Uniform(_SIGNS)
_LOW_BITS_MODELS: Final = (None, *(stream.model.Uniform(1 << length) for length in range(1, MAX_ESCAPE_LENGTH + 1)))
_UNIFORM_FAMILY: Final = stream.model.Uniform()


class SymbolModels:
    """Frozen tables made ready for coders: for those in C, and as constriction's models, each made when it is first used."""

    def __init__(self, tables: FrozenTables) -> None:
        self.tables = tables
        self.half_widths: Final[list[int]] = [0] + [tables.half_width(index) for index in range(1, TABLES + 1)]
        self._models: list[stream.model.Categorical | None] = [None] * (TABLES + 1)

    @cached_property
    def packed(self) -> Any:
        """The tables for the coders in C."""
        counts = np.concatenate([self.tables.counts(index) for index in range(1, TABLES + 1)])
        assert in_c is not None
        return in_c.pack_tables(np.array(self.half_widths[1:], np.int32), counts, self.tables.entry_bits)

    def __getitem__(self, index: int) -> stream.model.Categorical:
        """Return the model of the table with ``index`` (1..63) over its 2·L + 2 entries."""
        model = self._models[index]
        if model is None:
            # constriction gives every entry 1 and shares out the other 2^24 − n in proportion to these weights,
            # whose sum is exactly that: the factor is 1.0, all sums are integers below 2^53, the counts come out.
            model = stream.model.Categorical((self.tables.counts(index) - 1).astype(np.float64), perfect=False)
            self._models[index] = model
        return model


class _Run(NamedTuple):
    """The symbols of one table (index 1..63) inside a group: ``start:stop`` in coding order."""

    table: int
    start: int
    stop: int


class _Escape(NamedTuple):
    """A value outside its table: ``successor`` is e + 1 = |v| − L, ``negative`` is 1 below zero, else 0."""

    successor: int
    negative: int


class SymbolEncoder:
    """The range coder's writing half: first in, first out.

    Args:
        tables: frozen tables, or the models of such, to share them between coders.
    """

    def __init__(self, tables: FrozenTables | SymbolModels) -> None:
        self._models = _models_of(tables)
        self._c, self._coder = in_c, in_c.encoder() if in_c is not None else stream.queue.RangeEncoder()
        self._bits = 0.0

    @property
    def bits(self) -> float:
        """What the tables say that all symbols so far take: the sum of :meth:`FrozenTables.bits` of their groups."""
        return float(self._c.bits(self._coder)) if self._c is not None else self._bits

    def push(self, symbols: Int32Array, indices: UInt8Array) -> None:
        """Append one group.

        Args:
            symbols: integers [N]; 0 where the index is 0; magnitudes up to ``largest_symbol`` of the table.
            indices: table index of each symbol, integers [N] in 0..63.

        Raises:
            TypeError: an array is not of integers.
            ValueError: shapes differ, an index is over 63, a certain symbol is not 0 or another one too large.
        """
        if self._c is not None:
            indices = _checked_indices(indices)
            self._c.push(self._coder, self._models.packed, _checked_symbols(symbols, len(indices)), indices)
            return
        order, runs = _coded_order(indices)
        entries, escapes = _entries(self._models, symbols, order, runs, len(indices))
        for run in runs:
            self._coder.encode(entries[run.start : run.stop], self._models[run.table])
        if escapes:
            self._coder.encode(*_escape_parts(escapes, _QUEUE_LENGTHS))
        self._bits += self._models.tables.bits(symbols, indices)

    def finish(self) -> bytes:
        """Return the stream: little-endian 32-bit words, none if nothing was coded."""
        if self._c is not None:
            return bytes(self._c.finish(self._coder))
        return bytes(self._coder.get_compressed().astype("<u4").tobytes())


class SymbolDecoder:
    """The range coder's reading half.

    Args:
        tables: frozen tables, or the models of such.
        data: what ``SymbolEncoder.finish`` returned.

    Raises:
        DamagedFileError: the length is not a multiple of 4.
    """

    def __init__(self, tables: FrozenTables | SymbolModels, data: bytes) -> None:
        self._models = _models_of(tables)
        words = _words(data)
        self._c, self._coder = in_c, in_c.decoder(data) if in_c is not None else stream.queue.RangeDecoder(words)
        # No symbol at all takes no words; constriction would accept two that mean nothing.
        self._must_be_empty = len(data) > 0

    def pop(self, indices: UInt8Array) -> Int32Array:
        """Return the symbols of the next group, int32 [N].

        Args:
            indices: table index of each symbol, integers [N] in 0..63.

        Raises:
            TypeError: the indices are not integers.
            ValueError: an index is over 63.
            DamagedFileError: the stream is none that an encoder writes.
        """
        if self._c is not None:
            indices = _checked_indices(indices)
            symbols = np.empty(len(indices), np.int32)
            found = self._c.pop(self._coder, self._models.packed, indices, symbols)
            if found:
                raise damaged_file(_IMPOSSIBLE if found < 0 else f"an escape is {found} bits long")
            return symbols
        order, runs = _coded_order(indices)
        values = np.empty(len(order), dtype=np.int32)
        escapes = 0
        try:
            for run in runs:
                half_width = self._models.half_widths[run.table]
                part = values[run.start : run.stop]
                part[:] = self._coder.decode(self._models[run.table], run.stop - run.start)
                part -= half_width
                escapes += int(np.count_nonzero(part > half_width))
            if escapes:
                _replace_escapes(values, runs, self._models, self._coder, stream.model.Uniform(_QUEUE_LENGTHS))
        except AssertionError:
            raise damaged_file(_IMPOSSIBLE) from None
        self._must_be_empty &= len(order) == 0
        symbols = np.zeros(len(indices), dtype=np.int32)
        symbols[order] = values
        return symbols

    def close(self) -> None:
        """Check that the stream is used up.

        Raises:
            DamagedFileError: something is left over.
        """
        if self._c is not None:
            used_up = bool(self._c.used_up(self._coder))
        else:
            used_up = not self._must_be_empty and self._coder.maybe_exhausted()
        if not used_up:
            raise damaged_file("a tile's stream goes on after its last symbol")


class StackCoder:
    """constriction's stack (ANS): last in, first out; push undoes pop and pop undoes push, on whatever bits.

    This is what bits-back coding needs: bits that are there already are popped as if they were symbols.

    Args:
        tables: frozen tables, or the models of such.
        data: what ``finish`` returned; nothing gives an empty stack.

    Raises:
        DamagedFileError: ``data`` is none that ``finish`` returns.
    """

    def __init__(self, tables: FrozenTables | SymbolModels, data: bytes = b"") -> None:
        self._models = _models_of(tables)
        words = _words(data)
        if len(words) and words[-1] == 0:
            raise damaged_file("a stack's stream ends in a zero word")
        self._coder = stream.stack.AnsCoder(words) if len(words) else stream.stack.AnsCoder()

    @classmethod
    def from_bits(cls, tables: FrozenTables | SymbolModels, bits: bytes) -> StackCoder:
        """Return a stack that holds arbitrary bytes, a multiple of 4 of them, ready to be popped.

        Raises:
            DamagedFileError: the length is not a multiple of 4.
        """
        stack = cls(tables)
        stack._coder = stream.stack.AnsCoder(_words(bits), True)
        return stack

    def with_tables(self, tables: FrozenTables | SymbolModels) -> StackCoder:
        """Return the same stack seen through other tables: what one of the two pushes, the other may pop."""
        other = StackCoder(tables)
        other._coder = self._coder
        return other

    def words(self) -> int:
        """Return how many 32-bit words ``finish`` would give."""
        return int(self._coder.num_words())

    def push(self, symbols: Int32Array, indices: UInt8Array) -> None:
        """Put one group on top; arguments and errors as ``SymbolEncoder.push``."""
        order, runs = _coded_order(indices)
        entries, escapes = _entries(self._models, symbols, order, runs, len(indices))
        if escapes:
            self._coder.encode_reverse(*_escape_parts(escapes, _STACK_LENGTHS))
        for run in reversed(runs):
            self._coder.encode_reverse(entries[run.start : run.stop], self._models[run.table])

    def pop(self, indices: UInt8Array) -> Int32Array:
        """Take one group from the top; arguments and errors as ``SymbolDecoder.pop``, but no bits are damage."""
        order, runs = _coded_order(indices)
        values = np.empty(len(order), dtype=np.int32)
        for run in runs:
            part = values[run.start : run.stop]
            part[:] = self._coder.decode(self._models[run.table], run.stop - run.start)
            part -= self._models.half_widths[run.table]
        _replace_escapes(values, runs, self._models, self._coder, stream.model.Uniform(_STACK_LENGTHS))
        symbols = np.zeros(len(indices), dtype=np.int32)
        symbols[order] = values
        return symbols

    def finish(self) -> bytes:
        """Return the whole stack as little-endian 32-bit words, the last one not zero."""
        return bytes(self._coder.get_compressed().astype("<u4").tobytes())

    def to_bits(self) -> bytes:
        """Return the bytes of ``from_bits``, once the stack is back in the state that they gave it.

        Raises:
            DamagedFileError: it is not in such a state.
        """
        try:
            words = self._coder.get_compressed(True)
        except AssertionError:
            raise damaged_file("a stack does not end in whole words") from None
        return bytes(words.astype("<u4").tobytes())


def _models_of(tables: FrozenTables | SymbolModels) -> SymbolModels:
    return tables if isinstance(tables, SymbolModels) else SymbolModels(tables)


def _words(data: bytes) -> npt.NDArray[np.uint32]:
    if len(data) % _WORD_BYTES:
        raise damaged_file(f"a stream has {len(data)} bytes, not a multiple of {_WORD_BYTES}")
    return np.frombuffer(data, dtype="<u4").astype(np.uint32)


def _coded_order(indices: UInt8Array) -> tuple[npt.NDArray[np.intp], list[_Run]]:
    """Return the positions of the coded symbols in coding order, and the runs of equal table index in them."""
    indices = _checked_indices(indices)
    per_index = np.bincount(indices, minlength=TABLES + 1)
    if len(per_index) > TABLES + 1:
        raise ValueError(f"table indices must be in 0..{TABLES}")
    # A stable sort of bytes is a radix sort in numpy, so its time is linear.
    order = np.argsort(indices, kind="stable")[per_index[0] :]
    ends = np.cumsum(per_index[1:]).tolist()
    starts = [0, *ends[:-1]]
    spans = enumerate(zip(starts, ends, strict=True), start=1)
    return order, [_Run(index, start, stop) for index, (start, stop) in spans if stop > start]


def _checked_indices(indices: UInt8Array) -> UInt8Array:
    """Return table indices as bytes in one row; those of a byte each may still be too large."""
    if indices.dtype.kind not in "iu":
        raise TypeError(f"table indices must be integers, not {indices.dtype}")
    if indices.ndim != 1:
        raise ValueError(f"table indices must be one row, not of the shape {indices.shape}")
    if indices.dtype != np.uint8:
        if indices.size and not (int(indices.min()) >= 0 and int(indices.max()) <= TABLES):
            raise ValueError(f"table indices must be in 0..{TABLES}")
        indices = indices.astype(np.uint8)
    return np.ascontiguousarray(indices)


def _checked_symbols(symbols: Int32Array, positions: int) -> Int32Array:
    """Return the symbols of a group as int32."""
    if symbols.dtype.kind not in "iu":
        raise TypeError(f"symbols must be integers, not {symbols.dtype}")
    if symbols.shape != (positions,):
        raise ValueError(f"symbols have the shape {symbols.shape}, their table indices ({positions},)")
    if symbols.dtype != np.int32 and symbols.size:
        limit = largest_symbol(MAX_HALF_WIDTH)
        if int(symbols.max()) > limit or int(symbols.min()) < -limit:
            raise ValueError(f"a symbol is beyond ±{limit}, the largest of any table")
    return np.require(symbols, np.int32, ["C", "A"])


def _entries(
    models: SymbolModels, symbols: Int32Array, order: npt.NDArray[np.intp], runs: list[_Run], positions: int
) -> tuple[Int32Array, list[_Escape]]:
    """Return the table entries in coding order, int32, and the escapes in the order in which they are met."""
    symbols = _checked_symbols(symbols, positions)
    met = symbols[order]
    if np.count_nonzero(met) != np.count_nonzero(symbols):
        raise ValueError("a symbol with table index 0 is not 0")
    entries = met.copy()
    escapes: list[_Escape] = []
    for run in runs:
        half_width = models.half_widths[run.table]
        part = entries[run.start : run.stop]
        part += half_width
        # Seen as unsigned, values below −L lie above 2·L too, even where the addition has wrapped around.
        escaped = np.flatnonzero(part.view(np.uint32) > 2 * half_width)
        if len(escaped):
            part[escaped] = 2 * half_width + 1
            escapes += _escapes_of(met[run.start + escaped].tolist(), run.table, half_width)
    return entries, escapes


def _escapes_of(values: list[int], index: int, half_width: int) -> list[_Escape]:
    largest = largest_symbol(half_width)
    for value in values:
        if abs(value) > largest:
            raise ValueError(f"symbol {value} is beyond ±{largest}, the largest of table {index}")
    return [_Escape(abs(value) - half_width, int(value < 0)) for value in values]


def _escape_parts(escapes: list[_Escape], lengths: int) -> tuple[Int32Array, stream.model.Uniform, Int32Array]:
    """Return what follows a group: symbols, the family of uniform models, and the size of each one's model."""
    parts: list[tuple[int, int]] = []
    for successor, negative in escapes:
        length = successor.bit_length() - 1
        parts.append((length, lengths))
        if length > 0:
            parts.append((successor - (1 << length), 1 << length))
        parts.append((negative, _SIGNS))
    symbols, sizes = np.array(parts, dtype=np.int32).T
    return np.ascontiguousarray(symbols), _UNIFORM_FAMILY, np.ascontiguousarray(sizes)


def _replace_escapes(
    values: Int32Array,
    runs: list[_Run],
    models: SymbolModels,
    coder: stream.queue.RangeDecoder | stream.stack.AnsCoder,
    lengths: stream.model.Uniform,
) -> None:
    """Decode the escaped values, in place: ``values`` holds L + 1 where the table gave its escape entry."""
    for run in runs:
        half_width = models.half_widths[run.table]
        part = values[run.start : run.stop]
        for position in np.flatnonzero(part > half_width).tolist():
            length = coder.decode(lengths)
            if length > MAX_ESCAPE_LENGTH:
                raise damaged_file(f"an escape is {length} bits long")
            successor = (1 << length) | (coder.decode(_LOW_BITS_MODELS[length]) if length else 0)
            negative = coder.decode(_SIGN_MODEL)
            part[position] = -(half_width + successor) if negative else half_width + successor
