"""Small items to test the VAE family with: soft discs of random place and size, black around, as digits are."""

from __future__ import annotations

import numpy as np


def blobs(count: int, height: int = 12, width: int = 10, channels: int = 1, seed: int = 3) -> np.ndarray:
    """uint8 [count, height, width, channels]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    top, left = rng.uniform(3, height - 3, (2, count, 1, 1)) * [[[[1]]], [[[width / height]]]]
    radius = rng.uniform(1.5, 4, (count, 1, 1))
    disc = np.clip(1.5 * (radius - np.hypot(y - top, x - left)), 0, 1)[..., None]
    colour = rng.uniform(0.5, 1, (count, 1, 1, channels))
    return np.rint(255 * disc * colour).astype(np.uint8)
