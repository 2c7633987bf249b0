"""Pages, charts and maps: fewer colours at low qualities, every sample at high ones."""

from __future__ import annotations

import numpy as np

from bench.studies.pages import PAGES
from vaecodec.api import Codec
from vaecodec.metrics import ssimulacra2
from vaecodec.picture import Picture


def test_a_chart_is_in_few_colours_at_a_low_quality_and_exact_at_the_default() -> None:
    samples = np.asarray(PAGES["chart-lines"](np.random.default_rng(7)))
    codec = Codec("eye")
    low, usual = codec.encode(Picture(samples), quality=46), codec.encode(Picture(samples))
    assert np.array_equal(usual.samples, samples)
    assert len(np.unique(low.samples.reshape(-1, 3), axis=0)) <= 128 < len(np.unique(samples.reshape(-1, 3), axis=0))
    score = ssimulacra2(samples, low.samples)
    assert score is not None and score > 46
    assert len(low.data) < 0.6 * len(usual.data)
    assert np.array_equal(codec.decompress(low.data).samples, low.samples)
