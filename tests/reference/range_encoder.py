"""A plain integer range coder to hold the real one against, word for word: the interval's start is one big integer.

Without wrapping there is no carry to propagate: docs/format.md, section 4.6.
"""

from __future__ import annotations


class RangeEncoder:
    """Codes entries of tables of counts whose sum is 2^24."""

    def __init__(self) -> None:
        self.lower = 0
        self.range = 2**64 - 1
        self.shifts = 0

    def encode(self, entry: int, counts: list[int]) -> None:
        scale = self.range >> 24
        self.lower += scale * sum(counts[:entry])
        self.range = scale * counts[entry]
        if self.range < 2**32:
            self.lower <<= 32
            self.range <<= 32
            self.shifts += 1

    def uniform(self, symbol: int, size: int) -> None:
        each = 2**24 // size
        self.encode(symbol, [each] * (size - 1) + [2**24 - each * (size - 1)])

    def finish(self) -> bytes:
        if self.range == 2**64 - 1:
            return b""
        top = (self.lower + 2**32 - 1) >> 32
        upper = (self.lower + self.range) >> 32
        words = [(top >> (32 * place)) % 2**32 for place in range(self.shifts, -1, -1)]
        if upper % 2**32 == top % 2**32:
            words.append(0)
        return b"".join(word.to_bytes(4, "little") for word in words)


def encode_group(encoder: RangeEncoder, tables: dict[int, list[int]], symbols: list[int], indices: list[int]) -> None:
    escaped = []
    for table in range(1, 64):
        for symbol, index in zip(symbols, indices, strict=True):
            if index != table:
                continue
            half_width = len(tables[table]) // 2 - 1
            if abs(symbol) > half_width:
                encoder.encode(2 * half_width + 1, tables[table])
                escaped.append((symbol, half_width))
            else:
                encoder.encode(symbol + half_width, tables[table])
    for symbol, half_width in escaped:
        successor = abs(symbol) - half_width
        length = successor.bit_length() - 1
        encoder.uniform(length, 32)
        if length > 0:
            encoder.uniform(successor - 2**length, 2**length)
        encoder.uniform(int(symbol < 0), 2)
