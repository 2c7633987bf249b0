"""A second decoder for one tile's stream, written from docs/format.md, section 4: to be read, not to be fast.

Plain Python integers, no numpy, no constriction, nothing of vaecodec.
"""

from __future__ import annotations

MASK64 = 2**64 - 1


class DamagedStreamError(Exception):
    """The stream breaks a MUST of the specification."""


class RangeDecoder:
    """Section 4.2: words, state, and one decoding step."""

    def __init__(self, payload: bytes) -> None:
        if len(payload) % 4:
            raise DamagedStreamError("the length is not a multiple of 4")
        self.words = [int.from_bytes(payload[i : i + 4], "little") for i in range(0, len(payload), 4)]
        self.next_word = 0
        self.lower = 0
        self.range = MASK64
        self.point = self.read_word() << 32
        self.point |= self.read_word()

    def read_word(self) -> int:
        """The next word; 0 past the end."""
        self.next_word += 1
        return self.words[self.next_word - 1] if self.next_word <= len(self.words) else 0

    def decode(self, counts: list[int]) -> int:
        """One entry of a table of counts whose sum is 2^24."""
        scale = self.range >> 24
        quantile = ((self.point - self.lower) & MASK64) // scale
        if quantile >= 2**24:
            raise DamagedStreamError("no entry has this quantile")
        entry, left = 0, 0
        while left + counts[entry] <= quantile:
            left += counts[entry]
            entry += 1
        self.lower = (self.lower + scale * left) & MASK64
        self.range = scale * counts[entry]
        if self.range < 2**32:
            self.lower = (self.lower << 32) & MASK64
            self.range <<= 32
            self.point = (self.point << 32) & MASK64 | self.read_word()
        return entry

    def uniform(self, size: int) -> int:
        """One of ``size`` equal entries; the last one also has what 2^24 leaves over."""
        each = 2**24 // size
        return self.decode([each] * (size - 1) + [2**24 - each * (size - 1)])

    def close(self) -> None:
        """Section 4.5: the end of the stream."""
        if self.range == MASK64:
            if self.words:
                raise DamagedStreamError("words without symbols")
        elif self.next_word < len(self.words) or (self.point - self.lower) & MASK64 >= 2**33 - 1:
            raise DamagedStreamError("something is left over")


def decode_group(decoder: RangeDecoder, tables: dict[int, list[int]], indices: list[int]) -> list[int]:
    """Sections 4.3 and 4.4: the symbols of one group.

    Args:
        decoder: at the start of the group.
        tables: table index to counts.
        indices: the table index of each symbol, 0..63.
    """
    symbols = [0] * len(indices)
    escaped = []
    for table in range(1, 64):
        for position, index in enumerate(indices):
            if index != table:
                continue
            half_width = len(tables[table]) // 2 - 1
            entry = decoder.decode(tables[table])
            symbols[position] = entry - half_width
            if entry == 2 * half_width + 1:
                escaped.append((position, half_width))
    for position, half_width in escaped:
        length = decoder.uniform(32)
        if length > 20:
            raise DamagedStreamError("an escape is too long")
        low = decoder.uniform(2**length) if length > 0 else 0
        magnitude = half_width + 2**length + low
        symbols[position] = -magnitude if decoder.uniform(2) else magnitude
    return symbols
