"""Encoding that looks for better latents: what it gains, and that decoders know nothing of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from vaecodec.api import MAX_EFFORT, Codec, Encoded, Tiling, shared_codec
from vaecodec.backends import torch_backend
from vaecodec.backends.native_backend import NativeBackend
from vaecodec.bitstream.container import read_container
from vaecodec.cli import main
from vaecodec.codec import model
from vaecodec.errors import DamagedWeightsError, MissingExtraError, UsageError
from vaecodec.evaluation import psnr
from vaecodec.models.coding import dead_zone, encode_tile
from vaecodec.models.perceptual import Distortion
from vaecodec.models.rectangle import Rectangle
from vaecodec.models.refine import EFFORTS
from vaecodec.models.tunes import TUNES, UNSAID, DistortionWeights
from vaecodec.models.weights import FORMAT, Weights, load_weights, save_weights
from vaecodec.models.weights_file import open_weights_file
from vaecodec.picture import Picture


def cost(codec: Codec, encoded: Encoded, quality16: int) -> float:
    """What encoding minimises: bits + λ·distortion, in bits, by what the weights are tuned for."""
    weights = codec.model.weights
    lam = weights.lambda_at(quality16)
    x, x_hat = (torch.from_numpy(np.float32(samples))[None] for samples in (encoded.source, encoded.samples))
    distortion, _, _ = Distortion.of(weights.distortion)(x, x_hat, torch.tensor([lam]))
    return 8 * len(encoded.data) + lam * float(distortion) * x.shape[1] * x.shape[2]


@pytest.mark.parametrize(
    ("model", "quality", "part"),
    [("psnr", 5, 0.995), ("psnr", 50, 0.995), ("psnr", 95, 0.995), ("eye", 50, 0.995), ("eye", 80, 0.99)],
)
def test_effort_saves_bits_for_their_error(model: str, quality: int, part: float, photograph: np.ndarray) -> None:
    codec, picture = shared_codec(model), Picture(photograph[60:188, 150:310])
    plain, zone, least, little, more = (
        cost(codec, codec.encode(picture, quality=quality, effort=effort), 16 * quality) for effort in range(5)
    )
    assert max(zone, least) < 0.998 * plain
    assert max(little, more) < part * plain


def test_a_dead_zone_is_as_wide_as_the_bits_that_it_saves(codec: Codec) -> None:
    costs = np.zeros((3, 129), np.float32)
    costs[1, 63], costs[1, 65] = 6, 8
    costs[2, 63:66] = [90, 1, 90]
    assert dead_zone(costs).tolist() == pytest.approx([0.5, 0.5 + 0.022 * 5, 0.95])


def test_the_default_has_a_dead_zone_and_no_search(codec: Codec, photograph: np.ndarray) -> None:
    picture = Picture(photograph[64:128, 160:256])
    plain, by_default, first = (
        codec.encode(picture, quality=60, **given) for given in ({"effort": 0}, {}, {"effort": 1})
    )
    assert by_default.data == first.data
    assert len(first.data) < len(plain.data)
    backend = codec.torch
    made = [backend.analyse(photograph[64:128, 160:256], Rectangle(0, 0, 6, 4), 960, effort) for effort in (0, 1)]
    assert np.array_equal(made[0].v, made[1].v)


def test_a_file_made_with_effort_decodes_as_any_other(codec: Codec, photograph: np.ndarray) -> None:
    picture = Picture(photograph[:70, 100:233, :1])
    encoded = codec.encode(picture, quality=40, effort=1, check=True)
    assert np.array_equal(codec.decompress(encoded.data).samples, encoded.samples)


def test_tiles_are_refined_with_their_neighbours_in_sight(codec: Codec, photograph: np.ndarray) -> None:
    picture = Picture(photograph[:90, :130])
    tiling = Tiling(1000, 6)
    plain, better = (codec.encode(picture, quality=60, effort=effort, tiling=tiling) for effort in (0, 2))
    assert len(read_container(better.data).tiles) == 6
    assert np.array_equal(codec.decompress(better.data).samples, better.samples)
    assert cost(codec, better, 960) < cost(codec, plain, 960)
    seams = np.abs(better.samples[:, 63:65].astype(int) - picture.samples[:, 63:65]).mean()
    assert seams < 1.3 * np.abs(better.samples.astype(int) - picture.samples).mean()


@pytest.mark.parametrize("quality16", [0, 800, 1600])
def test_the_relaxed_decoder_is_the_exact_one_but_for_its_floors(
    codec: Codec, photograph: np.ndarray, quality16: int
) -> None:
    backend = codec.torch
    x = photograph[:128, :192]
    analysed = backend.analyse(x, Rectangle(0, 0, 12, 8), quality16)
    groups: list[tuple[np.ndarray, np.ndarray]] = []
    latents = encode_tile(analysed.v, analysed.z, backend.prior, quality16, lambda s, i: groups.append((s, i)))
    exact = torch.from_numpy(backend.synthesise(latents.y16, quality16)).float()
    relaxed = backend.relaxed
    with torch.no_grad():
        y = torch.from_numpy(latents.y16)[None].float() / 16
        samples = relaxed.synthesise(y, quality16)[0]

        def keep(r: torch.Tensor, mean: torch.Tensor, sigma: torch.Tensor, index: torch.Tensor) -> tuple:
            return mean + r, relaxed.cost(index, r.round()).sum()

        known = np.where(backend.prior.hyper_indices(quality16, 8, 12) == 0, 0, analysed.z)
        bits, joined, _ = relaxed.prior(y, relaxed.features(known, quality16), quality16, keep)
    assert torch.allclose(joined, y, atol=1e-3)
    assert float((samples - exact).abs().mean()) < 0.5  # rounding to whole samples alone makes 0.25
    coded = sum(codec.tables.bits(s, i) for s, i in groups[1:])  # the first group is z
    # At the top of the scale floors and clamps of the prior cost this crop 1.3 %; the whole of the validation pictures nothing.
    assert math.isclose(float(bits), coded, rel_tol=0.01 if quality16 < 1600 else 0.02)


def test_more_effort_spends_more(codec: Codec) -> None:
    spent = [passes.soft + passes.whole + passes.dead_zone / 2 for passes in EFFORTS]
    assert spent[0] == 0 and spent == sorted(set(spent)) and len(spent) == MAX_EFFORT + 1


def test_a_search_minimises_what_training_did(
    tmp_path: Path, tiny_weights: Weights, photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_for = DistortionWeights(squared=0.3, power=0.7, colour=0.2)
    path = tmp_path / "mine.safetensors"
    save_weights(replace(tiny_weights, tune="eye", trained_for=trained_for), path)
    seen = []
    monkeypatch.setattr(torch_backend, "refine", lambda _, window, *given: seen.append(given[-1]) or window.v)
    Codec(path).encode(Picture(photograph[:64, :64]), effort=2)
    assert seen == [Distortion.of(trained_for)]
    assert load_weights(path).model_id() == tiny_weights.model_id()
    save_weights(replace(tiny_weights, tune="eye", trained_for=UNSAID["eye"]), path)
    assert load_weights(path).trained_for is None
    save_weights(replace(tiny_weights, tune="eye", trained_for=TUNES["eye"].distortion), path)
    assert load_weights(path).distortion == TUNES["eye"].distortion


@pytest.mark.parametrize("wrong", [{"squared": 2.0}, {"power": 0.0}, {"colour": "much"}, {"shape": 1.0}])
def test_a_distortion_that_no_training_has_is_damage(tmp_path: Path, tiny_weights: Weights, wrong: dict) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(tiny_weights, path)
    opened = open_weights_file(path, FORMAT)
    encoder = json.loads(opened.metadata["encoder"]) | {"distortion": wrong}
    save_file(opened.tensors, path, {**opened.metadata, "encoder": json.dumps(encoder)})
    with pytest.raises(DamagedWeightsError, match="damaged weights file"):
        load_weights(path)


def test_a_backend_encodes_up_to_its_largest_effort_and_torch_beyond(
    codec: Codec, photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = Picture(photograph[:16, :16])
    assert codec.backend.largest_effort == 1 and codec.torch.largest_effort == MAX_EFFORT
    assert NativeBackend(codec.model.weights.data).largest_effort == -1
    monkeypatch.setattr(model, "find_spec", lambda name: None)
    assert codec.compress(picture, effort=1)
    with pytest.raises(MissingExtraError, match="effort 2 needs torch"):
        codec.compress(picture, effort=2)


def test_effort_out_of_range_is_refused(codec: Codec, photograph: np.ndarray) -> None:
    with pytest.raises(UsageError, match="effort 10 is out of range"):
        codec.encode(Picture(photograph[:16, :16]), effort=10)


def test_the_command_takes_an_effort(tmp_path, photograph: np.ndarray) -> None:
    from PIL import Image

    source = tmp_path / "a.png"
    Image.fromarray(photograph[:96, 150:280]).save(source)
    files = []
    for effort in (0, 3):
        out = tmp_path / f"{effort}.vaec"
        assert main(["compress", str(source), "-o", str(out), "-q", "30", "--effort", str(effort)]) == 0
        files.append(out.read_bytes())
        codec = shared_codec("eye")
        assert files[-1] == codec.encode(Picture(photograph[:96, 150:280]), quality=30, effort=effort).data
    assert files[0] != files[1]


def test_rate_control_takes_an_effort(photograph: np.ndarray) -> None:
    codec = shared_codec("psnr")
    picture = Picture(photograph[60:156, 150:278])
    plain, better = (codec.encode_to(picture, size=1200, effort=effort) for effort in (0, 1))
    assert 1180 <= len(better.data) <= 1200
    assert psnr(better.source, better.samples) > psnr(plain.source, plain.samples)
