"""Bits-back coding (Townsend, Bird and Barber 2019): a whole array of items on one stack, with an exact VAE.

::

    for every batch:  z ◄─ pop q(z|x)      push p(x|z)      push p(z)        its cost: −ln p(x|z) − ln p(z) + ln q(z|x)
    backwards:        z ◄─ pop p(z)        pop p(x|z)       push q(z|x)      the bits that chose z come back

Items go in batches that grow from a few to many, since the first ones pop bits that are there already: those are seeded,
stay at the bottom of the stack, and count in its size. With a context the pixels of a batch are coded in four steps.
The stack is anything with push and pop over (symbols, table indices): nothing here knows bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vaecodec.errors import DamagedFileError
from vaecodec.exact.integers import IntArray
from vaecodec.models.family.exact import FAMILIES, FAMILY_TABLES, PIXEL_HALF_WIDTH, ExactFamily
from vaecodec.models.family.settings import PRIOR_LEVEL


class Stack(Protocol):
    """What ``vaecodec.bitstream.coder.StackCoder`` is, for one family of 63 tables."""

    def push(self, symbols: IntArray, indices: IntArray) -> None:
        """Puts one group on top."""

    def pop(self, indices: IntArray) -> IntArray:
        """Takes one group from the top."""


@dataclass(frozen=True)
class Stacks:
    """One stack, seen through the tables of latents and through the four families of tables of pixels."""

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


def push_batch(family: ExactFamily, stacks: Stacks, items: IntArray) -> None:
    """Uint8 [B, height, width, C] onto the stack."""
    posterior = family.encode(items)
    assert posterior.index is not None
    residual = stacks.latents.pop(posterior.index.reshape(-1)).reshape(posterior.mean.shape)
    z = posterior.mean + residual
    steps = family.begin(z)
    groups = []
    for values in steps.split(items):
        groups.append((values, steps.next()))
        steps.put(values)
    for values, indices in reversed(groups):
        _push_values(stacks.pixels, values, indices)
    stacks.latents.push(z.reshape(-1), np.full(z.size, PRIOR_LEVEL, np.uint8))


def pop_batch(family: ExactFamily, stacks: Stacks, count: int) -> IntArray:
    """The inverse of :func:`push_batch` for ``count`` items."""
    d = family.settings.latents
    z = stacks.latents.pop(np.full(count * d, PRIOR_LEVEL, np.uint8)).reshape(count, d)
    steps = family.begin(z)
    for _ in range(steps.steps):
        steps.put(_pop_values(stacks.pixels, steps.next()))
    items = steps.items()
    posterior = family.encode(items)
    assert posterior.index is not None
    stacks.latents.push((z - posterior.mean).reshape(-1), posterior.index.reshape(-1))
    return items


def _push_values(stacks: tuple[Stack, ...], values: IntArray, indices: IntArray) -> None:
    values, families, within = _by_family(indices, values)
    for family in range(FAMILIES - 1, -1, -1):
        chosen = families == family
        stacks[family].push(values[chosen].astype(np.int32) - PIXEL_HALF_WIDTH, within[chosen])


def _pop_values(stacks: tuple[Stack, ...], indices: IntArray) -> IntArray:
    values, families, within = _by_family(indices, np.zeros(indices.shape, np.int32))
    for family in range(FAMILIES):
        chosen = families == family
        values[chosen] = stacks[family].pop(within[chosen]) + PIXEL_HALF_WIDTH
    if values.size and (int(values.min()) < 0 or int(values.max()) > 255):
        raise DamagedFileError("a value is outside of 0..255: the file is damaged, get it again")
    whole = np.zeros(indices.size, np.uint8)
    whole[indices.reshape(-1) > 0] = values
    return whole.reshape(indices.shape)


def _by_family(indices: IntArray, values: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Of what is coded (index over 0): values, the number of the family, and the table index 1..63 in it."""
    flat = indices.reshape(-1)
    coded = flat > 0
    nodes = flat[coded] - np.uint8(1)
    families = nodes // np.uint8(FAMILY_TABLES)
    return values.reshape(-1)[coded], families, nodes - families * np.uint8(FAMILY_TABLES) + np.uint8(1)
