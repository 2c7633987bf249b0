"""Integers carried by floats: equal to int64, in any order of summation; and the same test fails for floats."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from vaecodec.errors import DamagedWeightsError
from vaecodec.exact.arithmetic import Arithmetic, exact_guard
from vaecodec.exact.integers import BOUND, DepthwiseData, LinearData
from vaecodec.exact.layers import ExactDepthwise, ExactLinear, leaky_integers
from vaecodec.exact.rounding import round_depthwise, round_linear

CPU = torch.device("cpu")
rng = np.random.default_rng(3)


def linear_data(groups: int, outputs: int, inputs: int, *, digits: bool = False, leaky: bool = False) -> LinearData:
    """Weights that use the whole bound."""
    return round_linear(
        rng.normal(size=(groups, outputs, inputs)), rng.normal(size=(groups, outputs)),
        input_scale=np.full(inputs, 1000 / 3.0), output_scale=np.full(outputs, 1000 / (3 * inputs**0.5)),
        input_limit=1023, limit=1023, leaky=leaky, digits=digits,
    )  # fmt: skip


def depthwise_data(channels: int, kernel: int) -> DepthwiseData:
    return round_depthwise(
        rng.normal(size=(channels, kernel, kernel)), rng.normal(size=channels),
        input_scale=np.full(channels, 300.0), output_scale=np.full(channels, 300.0 / kernel),
        input_limit=2047, limit=1023,
    )  # fmt: skip


LINEAR = {
    "one digit": linear_data(1, 40, 96),
    "leaky": linear_data(1, 40, 96, leaky=True),
    "two digits": linear_data(1, 40, 96, digits=True),
    "two digits, leaky": linear_data(1, 40, 96, digits=True, leaky=True),
    "four positions": linear_data(4, 24, 40),
}


def inputs_for(data: LinearData, rows: int = 50) -> np.ndarray:
    """Random integers, and for some outputs the worst case of the bound."""
    groups, _, inputs = data.weight.shape
    x = rng.integers(-data.input_limit, data.input_limit + 1, (groups, rows, inputs))
    worst = np.sign(data.weight[:, :8]) * data.input_limit
    return np.concatenate([x, worst, -worst], axis=1)


def by_definition(data: LinearData, x: np.ndarray) -> np.ndarray:
    """What docs/format.md says, in int64: [groups, N, in] -> [groups, N, out]."""
    sums = np.einsum("gni,goi->gno", x, data.weight.astype(np.int64))
    total = (sums + data.bias[:, None]) >> data.shift[:, None]
    if data.leaky:
        total = np.maximum(total, total >> 3)
    return np.clip(total, -data.limit, data.limit)


def run(data: LinearData, x: np.ndarray, arithmetic: Arithmetic) -> np.ndarray:
    layer = ExactLinear("test", data, arithmetic, CPU)
    carried = torch.from_numpy(x if x.shape[0] == 4 else x[0]).to(arithmetic.dtype)
    with exact_guard():
        out = layer(carried).to(torch.int64).numpy()
    return out if x.shape[0] == 4 else out[None]


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("arithmetic", list(Arithmetic))
def test_a_linear_layer_gives_the_integers_of_the_specification(name: str, arithmetic: Arithmetic) -> None:
    x = inputs_for(LINEAR[name])
    assert np.array_equal(run(LINEAR[name], x, arithmetic), by_definition(LINEAR[name], x))


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("arithmetic", list(Arithmetic))
def test_a_depthwise_layer_gives_the_integers_of_the_specification(kernel: int, arithmetic: Arithmetic) -> None:
    data = depthwise_data(16, kernel)
    x = rng.integers(-2047, 2048, (1, 9, 12, 16))
    x[0, :kernel, :kernel] = (np.sign(data.weight) * 2047).transpose(1, 2, 0)
    padded = np.pad(x, ((0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2, (0, 0)))
    total = np.zeros(x.shape, np.int64)
    for i in range(kernel):
        for j in range(kernel):
            total += padded[:, i : i + 9, j : j + 12] * data.weight[:, i, j].astype(np.int64)
    expected = np.clip((total + data.bias) >> data.shift, -data.limit, data.limit)
    layer = ExactDepthwise("test", data, arithmetic, CPU)
    with exact_guard():
        out = layer(torch.from_numpy(x).to(arithmetic.dtype))
    assert np.array_equal(out.to(torch.int64).numpy(), expected)


def orders(n: int) -> Iterator[list[np.ndarray]]:
    """Ways to add n terms up: one permuted sum, or a sum of sums over pieces."""
    for pieces in (1, 2, 7):
        yield np.array_split(rng.permutation(n), pieces)


def summed_in_pieces(weight: torch.Tensor, x: torch.Tensor, pieces: list[np.ndarray]) -> torch.Tensor:
    total = torch.zeros(x.shape[0], weight.shape[0], dtype=x.dtype)
    for piece in pieces:
        chosen = torch.from_numpy(piece)
        total = total + x[:, chosen] @ weight[:, chosen].T
    return total


def test_sums_of_exact_layers_do_not_depend_on_their_order() -> None:
    data = LINEAR["one digit"]
    x = torch.from_numpy(inputs_for(data)[0]).float()
    weight = torch.ldexp(torch.from_numpy(data.weight[0]).float(), -torch.from_numpy(data.shift[0])[:, None])
    results = [summed_in_pieces(weight, x, pieces) for pieces in orders(x.shape[1])]
    assert all(torch.equal(results[0], other) for other in results[1:])


def test_sums_of_float_layers_do_depend_on_their_order() -> None:
    weight, x = torch.randn(40, 96), torch.randn(60, 96)
    results = [summed_in_pieces(weight, x, pieces) for pieces in orders(96)]
    assert not all(torch.equal(results[0], other) for other in results[1:])


def test_rounding_stays_close_to_the_float_layer() -> None:
    weight, bias = rng.normal(size=(1, 24, 64)) / 8, rng.normal(size=(1, 24))
    scale_in, scale_out = np.full(64, 250.0), np.full(24, 250.0)
    x = rng.normal(size=(1, 200, 64)).clip(-4, 4)
    exact = (x @ weight[0].T + bias)[0].clip(-1023 / 250, 1023 / 250)
    for digits in (False, True):
        data = round_linear(
            weight, bias, input_scale=scale_in, output_scale=scale_out, input_limit=1023, limit=1023, digits=digits
        )
        rounded = run(data, np.rint(x * 250).astype(np.int64), Arithmetic.FLOAT32)[0] / 250
        assert np.abs(rounded - exact).max() < 0.02


def test_a_layer_of_few_large_weights_keeps_them_in_16_bits() -> None:
    scale = np.full(48, 64.0)
    data = round_linear(
        np.eye(48)[None], np.zeros((1, 48)), input_scale=scale * 90, output_scale=scale, input_limit=16383, limit=1023,
        digits=True,
    )  # fmt: skip
    assert (1 << 14) <= int(data.weight.max()) <= (1 << 15) - 1
    x = rng.integers(-16383, 16384, (1, 200, 48))
    assert np.abs(by_definition(data, x) - x / 90).max() <= 0.51


def test_a_sum_that_could_reach_the_bound_is_refused() -> None:
    data = LINEAR["one digit"]
    heavy = data.weight.copy()
    heavy[0, 5] = BOUND // (126 * 96) + 1
    with pytest.raises(DamagedWeightsError, match="layer mine: a sum can reach"):
        ExactLinear("mine", LinearData(heavy, data.bias, data.shift + 7, 1023, 1023, False), Arithmetic.FLOAT32, CPU)


def test_digits_are_taken_where_one_does_not_do_and_refused_where_two_do_not() -> None:
    data = LINEAR["two digits"]
    assert ExactLinear("mine", data, Arithmetic.FLOAT32, CPU).digits
    assert not ExactLinear("mine", LINEAR["one digit"], Arithmetic.FLOAT32, CPU).digits
    with pytest.raises(DamagedWeightsError, match="too small for two digits"):
        ExactLinear(
            "mine", LinearData(data.weight, data.bias, 0 * data.shift, 1023, 1023, False), Arithmetic.FLOAT32, CPU
        )
    with pytest.raises(DamagedWeightsError, match="a sum can reach"):
        ExactLinear(
            "mine", LinearData(40 * data.weight, data.bias, data.shift, 1023, 1023, False), Arithmetic.FLOAT32, CPU
        )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64])
def test_another_type_than_the_carrying_one_is_an_error(dtype: torch.dtype) -> None:
    layer = ExactLinear("test", LINEAR["one digit"], Arithmetic.FLOAT32, CPU)
    with pytest.raises(TypeError, match="exact layers take integers"):
        layer(torch.zeros(1, 96, dtype=dtype))


def test_autocast_and_reduced_precision_outside_do_not_reach_inside() -> None:
    data = LINEAR["one digit"]
    x = inputs_for(data)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            got = run(data, x, Arithmetic.FLOAT32)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert np.array_equal(got, by_definition(data, x))


def test_the_leaky_relu_rounds_down() -> None:
    x = np.arange(-100, 100)
    for arithmetic in Arithmetic:
        out = leaky_integers(torch.from_numpy(x).to(arithmetic.dtype), arithmetic).to(torch.int64).numpy()
        assert np.array_equal(out, np.where(x < 0, np.floor(x / 8), x))
