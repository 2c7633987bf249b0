"""Bits-back coding (Townsend, Bird and Barber 2019): a whole array of items on one stack, with an exact VAE.

::

    for every batch:  z ◄─ pop q(z|x)      push p(x|z)      push p(z)        its cost: −ln p(x|z) − ln p(z) + ln q(z|x)
    backwards:        z ◄─ pop p(z)        pop p(x|z)       push q(z|x)      the bits that chose z come back

Items go in batches that grow from a few to many, since the first ones pop bits that are there already: those are seeded,
stay at the bottom of the stack, and count in its size. With a context the pixels of a batch are coded in four steps.
The stack is anything with push and pop over (symbols, table indices): nothing here knows bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from vaecodec.bitstream.tables import TABLES, FrozenTables
from vaecodec.errors import damaged_file
from vaecodec.exact.integers import IntArray
from vaecodec.vae.exact import BANKS, PIXEL_HALF_WIDTH, ExactVae
from vaecodec.vae.settings import PRIOR_LEVEL

_SEED: Final = b"vaecodec bits-back 1"
WORD_BYTES: Final = 4


class Stack(Protocol):
    """What ``vaecodec.bitstream.coder.StackCoder`` is, for one bank of 63 tables."""

    def push(self, symbols: IntArray, indices: IntArray) -> None:
        """Puts one group on top."""

    def pop(self, indices: IntArray) -> IntArray:
        """Takes one group from the top."""


class WordStack(Stack, Protocol):
    """A stack that knows its size."""

    def words(self) -> int:
        """How many words of 32 bits it has."""


@dataclass(frozen=True)
class Stacks:
    """One stack, seen through the tables of latents and through the four banks of tables of pixels."""

    latents: Stack
    pixels: tuple[Stack, ...]


@dataclass(frozen=True)
class Batches:
    """How items are dealt out: ``first`` items, then twice as many each time up to ``largest``."""

    first: int
    largest: int

    def spans(self, count: int) -> Iterator[tuple[int, int]]:
        """Start and end of every batch, in the order in which they are pushed."""
        start, size = 0, self.first
        while start < count:
            yield start, min(count, start + size)
            start, size = start + size, min(2 * size, self.largest)


def push_batch(vae: ExactVae, stacks: Stacks, items: IntArray) -> None:
    """Uint8 [B, height, width, C] onto the stack."""
    posterior = vae.encode(items)
    assert posterior.index is not None
    residual = stacks.latents.pop(posterior.index.reshape(-1)).reshape(posterior.mean.shape)
    z = posterior.mean + residual
    steps = vae.begin(z)
    groups = []
    for values in steps.split(items):
        groups.append((values, steps.next()))
        steps.put(values)
    for values, indices in reversed(groups):
        _push_values(stacks.pixels, values, indices)
    stacks.latents.push(z.reshape(-1), np.full(z.size, PRIOR_LEVEL, np.uint8))


def pop_batch(vae: ExactVae, stacks: Stacks, count: int) -> IntArray:
    """The inverse of :func:`push_batch` for ``count`` items."""
    d = vae.settings.latents
    z = stacks.latents.pop(np.full(count * d, PRIOR_LEVEL, np.uint8)).reshape(count, d)
    steps = vae.begin(z)
    for _ in range(steps.steps):
        steps.put(_pop_values(stacks.pixels, steps.next()))
    items = steps.items()
    posterior = vae.encode(items)
    assert posterior.index is not None
    stacks.latents.push((z - posterior.mean).reshape(-1), posterior.index.reshape(-1))
    return items


def _push_values(stacks: tuple[Stack, ...], values: IntArray, indices: IntArray) -> None:
    values, banks, within = _by_bank(indices, values)
    for bank in range(BANKS - 1, -1, -1):
        chosen = banks == bank
        stacks[bank].push(values[chosen].astype(np.int32) - PIXEL_HALF_WIDTH, within[chosen])


def _pop_values(stacks: tuple[Stack, ...], indices: IntArray) -> IntArray:
    values, banks, within = _by_bank(indices, np.zeros(indices.shape, np.int32))
    for bank in range(BANKS):
        chosen = banks == bank
        values[chosen] = stacks[bank].pop(within[chosen]) + PIXEL_HALF_WIDTH
    if values.size and (int(values.min()) < 0 or int(values.max()) > 255):
        raise damaged_file("a value is outside of 0..255")
    whole = np.zeros(indices.size, np.uint8)
    whole[indices.reshape(-1) > 0] = values
    return whole.reshape(indices.shape)


def _by_bank(indices: IntArray, values: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Of what is coded (index over 0): values, the number of the bank, and the table index 1..63 in it."""
    flat = indices.reshape(-1)
    coded = flat > 0
    nodes = flat[coded] - np.uint8(1)
    banks = nodes // np.uint8(TABLES)
    return values.reshape(-1)[coded], banks, nodes - banks * np.uint8(TABLES) + np.uint8(1)


class Counting:
    """Bits that pushes cost and pops gave back, and the fewest words that were left after a pop."""

    def __init__(self) -> None:
        self.bits, self.lowest = 0.0, 1 << 62


class Counted:
    """A stack that counts."""

    def __init__(self, stack: WordStack, tables: FrozenTables, counting: Counting) -> None:
        self.stack, self.tables, self.counting = stack, tables, counting

    def push(self, symbols: IntArray, indices: IntArray) -> None:
        """Puts one group on top."""
        self.stack.push(symbols, indices)
        self.counting.bits += self.tables.bits(symbols, indices)

    def pop(self, indices: IntArray) -> IntArray:
        """Takes one group from the top."""
        symbols = self.stack.pop(indices)
        self.counting.bits -= self.tables.bits(symbols, indices)
        self.counting.lowest = min(self.counting.lowest, self.stack.words())
        return symbols


def seeded(words: int) -> bytes:
    """The first bits of every stack: SHA-256 of a fixed text and a number, 0, 1, 2, …; the same for ever."""
    blocks = -(-words * WORD_BYTES // 32)
    stream = b"".join(hashlib.sha256(_SEED + i.to_bytes(4, "little")).digest() for i in range(blocks))
    return stream[: words * WORD_BYTES]
