"""Pictures in fewer colours."""

from __future__ import annotations

import numpy as np
import pytest

from vaecodec.picture.palette import MOST_COLOURS, Palettes


def lettering(seed: int = 0, grounds: int = 2) -> np.ndarray:
    """Flat grounds with strokes whose edges run through steps between: uint8 [96, 120, 3]."""
    random = np.random.default_rng(seed)
    samples = np.zeros((96, 120, 3), np.uint8)
    for i, part in enumerate(np.array_split(samples, grounds, axis=1)):
        part[:] = (250 - 40 * i, 250, 245)
    for _ in range(40):
        y, x = random.integers(2, 90), random.integers(2, 110)
        ink = random.integers(0, 60, 3)
        for step, share in enumerate((0.3, 0.8, 1.0, 0.6)):
            column = samples[y : y + 5, x + step]
            column[:] = column + share * (ink - column.astype(float))
    return samples


def test_all_colours_are_the_picture_itself() -> None:
    samples = lettering()
    palettes = Palettes(samples)
    assert len(palettes.errors) == len(np.unique(samples.reshape(-1, 3), axis=0)) and palettes.errors[-1] == 0
    np.testing.assert_array_equal(palettes.reduced(len(palettes.errors)), samples)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 20])
def test_a_palette_has_no_more_colours_than_asked_and_keeps_the_grounds(count: int) -> None:
    samples = lettering()
    reduced = Palettes(samples).reduced(count)
    assert reduced.shape == samples.shape and reduced.dtype == np.uint8
    assert len(np.unique(reduced.reshape(-1, 3), axis=0)) <= count
    if count >= 2:
        ground = (samples == samples[0, 0]).all(axis=2)
        np.testing.assert_array_equal(reduced[ground], samples[ground])


def test_more_colours_are_closer() -> None:
    samples = lettering()
    palettes = Palettes(samples)
    errors = [float(np.square(palettes.reduced(k).astype(int) - samples).mean()) for k in (1, 2, 4, 8, 16, 32)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < errors[0] / 50
    assert (np.diff(palettes.errors) <= 0).all()


def test_means_are_those_of_the_pixels_that_take_them() -> None:
    # Two grounds, and between them two close greys of which only one fits into three colours: their mean by number of pixels.
    samples = np.zeros((40, 40, 1), np.uint8)
    samples[:, 20:] = 255
    samples[0, :9] = 100
    samples[1, :3] = 104
    reduced = Palettes(samples).reduced(3)
    assert set(np.unique(reduced)) == {0, 101, 255}


def test_a_picture_of_many_colours_is_grouped_and_ends_at_a_full_palette() -> None:
    samples = np.random.default_rng(1).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    palettes = Palettes(samples)
    assert len(palettes.errors) == MOST_COLOURS
    assert len(np.unique(palettes.reduced(MOST_COLOURS).reshape(-1, 3), axis=0)) <= MOST_COLOURS


def test_grey_is_as_colour_of_equal_channels() -> None:
    grey = lettering()[:, :, :1]
    rgb = np.repeat(grey, 3, axis=2)
    np.testing.assert_array_equal(Palettes(grey).reduced(4), Palettes(rgb).reduced(4)[:, :, :1])
