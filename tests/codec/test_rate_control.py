"""A size, a rate, a PSNR or an MS-SSIM in place of a quality."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vaecodec.api import Codec
from vaecodec.codec.rate_control import LAST, MS_SSIM, PSNR, SIZE, Measure, search
from vaecodec.errors import UsageError
from vaecodec.evaluation import bits_per_pixel, ms_ssim, psnr, ssimulacra2
from vaecodec.picture import Picture


def counted(value_at: Callable[[int], float]) -> tuple[Callable[[int], float], list[int]]:
    points: list[int] = []

    def count(quality: int) -> float:
        points.append(quality)
        return value_at(quality)

    return count, points


CURVES: list[tuple[Measure, Callable[[int], float]]] = [
    (SIZE, lambda q: float(round(3000 * math.exp(0.002 * q)))),
    (SIZE, lambda q: float(4 * round(50 * math.exp(0.0031 * q - 3e-7 * q * q)))),
    (SIZE, lambda q: min(9000.0, round(5000 * math.exp(0.001 * q)))),
    (PSNR, lambda q: 24 + 16 * (q / LAST) ** 0.8),
    (MS_SSIM, lambda q: 1 - 10 ** (-0.7 - 1.6 * q / LAST)),
]


@pytest.mark.parametrize(("measure", "curve"), CURVES)
def test_the_search_finds_the_quality_next_to_the_target_in_few_points(
    measure: Measure, curve: Callable[[int], float]
) -> None:
    taken = []
    for quality in range(3, LAST, 97):
        for target in (curve(quality), (curve(quality) + curve(quality + 1)) / 2):
            value_at, points = counted(curve)
            found = search(measure, target, value_at)
            assert measure.meets(curve(found), target)
            neighbour = found + 1 if measure.at_most else found - 1
            # One further is on the wrong side, or no nearer.
            assert not measure.meets(curve(neighbour), target) or curve(neighbour) == curve(found) or neighbour > LAST
            taken.append(len(points))
    assert np.mean(taken) < 7
    assert max(taken) <= 22


def test_what_cannot_be_reached_is_said_with_what_can() -> None:
    with pytest.raises(UsageError, match=r"a size of 100 bytes cannot be reached: this picture takes at least 3,000"):
        search(SIZE, 100, CURVES[0][1])
    with pytest.raises(UsageError, match=r"a PSNR of 50\.00 dB cannot be reached: this picture reaches at most 40\.00"):
        search(PSNR, 50, CURVES[3][1])
    assert search(SIZE, 1e9, CURVES[0][1]) == LAST
    assert search(PSNR, 10, CURVES[3][1]) == 0


def test_a_rate_that_is_told_can_be_asked_for(codec: Codec, photograph: np.ndarray) -> None:
    picture = Picture(photograph[:57, :91])
    with pytest.raises(UsageError, match=r"a rate of 0\.0001 bits per pixel cannot be reached") as told:
        codec.encode_to(picture, bpp=0.0001)
    found = re.search(r"at least ([0-9.]+) bits per pixel \(([0-9,]+) bytes\)", str(told.value))
    assert found is not None
    assert len(codec.encode_to(picture, bpp=float(found[1])).data) == int(found[2])


def test_targets_are_met_closely_and_never_on_the_wrong_side(codec: Codec, photograph: np.ndarray) -> None:
    picture = Picture(photograph[:256, 100:356], icc=b"profile" * 9)
    for size in (4000, 9000):
        data = codec.encode_to(picture, size=size, check=True).data
        assert 0.985 * size <= len(data) <= size
        codec.decompress(data)
    encoded = codec.encode_to(picture, bpp=0.8)
    assert 0.985 * 0.8 <= bits_per_pixel(len(encoded.data), 256, 256) <= 0.8
    assert encoded.data == codec.encode(picture, quality=encoded.quality).data
    encoded = codec.encode_to(picture, psnr=33.3)
    assert 33.3 <= psnr(picture.samples, encoded.samples) < 33.35
    encoded = codec.encode_to(picture, ssimulacra2=71.5)
    score = ssimulacra2(picture.samples, encoded.samples)
    assert score is not None and 71.5 <= score < 72
    encoded = codec.encode_to(picture, ms_ssim=0.97)
    similarity = ms_ssim(picture.samples, encoded.samples)
    assert similarity is not None
    assert 0.97 <= similarity < 0.9705


def test_scores_go_below_0(codec: Codec, photograph: np.ndarray) -> None:
    noise = np.random.default_rng(3).normal(120, 20, (96, 96, 3)).clip(0, 255).astype(np.uint8)
    for target in (-100, -70):
        encoded = codec.encode_to(Picture(noise), ssimulacra2=target)
        score = ssimulacra2(noise, encoded.samples)
        assert score is not None and target <= score < target + 5
    picture = photograph[:256, 100:356]
    for target in (0, -20):
        score = ssimulacra2(picture, codec.encode_to(Picture(picture), ssimulacra2=target).samples)
        assert score is not None and score >= target


def test_a_picture_without_loss_meets_every_target_of_quality(codec: Codec) -> None:
    flat = Picture(np.full((300, 300, 3), 9, np.uint8))
    encoded = codec.encode_to(flat, psnr=60)
    assert np.array_equal(encoded.samples, flat.samples)
    assert len(codec.encode_to(flat, size=1000).data) < 1000
    with pytest.raises(UsageError, match="at least"):
        codec.encode_to(flat, size=10)


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"size": 1, "bpp": 1.0},
        {"size": 0},
        {"bpp": -1.0},
        {"psnr": math.nan},
        {"ms_ssim": 1.5},
        {"ms_ssim": 0.9},
        {"ssimulacra2": 101},
        {"ssimulacra2": math.inf},
        {"ssimulacra2": -math.inf},
        {"psnr": 0},
    ],
)
def test_targets_that_make_no_sense_are_refused(codec: Codec, target: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        codec.encode_to(Picture(np.zeros((160, 200, 3), np.uint8)), **target)
