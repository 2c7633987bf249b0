"""Every exact layer that ships: the order of summation does not matter; for the float encoder beside it, it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vaecodec.api import installed_weights
from vaecodec.exact.arithmetic import Arithmetic, exact_guard
from vaecodec.exact.integers import LinearData
from vaecodec.exact.layers import ExactLinear
from vaecodec.models.cost import macs_per_pixel
from vaecodec.models.exact_image import ExactSynthesis, build_layers
from vaecodec.models.weights import load_weights

rng = np.random.default_rng(4)
SHIPPED = installed_weights()


def sums(weight: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
    """[out, in], [N, in] -> the same sums in four orders: as it is, turned round, permuted, and in permuted pieces."""
    n = weight.shape[1]
    permutation = rng.permutation(n)
    orders = [[np.arange(n)], [np.arange(n)[::-1].copy()], [permutation], np.array_split(permutation, min(5, n))]
    results = []
    for pieces in orders:
        total = torch.zeros(x.shape[0], weight.shape[0], dtype=x.dtype)
        for piece in pieces:
            chosen = torch.from_numpy(piece)
            total = total + x[:, chosen] @ weight[:, chosen].T
        results.append(total)
    return results


def all_equal(results: list[torch.Tensor]) -> bool:
    return all(torch.equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_layer_depends_on_the_order_of_summation(path: Path) -> None:
    data = load_weights(path).data
    layers = build_layers(data, torch.device("cpu"), Arithmetic.FLOAT32)
    assert len(layers.built) > 30
    with_digits = []
    for name, layer in layers.built.items():
        limit = layer.data.input_limit
        low, high = -limit, limit
        if isinstance(layer.data, LinearData):
            assert isinstance(layer, ExactLinear)
            pairs = list(zip(layer.data.weight, layer.data.shift, strict=True))
            if layer.digits:
                with_digits.append(name)
                low, high = -((limit + 127) // 128), 127
        else:
            pairs = [(layer.data.weight.reshape(len(layer.data.weight), -1), layer.data.shift)]
        for weight, shift in pairs:
            carried = torch.ldexp(torch.from_numpy(weight).float(), -torch.from_numpy(shift)[:, None])
            x = torch.from_numpy(rng.integers(low, high + 1, (16, weight.shape[1]))).float()
            with exact_guard():
                assert all_equal(sums(carried, x)), name
    linear = [name for name in layers.built if name.startswith("g_s.") and not name.endswith("depthwise")]
    assert with_digits == {"psnr": ["g_s.pairs", "g_s.patches"], "eye": linear}[path.stem]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_decoding_costs_what_the_card_says(path: Path) -> None:
    weights = load_weights(path)
    macs = macs_per_pixel(weights.settings, weights.data.layers)
    synthesis = ExactSynthesis(build_layers(weights.data, torch.device("cpu")))
    with FlopCounterMode(display=False) as flops:
        synthesis(torch.zeros(16, 16, weights.settings.latents, dtype=torch.int32), 800)
    assert flops.get_total_flops() / 2 / 256**2 / 1000 == pytest.approx(macs["synthesis"], rel=1e-3)
