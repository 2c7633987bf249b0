from __future__ import annotations

import numpy as np
import pytest

from vaecodec.bitstream.tables import TOTAL, FrozenTables
from vaecodec.exact.tables import gaussian_tables, quantise_counts


@pytest.fixture(scope="session")
def gaussian() -> FrozenTables:
    return FrozenTables.from_arrays(*gaussian_tables())


@pytest.fixture(scope="session")
def narrow() -> FrozenTables:
    """Tables with half-widths 0 to 8, so that escapes are everywhere; one sure of 0, one sure of its escape."""
    rng = np.random.default_rng(7)
    half_widths = np.arange(63, dtype=np.int32) % 9
    counts = [quantise_counts(rng.random(2 * width + 2) ** 4) for width in half_widths.tolist()]
    counts[4] = np.ones(10, dtype=np.uint32)
    counts[4][4] = TOTAL - 9
    counts[5] = np.ones(12, dtype=np.uint32)
    counts[5][11] = TOTAL - 11
    return FrozenTables(half_widths, counts)
