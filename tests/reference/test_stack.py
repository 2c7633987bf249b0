"""The stack of the specification against the one that codes arrays, word for word."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from stack import PlainStack

from vaecodec.bitstream.coder import StackCoder
from vaecodec.bitstream.tables import FrozenTables
from vaecodec.exact.tables import gaussian_tables


def words(data: bytes) -> list[int]:
    return [int(word) for word in np.frombuffer(data, "<u4")]


def test_pushes_and_pops_are_those_of_the_specification() -> None:
    tables = FrozenTables.from_arrays(*gaussian_tables())
    rng = np.random.default_rng(1)
    bits = rng.bytes(400)
    ours, plain = StackCoder.from_bits(tables, bits), PlainStack(words(bits), seeded=True)
    posterior = rng.integers(20, 50, 60).astype(np.uint8)
    popped = ours.pop(posterior)
    by_table = np.argsort(posterior, kind="stable")
    for position in by_table:
        counts = [int(c) for c in tables.counts(int(posterior[position]))]
        assert plain.pop(counts) == popped[position] + tables.half_width(int(posterior[position]))
    # What is pushed is coded backwards, so that it is popped forwards.
    prior = rng.integers(1, 60, 500).astype(np.uint8)
    symbols = np.array([rng.integers(-1, 2) * min(1, tables.half_width(int(i))) for i in prior], np.int32)
    ours.push(symbols, prior)
    for position in np.argsort(prior, kind="stable")[::-1]:
        index = int(prior[position])
        plain.push(int(symbols[position]) + tables.half_width(index), [int(c) for c in tables.counts(index)])
    assert words(ours.finish()) == plain.finish()
    again = StackCoder(tables, ours.finish())
    assert np.array_equal(again.pop(prior), symbols)
    assert ours.words() == len(words(ours.finish()))


def test_one_stack_is_seen_through_several_sets_of_tables() -> None:
    tables, narrow = FrozenTables.from_arrays(*gaussian_tables()), FrozenTables.from_arrays(*gaussian_tables(100))
    stack = StackCoder(tables)
    other = stack.with_tables(narrow)
    stack.push(np.array([1, -2], np.int32), np.array([10, 11], np.uint8))
    other.push(np.array([500], np.int32), np.array([60], np.uint8))
    assert stack.words() == other.words() > 0
    assert other.pop(np.array([60], np.uint8)).tolist() == [500]
    assert stack.pop(np.array([10, 11], np.uint8)).tolist() == [1, -2]
    assert stack.words() == other.words() == 0
