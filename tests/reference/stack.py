"""A plain stack coder, as section 9.2 of docs/format.md has it, in integers of any size."""

from __future__ import annotations

WORD = 1 << 32
TOTAL_BITS = 24


class PlainStack:
    """Words and a state; the top of the stack is the state."""

    def __init__(self, words: list[int], seeded: bool = False) -> None:
        self.words = list(words)
        self.state = 1 if seeded else 0
        while self.words and self.state < WORD:
            self.state = self.state * WORD + self.words.pop()

    def pop(self, counts: list[int]) -> int:
        """The entry on top, under a table of counts."""
        quantile = self.state % (1 << TOTAL_BITS)
        entry, left = 0, 0
        while left + counts[entry] <= quantile:
            left += counts[entry]
            entry += 1
        self.state = (self.state >> TOTAL_BITS) * counts[entry] + quantile - left
        if self.state < WORD and self.words:
            self.state = self.state * WORD + self.words.pop()
        return entry

    def push(self, entry: int, counts: list[int]) -> None:
        """The inverse of pop."""
        count, left = counts[entry], sum(counts[:entry])
        if self.state >= count << 40:
            self.words.append(self.state % WORD)
            self.state //= WORD
        self.state = (self.state // count << TOTAL_BITS) + left + self.state % count

    def finish(self) -> list[int]:
        """All words, those of the state last, without zeros at the end."""
        words, state = list(self.words), self.state
        while state:
            words.append(state % WORD)
            state //= WORD
        return words
