"""The exact decoding half against the float model that it was made from, in every arithmetic, whole and in tiles."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch

from vaecodec.backends.native_backend import NativeBackend
from vaecodec.errors import DamagedWeightsError, ExactArithmeticError
from vaecodec.exact.arithmetic import Arithmetic
from vaecodec.exact.integers import LinearData
from vaecodec.exact.kernels import available_kernels, find_kernels
from vaecodec.exact.layers import ExactLinear
from vaecodec.models import rounding
from vaecodec.models.analysis import hyper_symbols, in_256ths
from vaecodec.models.coding import TileLatents, decode_tile, encode_tile
from vaecodec.models.decoder_data import ExactData
from vaecodec.models.exact_image import ExactPrior, ExactSynthesis, build_layers
from vaecodec.models.export import round_model
from vaecodec.models.image import ImageModel
from vaecodec.models.weights import Weights

CPU = torch.device("cpu")
Groups = list[tuple[np.ndarray, np.ndarray]]


def encode(model: ImageModel, prior: ExactPrior, x: torch.Tensor, quality16: int) -> tuple[TileLatents, Groups]:
    groups: Groups = []
    with torch.inference_mode():
        v = model.analyse(x[None], torch.tensor([quality16 / 1600]))
    latents = encode_tile(
        in_256ths(v[0]), hyper_symbols(model, v), prior, quality16, lambda s, i: groups.append((s, i))
    )
    return latents, groups


@pytest.mark.parametrize("size", [(128, 128), (16, 16), (48, 80), (112, 16)])
def test_decoding_gives_the_integers_of_the_encoder(
    tiny_model: ImageModel, tiny_weights: Weights, crops: torch.Tensor, size: tuple[int, int]
) -> None:
    prior = ExactPrior(build_layers(tiny_weights.data, CPU))
    sent, groups = encode(tiny_model, prior, crops[0, : size[0], : size[1]], 1000)
    waiting = iter(groups)

    def pop(indices: np.ndarray) -> np.ndarray:
        symbols, expected = next(waiting)
        assert np.array_equal(indices, expected)
        return symbols

    got = decode_tile(prior, 1000, size[0] // 16, size[1] // 16, pop)
    assert np.array_equal(got.z, sent.z)
    assert np.array_equal(got.y16, sent.y16)


@pytest.mark.parametrize("arithmetic", [Arithmetic.FLOAT64, Arithmetic.INT64])
def test_every_arithmetic_gives_the_same_integers_and_samples(
    tiny_model: ImageModel, tiny_weights: Weights, crops: torch.Tensor, arithmetic: Arithmetic
) -> None:
    one, other = build_layers(tiny_weights.data, CPU), build_layers(tiny_weights.data, CPU, arithmetic)
    assert one.arithmetic is Arithmetic.FLOAT32
    for quality16 in (0, 777, 1600):
        a, a_groups = encode(tiny_model, ExactPrior(one), crops[1], quality16)
        b, b_groups = encode(tiny_model, ExactPrior(other), crops[1], quality16)
        assert all(
            np.array_equal(p, q) for x, y in zip(a_groups, b_groups, strict=True) for p, q in zip(x, y, strict=True)
        )
        assert np.array_equal(a.y16, b.y16)
        y16 = torch.from_numpy(a.y16)
        assert torch.equal(ExactSynthesis(one)(y16, quality16), ExactSynthesis(other)(y16, quality16))


@pytest.mark.parametrize("kernels", available_kernels())
def test_all_kernels_give_the_samples_of_torch(
    tiny_model: ImageModel, tiny_weights: Weights, crops: torch.Tensor, kernels: str
) -> None:
    layers = build_layers(tiny_weights.data, CPU)
    latents, _ = encode(tiny_model, ExactPrior(layers), crops[2], 1200)
    native = NativeBackend(tiny_weights.data, threads=1, kernels=find_kernels(kernels))
    synthesis, y16 = ExactSynthesis(layers), torch.from_numpy(latents.y16)
    assert np.array_equal(native.synthesise(latents.y16, 1200), synthesis(y16, 1200).numpy())
    assert np.array_equal(native.synthesise_16_bit(latents.y16, 1200), synthesis.samples_16_bit(y16, 1200).numpy())


def test_the_exact_synthesis_is_close_to_the_float_one(
    tiny_model: ImageModel, tiny_weights: Weights, crops: torch.Tensor
) -> None:
    layers = build_layers(tiny_weights.data, CPU)
    latents, _ = encode(tiny_model, ExactPrior(layers), crops[2], 1200)
    y16 = torch.from_numpy(latents.y16)
    exact = ExactSynthesis(layers)(y16, 1200).float()
    with torch.inference_mode():
        whole = tiny_model.synthesise(y16[None].float() / 16, torch.tensor([0.75]))[0].clamp(0, 255)
    assert float((exact - whole).abs().mean()) < 0.5


def test_factors_over_quality_that_differ_widely_are_not_clipped(tiny_model: ImageModel, crops: torch.Tensor) -> None:
    model = deepcopy(tiny_model)
    with torch.no_grad():
        # At quality 0 features between are a tenth of what they are elsewhere.
        model.log_inverse_gain[0] -= 2.3
        model.synthesis_vector[0] += 2.3
    layers = build_layers(round_model(model, crops[:4]), CPU)
    latents, _ = encode(model, ExactPrior(layers), crops[2], 0)
    y16 = torch.from_numpy(latents.y16)
    with torch.inference_mode():
        whole = model.synthesise(y16[None].float() / 16, torch.tensor([0.0]))[0].clamp(0, 255)
    assert float((ExactSynthesis(layers)(y16, 0).float() - whole).abs().mean()) < 0.5


def test_ranges_set_by_quiet_pictures_hold_saturated_colours(
    tiny_model: ImageModel, crops: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = 96 + crops[:4] // 4
    picture = torch.from_numpy(np.random.default_rng(3).integers(0, 2, (64, 64, 3), np.uint8)) * 255

    def error() -> float:
        layers = build_layers(round_model(tiny_model, quiet), CPU)
        latents, _ = encode(tiny_model, ExactPrior(layers), picture, 1600)
        y16 = torch.from_numpy(latents.y16)
        with torch.inference_mode():
            whole = tiny_model.synthesise(y16[None].float() / 16, torch.tensor([1.0]))[0].clamp(0, 255)
        return float((ExactSynthesis(layers)(y16, 1600).float() - whole).abs().mean())

    # Rounding to whole samples alone costs a quarter.
    held = error()
    assert held < 0.3
    monkeypatch.setattr(rounding, "extreme_patterns", lambda: quiet.numpy())
    assert error() > 2 * held


def test_a_tile_with_its_halo_gives_the_samples_of_the_whole(
    tiny_model: ImageModel, tiny_weights: Weights, crops: torch.Tensor
) -> None:
    layers = build_layers(tiny_weights.data, CPU)
    synthesis = ExactSynthesis(layers)
    latents, _ = encode(tiny_model, ExactPrior(layers), crops[3], 800)
    y16 = torch.from_numpy(latents.y16)
    whole = synthesis(y16, 800)
    halo = synthesis.halo
    piece = synthesis(y16[4 - halo : 6 + halo, 4 - halo : 6 + halo], 800)
    inside = piece[16 * halo : 16 * halo + 32, 16 * halo : 16 * halo + 32]
    assert torch.equal(inside, whole[64:96, 64:96])
    too_little = synthesis(y16[4:6, 4:6], 800)
    assert not torch.equal(too_little, whole[64:96, 64:96])


def test_floats_do_not_get_into_the_synthesis(tiny_weights: Weights) -> None:
    with pytest.raises(TypeError, match="int32 sixteenths"):
        ExactSynthesis(build_layers(tiny_weights.data, CPU))(torch.zeros(2, 2, 16), 800)


def test_arithmetic_that_fails_the_self_test_gives_way_to_the_next(
    tiny_weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = ExactLinear.__call__

    def wrong_in_float32(self: ExactLinear, x: torch.Tensor) -> torch.Tensor:
        return right(self, x) + (self.arithmetic is Arithmetic.FLOAT32)

    monkeypatch.setattr(ExactLinear, "__call__", wrong_in_float32)
    assert build_layers(tiny_weights.data, CPU).arithmetic is Arithmetic.FLOAT64
    with pytest.raises(ExactArithmeticError):
        build_layers(tiny_weights.data, CPU, Arithmetic.FLOAT32)


def test_weights_beyond_the_bound_are_refused_when_they_are_read(tiny_weights: Weights) -> None:
    layers = dict(tiny_weights.data.layers)
    pairs = layers["g_s.pairs"]
    assert isinstance(pairs, LinearData)
    layers["g_s.pairs"] = LinearData(
        pairs.weight.astype(np.int64) * 1000, pairs.bias, pairs.shift, pairs.limit, pairs.input_limit, pairs.leaky
    )
    with pytest.raises(DamagedWeightsError, match=r"g_s\.pairs"):
        build_layers(ExactData(tiny_weights.settings, layers, tiny_weights.data.tables), CPU)
