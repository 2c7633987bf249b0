"""Every kernel gives the integers of the numpy reference, which gives those of docs/format.md."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaecodec.errors import DamagedWeightsError, UsageError
from vaecodec.exact.integers import DepthwiseData, IntArray, LinearData
from vaecodec.exact.kernels import ALIGN, available_kernels, find_kernels, reference
from vaecodec.models import decoder_data, encoder_data

KERNELS = [name for name in available_kernels() if name != "numpy"]

pytestmark = pytest.mark.skipif(not KERNELS, reason="the extension was not built")


def extension() -> ModuleType:
    return find_kernels(KERNELS[0]).functions


def grid(
    rng: np.random.Generator, rows: int, columns: int, channels: int, border: int, limit: int, extreme: bool
) -> IntArray:
    """Random integers within the limit, or only its two ends, with zeros around."""
    values = np.zeros((rows + 2 * border, columns + 2 * border, -(-channels // ALIGN) * ALIGN), np.int16)
    inside = rng.integers(-limit, limit + 1, (rows, columns, channels))
    values[border : border + rows, border : border + columns, :channels] = (
        np.where(inside < 0, -limit, limit) if extreme else inside
    )
    return values


def linear_data(
    rng: np.random.Generator, groups: int, outputs: int, inputs: int, input_limit: int, limit: int, leaky: bool
) -> LinearData:
    """Weights that use the whole of 32 bits: the largest sums are just below 2^31."""
    bound = (1 << 31) - 1
    largest = min(32767, max(1, bound // (inputs * input_limit)))
    weight = rng.integers(-largest, largest + 1, (groups, outputs, inputs))
    weight[:, ::3] = np.where(weight[:, ::3] < 0, -largest, largest)
    room = bound - np.abs(weight).sum(axis=2) * input_limit
    bias = np.where(rng.random((groups, outputs)) < 0.5, room, -room)
    shift = rng.integers(0, 31, (groups, outputs))
    return LinearData(weight.astype(np.int32), bias.astype(np.int32), shift.astype(np.int32), limit, input_limit, leaky)


def depthwise_data(rng: np.random.Generator, channels: int, side: int, input_limit: int, limit: int) -> DepthwiseData:
    data = linear_data(rng, 1, channels, side * side, input_limit, limit, leaky=False)
    return DepthwiseData(
        data.weight[0].reshape(channels, side, side), data.bias[0], data.shift[0], limit, input_limit
    )  # fmt: skip


def by_definition(data: LinearData, x: IntArray, group: int = 0) -> IntArray:
    """[N, in] -> [N, out], in Python's own integers."""
    t = (x.astype(object) @ data.weight[group].astype(object).T + data.bias[group].astype(object)).astype(np.int64)
    t >>= data.shift[group]
    t = np.maximum(t, t >> 3) if data.leaky else t
    return np.clip(t, -data.limit, data.limit)


sizes = st.integers(1, 70)
limits = st.sampled_from([1, 255, 2047, 16383, 32767])
kernels = st.sampled_from(KERNELS or ["portable"])
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=150, deadline=None)
@given(
    kernels, seeds, sizes, sizes, st.integers(1, 14), st.integers(1, 14), limits, limits, st.booleans(), st.booleans()
)
def test_linear_layers(
    kernel: str, seed: int, inputs: int, outputs: int, rows: int, columns: int, limit: int, input_limit: int,
    leaky: bool, extreme: bool,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    data = linear_data(rng, 1, outputs, inputs, input_limit, limit, leaky)
    x = grid(rng, rows, columns, inputs, 2, input_limit, extreme)
    y = grid(rng, rows, columns, outputs, 1, 1, False)
    layer = find_kernels(kernel).linear("test", data)
    extension().unfold(layer, x, 2, y, 1, 1, None, 1, None, limit, 2)
    expected = by_definition(data, x[2:-2, 2:-2, :inputs].reshape(rows * columns, inputs))
    assert np.array_equal(y[1:-1, 1:-1, :outputs].reshape(rows * columns, outputs), expected)
    assert not y[:, :, outputs:].any()


@settings(max_examples=40, deadline=None)
@given(seeds, sizes, sizes, st.booleans())
def test_weights_of_more_than_16_bits(seed: int, inputs: int, outputs: int, leaky: bool) -> None:
    rng = np.random.default_rng(seed)
    largest = ((1 << 31) - 1) // (inputs * 255)
    weight = rng.integers(-largest, largest + 1, (1, outputs, inputs)).astype(np.int32)
    shift = rng.integers(0, 31, (1, outputs)).astype(np.int32)
    data = LinearData(weight, np.zeros((1, outputs), np.int32), shift, 32767, 255, leaky)
    x, y = grid(rng, 3, 9, inputs, 0, 255, False), grid(rng, 3, 9, outputs, 0, 1, False)
    extension().unfold(find_kernels(KERNELS[0]).linear("test", data), x, 0, y, 0, 1, None, 1, None, 32767, 1)
    expected = by_definition(data, x[:, :, :inputs].reshape(27, inputs))
    assert np.array_equal(y[:, :, :outputs].reshape(27, outputs), expected)


@settings(max_examples=150, deadline=None)
@given(
    kernels, seeds, sizes, sizes, st.integers(1, 40), st.integers(1, 14),
    st.lists(st.sampled_from([1, 3, 5, 7, 9]), min_size=1, max_size=4), limits, st.integers(0, 2), st.booleans(),
    st.integers(1, 5),
)  # fmt: skip
def test_residual_blocks(
    kernel: str, seed: int, channels: int, hidden: int, rows: int, columns: int, sides: list[int], limit: int, more: int,
    extreme: bool, threads: int,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    blocks = [
        (
            depthwise_data(rng, channels, side, limit, 1023),
            linear_data(rng, 1, hidden, channels, 1023, 2047, leaky=True),
            linear_data(rng, 1, channels, hidden, 2047, limit, leaky=False),
        )
        for side in sides
    ]
    border = max(sides) // 2 + more
    x = grid(rng, rows, columns, channels, border, limit, extreme)
    results = []
    for name in (kernel, "numpy"):
        k, grids = find_kernels(name), [x.copy(), np.zeros_like(x)]
        layers = [(k.depthwise("a", a), k.linear("b", b), k.linear("c", c)) for a, b, c in blocks]
        k.functions.blocks(layers, *grids, border, threads)
        results.append(grids[len(sides) % 2])
    assert np.array_equal(*results)


@settings(max_examples=100, deadline=None)
@given(
    kernels, seeds, st.integers(1, 20), st.integers(1, 20), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 2, 3]),
    st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip
def test_between_scales(
    kernel: str, seed: int, few: int, others: int, rows: int, columns: int, side: int, scaled: bool, moved: bool,
    down: bool,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    many = few * side * side
    data = linear_data(rng, 1, others if down else many, many if down else others, 2047, 16383, leaky=False)
    small, large = (rows, columns), (rows * side, columns * side)
    x = grid(rng, *(large if down else small), few if down else others, 2, 2047, False)
    channels = others if down else few
    factor = rng.integers(0, 65536, channels).astype(np.int32) if scaled else None
    offset = rng.integers(-4095, 4096, channels).astype(np.int32) if moved else None
    results = []
    for name in (kernel, "numpy"):
        k = find_kernels(name)
        y = grid(np.random.default_rng(1), *(small if down else large), channels, 1, 9, False)
        compute = k.functions.fold if down else k.functions.unfold
        compute(k.linear("test", data), x, 2, y, 1, side, factor, 14, offset, 8191, 2)
        results.append(y)
    assert np.array_equal(*results)


@settings(max_examples=50, deadline=None)
@given(kernels, seeds, sizes, st.integers(1, 14), st.integers(1, 14), st.booleans())
def test_samples(kernel: str, seed: int, inputs: int, rows: int, columns: int, raw: bool) -> None:
    rng = np.random.default_rng(seed)
    limit = 1023 << 8 if raw else 1023
    data = linear_data(rng, 1, 3 * 64, inputs, 16383, limit, leaky=False)
    x = grid(rng, rows, columns, inputs, 2, 16383, False)
    results = []
    for name in (kernel, "numpy"):
        k = find_kernels(name)
        out = np.empty((8 * rows, 8 * columns, 3), np.int32 if raw else np.uint8)
        k.functions.samples(k.linear("test", data), x, 2, out, 8, raw, 2)
        results.append(out)
    assert np.array_equal(*results)


@settings(max_examples=60, deadline=None)
@given(kernels, seeds, st.integers(1, 40), st.integers(1, 40), st.integers(1, 13), st.integers(1, 13))
def test_steps_of_the_prior(kernel: str, seed: int, group: int, width: int, h: int, w: int) -> None:
    rng = np.random.default_rng(seed)
    enter = linear_data(rng, 4, width, group, 511, 2047, leaky=False)
    leave = linear_data(rng, 4, 2 * group, width, 2047, 1023, leaky=False)
    f = grid(rng, -(-h // 4) * 4, -(-w // 4) * 4, width, 2, 2047, False)
    planes = rng.integers(-40000, 40001, (group, h, w)).astype(np.int32)
    lookup = rng.integers(-511, 512, 2 * 16383 + 1).astype(np.int16)
    factor = rng.integers(0, 1 << 20, (4, group)).astype(np.int32)
    offset = rng.integers(-514, 1787, (4, group)).astype(np.int32)
    results = []
    for name in (kernel, "numpy"):
        k, features = find_kernels(name), f.copy()
        k.functions.enter(k.linear("enter", enter), planes, lookup, features, 2, 2047, 2)
        mean, index = np.empty((group, h, w), np.int32), np.empty((group, h, w), np.uint8)
        k.functions.leave(k.linear("leave", leave), features, 2, factor, offset, mean, index, 2)
        results.append((features, mean, index))
    for got, expected in zip(*results, strict=True):
        assert np.array_equal(got, expected)


@settings(max_examples=30, deadline=None)
@given(seeds, sizes, st.integers(1, 9), st.integers(1, 9))
def test_latents_on_their_way_into_the_synthesis(seed: int, channels: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    y16 = rng.integers(-(2**31), 2**31, (rows, columns, channels)).astype(np.int32)
    y16[:, :, ::2] //= 1 << 16
    factor, shift = rng.integers(0, 32768, channels).astype(np.int32), rng.integers(0, 25, channels).astype(np.int32)
    results = [grid(rng, rows, columns, channels, 1, 0, False) for _ in range(2)]
    extension().scale_latents(y16, factor, shift, 16383, results[0], 1, 2)
    reference.scale_latents(y16, factor, shift, 16383, results[1], 1, 2)
    assert np.array_equal(*results)


def whole_range(rng: np.random.Generator, *shape: int) -> IntArray:
    """Small integers, and some from the whole of 32 bits."""
    small = rng.integers(-3000, 3001, shape)
    return np.where(rng.random(shape) < 0.9, small, rng.integers(-(2**31), 2**31, shape)).astype(np.int32)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_samples_on_their_way_into_the_analysis(seed: int, channels: int, rows: int, columns: int, side: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (side * rows, side * columns, channels), np.uint8)
    results = [grid(rng, rows, columns, side * side * channels, 1, 0, False) for _ in range(2)]
    extension().patches(x, side, results[0], 1, 2)
    reference.patches(x, side, results[1], 1, 2)
    assert np.array_equal(*results)


@settings(max_examples=30, deadline=None)
@given(seeds, sizes, st.integers(1, 9), st.integers(1, 9), st.integers(0, 3), st.integers(0, 3))
def test_latents_on_their_way_out_of_the_analysis(
    seed: int, channels: int, height: int, width: int, top: int, left: int
) -> None:
    rng = np.random.default_rng(seed)
    x = grid(rng, top + height + 1, left + width, channels, 2, 32767, False)
    factor, shift = rng.integers(0, 32768, channels).astype(np.int32), rng.integers(0, 31, channels).astype(np.int32)
    results = [np.empty((height, width, channels), np.int32) for _ in range(2)]
    extension().gain(x, 2, top, left, factor, shift, results[0], 2)
    reference.gain(x, 2, top, left, factor, shift, results[1], 2)
    assert np.array_equal(*results)


@settings(max_examples=30, deadline=None)
@given(seeds, sizes, st.integers(1, 9), st.integers(1, 9), st.integers(1, 300))
def test_latents_on_their_way_into_the_hyper_analysis(
    seed: int, channels: int, height: int, width: int, reach: int
) -> None:
    rng = np.random.default_rng(seed)
    v, lookup = whole_range(rng, height, width, channels), rng.integers(-32768, 32768, 2 * reach).astype(np.int16)
    results = [grid(rng, height + 3, width + 1, channels, 1, 0, False) for _ in range(2)]
    extension().seen(v, lookup, results[0], 1, 2)
    reference.seen(v, lookup, results[1], 1, 2)
    assert np.array_equal(*results)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 40), st.integers(1, 9), st.integers(1, 70), st.integers(0, 3), st.booleans())
def test_a_step_rounded_and_put_together(seed: int, group: int, h: int, w: int, k: int, with_zone: bool) -> None:
    rng = np.random.default_rng(seed)
    v, mean = whole_range(rng, h, w, 4 * group), whole_range(rng, group, h, w)
    index = rng.integers(0, 64, mean.shape, np.uint8) * rng.integers(0, 2, mean.shape, np.uint8)
    zone = rng.integers(127, 240, 64).astype(np.int32) if with_zone else None
    results = []
    v.ravel()[::7], mean.ravel()[::3] = -(2**31), 0
    for functions in (extension(), reference):
        symbols, planes, y16 = np.empty_like(mean), np.empty_like(mean), np.full_like(v, 7)
        functions.round_step(v, mean, index, zone, k, symbols, 2)
        functions.put_step(symbols, mean, k, planes, y16, 2)
        in_place = symbols.copy()
        functions.put_step(in_place, mean, k, in_place, y16, 2)
        assert np.array_equal(in_place, planes)
        clamped = np.empty(v.shape, np.int16)
        functions.put_step(symbols, mean, k, planes, clamped, 2)
        here = y16 != 7
        assert np.array_equal(clamped[here], np.clip(y16, -32767, 32767)[here])
        results.append((symbols, planes, y16))
    for got, expected in zip(*results, strict=True):
        assert np.array_equal(got, expected)


def test_rounding_by_definition() -> None:
    """Halves go upwards; a zone holds what is at most as far from the mean; an index of 0 codes nothing."""
    v = np.array([128, -128, 127, -129, 200, 200, 1000, 16 * 5 + 128], np.int32).reshape(1, 1, 8)
    v = np.concatenate([v, np.zeros((1, 1, 24), np.int32)], 2)
    mean, index = np.zeros((8, 1, 1), np.int32), np.ones((8, 1, 1), np.uint8)
    mean[7], index[6], index[5], zone = 5, 0, 2, np.full(64, 127, np.int32)
    zone[2] = 200
    for functions in (extension(), reference):
        symbols, planes, y16 = np.empty_like(mean), np.empty_like(mean), np.zeros_like(v)
        functions.round_step(v, mean, index, zone, 0, symbols, 1)
        assert symbols.ravel().tolist() == [1, 0, 0, -1, 1, 0, 0, 1]
        functions.put_step(symbols, mean, 0, planes, y16, 1)
        assert planes.ravel().tolist() == y16[0, 0, :8].tolist() == [16, 0, 0, -16, 16, 0, 0, 21]
        assert not y16[0, 0, 8:].any()


def test_wrong_sizes_of_latents_are_refused() -> None:
    f, v = extension(), np.zeros((3, 5, 8), np.int32)
    planes, index, x = np.zeros((2, 3, 5), np.int32), np.zeros((2, 3, 5), np.uint8), np.zeros((5, 7, 32), np.int16)
    row, lookup, rgb = np.zeros(8, np.int32), np.zeros(8, np.int16), np.zeros((6, 10, 3), np.uint8)
    f.round_step(v, planes, index, None, 0, planes.copy(), 1)
    f.put_step(planes, planes, 3, planes.copy(), v, 1)
    f.gain(x, 1, 0, 0, row, row, v, 1)
    f.seen(v, lookup, x, 1, 1)
    f.patches(rgb, 2, x, 1, 1)
    for wrong in (
        lambda: f.round_step(v, planes, index, None, 4, planes.copy(), 1),
        lambda: f.round_step(v, planes, index, row, 0, planes.copy(), 1),
        lambda: f.round_step(v, planes, index + np.uint8(64), None, 0, planes.copy(), 1),
        lambda: f.round_step(v, planes, index[:1].copy(), None, 0, planes.copy(), 1),
        lambda: f.round_step(v[:2].copy(), planes, index, None, 0, planes.copy(), 1),
        lambda: f.put_step(planes, planes[:, :1].copy(), 0, planes.copy(), v, 1),
        lambda: f.put_step(planes, planes, -1, planes.copy(), v, 1),
        lambda: f.gain(x, 1, 1, 0, row, row, v, 1),
        lambda: f.gain(x, 1, 0, -1, row, row, v, 1),
        lambda: f.gain(x, 1, 0, 0, row, row + 31, v, 1),
        lambda: f.seen(v, lookup[:7].copy(), x, 1, 1),
        lambda: f.patches(rgb, 3, x, 1, 1),
        lambda: f.patches(rgb[:4].copy(), 2, x, 1, 1),
    ):
        with pytest.raises(ValueError, match=r"[a-z]"):
            wrong()


def test_constants_are_those_of_the_models() -> None:
    for name in ("V_UNIT", "V_PER_MEAN", "SYMBOL_LIMIT", "SAMPLE_UNIT"):
        assert getattr(reference, name) == getattr(encoder_data, name)
    assert (reference.MEAN_UNIT, reference.LATENT_CLAMP) == (decoder_data.MEAN_UNIT, decoder_data.LATENT_CLAMP)


def test_a_bound_that_does_not_hold_is_refused() -> None:
    data = LinearData(
        np.full((1, 8, 100), 20000, np.int32), np.zeros((1, 8), np.int32), np.zeros((1, 8), np.int32), 1023, 2047, False
    )
    for name in available_kernels():
        with pytest.raises(DamagedWeightsError, match="can reach 4094000000"):
            find_kernels(name).linear("test", data)


def test_wrong_sizes_are_refused() -> None:
    rng = np.random.default_rng(1)
    k = find_kernels(KERNELS[0])
    data = linear_data(rng, 1, 8, 8, 2047, 2047, leaky=False)
    layer, four = k.linear("a", data), k.linear("b", linear_data(rng, 4, 8, 8, 2047, 2047, leaky=False))
    depthwise = k.depthwise("c", depthwise_data(rng, 8, 5, 2047, 2047))
    wider, large = (
        k.depthwise("d", depthwise_data(rng, 9, 5, 2047, 2047)),
        k.linear("e", linear_data(rng, 1, 9, 9, 2047, 2047, leaky=False)),
    )
    x, y = grid(rng, 4, 4, 8, 2, 9, False), grid(rng, 4, 4, 8, 2, 9, False)
    f = k.functions
    good = [(depthwise, layer, layer)]
    f.blocks(good, x, y, 2, 1)
    for wrong in (
        lambda: f.blocks(good, x, y, 1, 1),
        lambda: f.blocks(good, x, x, 2, 1),
        lambda: f.blocks([], x, y, 2, 1),
        lambda: f.blocks(good * 65, x, y, 2, 1),
        lambda: f.blocks([*good, (wider, large, large)], x, y, 2, 1),
        lambda: f.blocks([(depthwise, four, layer)], x, y, 2, 1),
        lambda: f.blocks(good, x, y[:-1].copy(), 2, 1),
        lambda: f.blocks(good, x[:4], y[:4], 2, 1),
        lambda: f.blocks([(layer, layer, layer)], x, y, 2, 1),
        lambda: f.unfold(layer, x, 2, y, 2, 2, None, 1, None, 9, 1),
        lambda: f.unfold(layer, x, 2, y, 2, 1, np.zeros(7, np.int32), 1, None, 9, 1),
        lambda: f.unfold(layer, x, 2, y, 2, 1, None, 0, None, 9, 1),
        lambda: f.samples(layer, x, 2, np.zeros((4, 4, 7), np.uint8), 1, False, 1),
        lambda: f.pack_linear(data.weight, data.bias[:, :7], data.shift, 9, 9, False),
        lambda: f.pack_linear(data.weight, data.bias, data.shift + 31, 9, 9, False),
        lambda: f.pack_linear(data.weight, data.bias, data.shift, 0, 9, False),
        lambda: f.pack_depthwise(np.zeros((8, 4, 4), np.int16), data.bias[0], data.shift[0], 9, 9),
    ):
        with pytest.raises(ValueError):
            wrong()
    for wrong in (
        lambda: f.blocks(good, x.astype(np.int32), y, 2, 1),
        lambda: f.blocks(good, x, y.astype(np.float16), 2, 1),
        lambda: f.pack_linear(data.weight.astype(np.float32), data.bias, data.shift, 9, 9, False),
        lambda: f.samples(layer, x, 2, np.zeros((4, 4, 8), np.int8), 1, False, 1),
    ):
        with pytest.raises(TypeError):
            wrong()
    x.flags.writeable = False
    f.blocks(good, x, y, 2, 1)
    with pytest.raises((BufferError, ValueError)):
        f.blocks(good, y, x, 2, 1)


def test_the_environment_names_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in available_kernels():
        monkeypatch.setenv("VAECODEC_KERNELS", name)
        assert find_kernels().name == name
    monkeypatch.setenv("VAECODEC_KERNELS", "abacus")
    with pytest.raises(UsageError, match="abacus"):
        find_kernels()


def test_without_the_extension_numpy_computes_and_one_line_says_why() -> None:
    code = """
import sys
sys.modules["vaecodec.exact.kernels._kernels"] = None
from vaecodec.exact.kernels import find_kernels
print(find_kernels().name, find_kernels().name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "numpy numpy\n"
    assert done.stderr.startswith("vaecodec: slow: the core in C") and done.stderr.count("\n") == 1
