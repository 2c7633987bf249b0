from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from vaecodec.metrics import ssimulacra2
from vaecodec.metrics.ssimulacra2 import Reference
from vaecodec.models.perceptual import DARKEST, SENSITIVITY, Distortion, contrast_error, score

PICTURES = {"astronaut": data.astronaut(), "coffee": data.coffee(), "cat": data.chelsea()}


def jpeg(samples: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.array(image)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("quality", [10, 50, 90])
@pytest.mark.parametrize("size", [(400, 512), (301, 223), (61, 90), (16, 9)], ids=str)
def test_the_score_is_that_of_the_package(name: str, quality: int, size: tuple[int, int], tmp_path: Path) -> None:
    package = pytest.importorskip("ssimulacra2")
    original = PICTURES[name][: size[0], : size[1]]
    decoded = jpeg(original, quality)
    for path, samples in (("a.png", original), ("b.png", decoded)):
        Image.fromarray(samples).save(tmp_path / path)
    expected = package.compute_ssimulacra2(tmp_path / "a.png", tmp_path / "b.png")
    assert ssimulacra2(original, decoded) == pytest.approx(expected, abs=0.05)


def test_known_scores_without_the_package() -> None:
    original = PICTURES["astronaut"]
    decoded = (original // 16 * 16 + 8).astype(np.uint8)
    assert ssimulacra2(original, decoded) == pytest.approx(55.14, abs=0.01)
    assert ssimulacra2(original, original) == 100


def test_a_score_of_sixteen_bits_is_that_of_eight() -> None:
    original, decoded = PICTURES["coffee"], jpeg(PICTURES["coffee"], 40)
    wide = [samples.astype(np.uint16) * 257 for samples in (original, decoded)]
    assert ssimulacra2(*wide) == pytest.approx(ssimulacra2(original, decoded), abs=1e-3)


def test_grey_is_three_equal_channels() -> None:
    original = PICTURES["cat"][:, :, :1]
    decoded = jpeg(original[:, :, 0], 30)[:, :, None]
    assert ssimulacra2(original, decoded) == ssimulacra2(original.repeat(3, 2), decoded.repeat(3, 2))


def test_a_reference_that_is_kept_gives_the_same_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    original, decoded = PICTURES["cat"], [jpeg(PICTURES["cat"], quality) for quality in (20, 80)]
    kept = Reference(original)
    errors = [kept.weighted_error(samples) for samples in decoded]
    assert errors == [Reference(original).weighted_error(samples) for samples in decoded] and errors[0] > errors[1]
    monkeypatch.setattr(sys.modules[Reference.__module__], "KEPT_PIXELS", 0)
    anew = Reference(original)
    assert errors == [anew.weighted_error(samples) for samples in decoded]


def test_pictures_below_eight_samples_have_no_score() -> None:
    assert ssimulacra2(np.zeros((7, 40, 3), np.uint8), np.zeros((7, 40, 3), np.uint8)) is None


def test_other_types_and_shapes_are_refused() -> None:
    samples = np.zeros((16, 16, 3), np.uint8)
    for other in (samples[:8], samples.astype(np.uint16), samples[:, :, 0]):
        with pytest.raises(ValueError):
            ssimulacra2(samples, other)


def planes(samples: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(samples.transpose(2, 0, 1).copy()).float()[None]


def test_the_loss_orders_pictures_as_the_metric_does() -> None:
    """They differ at borders alone, which the loss mirrors."""
    original = PICTURES["astronaut"][:512, :512]
    for quality in (20, 50, 80):
        decoded = jpeg(original, quality)
        assert float(score(planes(original), planes(decoded))) == pytest.approx(ssimulacra2(original, decoded), abs=2.5)


def test_contrasts_count_as_far_as_they_are_seen() -> None:
    """By the formula, on gratings of one frequency: an error is less visible on a strong grating, where it is finest, and where there is nothing it is 0."""

    def grating(period: int, contrast: float) -> torch.Tensor:
        light = 0.3 * (1 + contrast * torch.cos(torch.arange(128) * 2 * torch.pi / period))
        return (255 * (1.055 * light ** (1 / 2.4) - 0.055)).expand(1, 3, 128, 128)

    def error(period: int, contrast: float) -> float:
        return float(contrast_error(grating(period, contrast), grating(period, contrast + 0.02)))

    assert error(6, 0.0) > 2 * error(6, 0.3) > 0
    assert error(6, 0.0) > 2 * error(2, 0.0)
    assert float(contrast_error(grating(6, 0.3), grating(6, 0.3))) == 0
    # Eight rows have the finest octave alone, and a grating of 2 pixels is all in it.
    finest = contrast_error(grating(2, 0.0)[:, :, :8], grating(2, 0.02)[:, :, :8])
    assert float(finest) == pytest.approx((SENSITIVITY[0] * 0.02 * 0.3 / (0.3 + DARKEST)) ** 2, rel=0.02)


def test_the_gradient_of_the_distortion_is_right() -> None:
    original = torch.from_numpy(PICTURES["coffee"][:64, :64].copy()).double()[None]
    decoded = torch.from_numpy(jpeg(PICTURES["coffee"][:64, :64], 40)).double()[None].requires_grad_()
    lam = torch.tensor([0.02], dtype=torch.float64)
    distortion = Distortion(colour=0.5, contrast=0.5)
    (gradient,) = torch.autograd.grad(distortion(original, decoded, lam)[0].sum(), decoded)
    direction = gradient / gradient.norm()
    step = 0.5
    ahead, behind = (distortion(original, decoded.detach() + s * step * direction, lam)[0].item() for s in (1, -1))
    assert (ahead - behind) / (2 * step) == pytest.approx(float(gradient.norm()), rel=0.03)


def test_flat_equal_pictures_have_a_finite_gradient() -> None:
    flat = torch.full((1, 64, 64, 3), 77.0, requires_grad=True)
    Distortion(contrast=0.15)(flat.detach(), flat, torch.tensor([0.02]))[0].sum().backward()
    assert flat.grad is not None and bool(torch.isfinite(flat.grad).all())


def test_squared_error_alone_asks_for_no_metric() -> None:
    x, y = torch.zeros(1, 64, 64, 3), torch.full((1, 64, 64, 3), 3.0)
    total, mse, error = Distortion(squared=1.0)(x, y, torch.tensor([0.02]))
    assert float(total) == float(mse) == 9 and error is None
