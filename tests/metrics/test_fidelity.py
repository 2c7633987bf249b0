from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from vaecodec.errors import MissingExtraError
from vaecodec.evaluation import MS_SSIM_SHORTEST_SIDE, bits_per_pixel, ms_ssim, ms_ssim_db, psnr


def noisy(side: int, amplitude: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[0:side, 0:side]
    smooth = 128 + 60 * np.sin(rows / 9)[:, :, None] + 40 * np.cos(columns / 13)[:, :, None] * [1, 0.5, -1]
    reference = smooth.astype(np.uint8)
    noise = random.integers(-amplitude, amplitude + 1, reference.shape)
    return reference, np.clip(reference + noise, 0, 255).astype(np.uint8)


def test_psnr_of_a_known_error() -> None:
    reference = np.full((4, 4, 3), 100, np.uint8)
    assert psnr(reference, reference + 1) == pytest.approx(20 * math.log10(255))
    assert psnr(np.zeros((2, 2, 1), np.uint8), np.full((2, 2, 1), 255, np.uint8)) == 0


def test_psnr_is_over_all_channels_together() -> None:
    reference = np.zeros((2, 2, 3), np.uint8)
    decoded = reference.copy()
    decoded[:, :, 2] = 3
    assert psnr(reference, decoded) == pytest.approx(10 * math.log10(255**2 / 3))


def test_psnr_does_not_care_for_the_order_of_unsigned_samples() -> None:
    reference, decoded = noisy(16, 9)
    assert psnr(reference, decoded) == psnr(decoded, reference)


def test_psnr_of_equal_pictures_is_infinite() -> None:
    reference, _ = noisy(16, 1)
    assert psnr(reference, reference.copy()) == math.inf


@pytest.mark.parametrize("metric", [psnr, ms_ssim])
def test_pictures_that_cannot_be_compared_are_refused(metric: object) -> None:
    assert callable(metric)
    with pytest.raises(ValueError, match="shapes"):
        metric(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 1), np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        metric(np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 3), np.uint8))


def test_ms_ssim_agrees_with_the_definition() -> None:
    """Against the formula of the paper, written down again with scipy."""
    signal = pytest.importorskip("scipy.signal")
    pytest.importorskip("pytorch_msssim")
    reference, decoded = noisy(176, 25)  # sides that four halvings divide
    taps = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(taps, taps) / taps.sum() ** 2

    def blur(plane: np.ndarray) -> np.ndarray:
        return np.asarray(signal.convolve2d(plane, window, mode="valid"))

    per_channel = []
    for channel in range(3):
        x, y = (samples[:, :, channel].astype(float) for samples in (reference, decoded))
        product = 1.0
        for scale, weight in enumerate([0.0448, 0.2856, 0.3001, 0.2363, 0.1333]):
            mx, my = blur(x), blur(y)
            vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            contrast = (2 * vxy + c2) / (vx + vy + c2)
            luminance = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
            product *= float((contrast * luminance if scale == 4 else contrast).mean()) ** weight
            if scale < 4:
                x, y = (p.reshape(p.shape[0] // 2, 2, p.shape[1] // 2, 2).mean((1, 3)) for p in (x, y))
        per_channel.append(product)
    assert ms_ssim(reference, decoded) == pytest.approx(np.mean(per_channel), abs=2e-6)


def test_ms_ssim_falls_with_noise_and_is_one_without() -> None:
    pytest.importorskip("pytorch_msssim")
    values = [ms_ssim(*noisy(MS_SSIM_SHORTEST_SIDE, amplitude)) for amplitude in (0, 5, 30)]
    assert values[0] == pytest.approx(1)
    assert values == sorted(values, key=lambda value: -(value or 0))


def test_ms_ssim_is_not_to_be_had_for_small_pictures() -> None:
    assert ms_ssim(*noisy(MS_SSIM_SHORTEST_SIDE - 1, 5)) is None


def test_ms_ssim_names_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_msssim", None)
    with pytest.raises(MissingExtraError, match=r"vaecodec\[metrics\]"):
        ms_ssim(*noisy(MS_SSIM_SHORTEST_SIDE, 5))


def test_decibels_of_ms_ssim() -> None:
    assert ms_ssim_db(0.99) == pytest.approx(20)
    assert ms_ssim_db(1.0) == math.inf


def test_rate() -> None:
    assert bits_per_pixel(1000, 100, 50) == 1.6
