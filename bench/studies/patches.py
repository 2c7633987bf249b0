"""Cuts photographs into an array of patches for the VAE family: what a learned coder without loss reaches on them.

    python bench/studies/patches.py FOLDER... -o patches.npy [--predict] [--each 100] [--part 3] [--seed 7]
    vaecodec train --family vae patches.npy -o learned.safetensors --preset lossless --minutes 7 --batch 32 --beta-warmup 500 --validation held-out.npy
    vaecodec compress held-out.npy --lossless --model learned.safetensors

``--predict`` stores what is left of the samples after green is subtracted from red and blue and every sample is predicted from its left and
upper neighbours (the median predictor of LOCO-I), modulo 256: the picture comes back from it, so bits of one are bits of the other.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vaecodec.picture import read_picture
from vaecodec.picture_files import READABLE_EXTENSIONS

Samples = npt.NDArray[Any]
SIDE = 32


def residuals(rgb: Samples) -> Samples:
    """uint8 [H, W, 3] -> uint8 of the same shape, 128 where the prediction was right."""
    green = rgb[:, :, 1].astype(np.int16)
    planes = np.stack([green, (rgb[:, :, 0] - green + 128) & 255, (rgb[:, :, 2] - green + 128) & 255], axis=2)
    left, above, corner = np.zeros_like(planes), np.zeros_like(planes), np.zeros_like(planes)
    left[:, 1:], above[1:], corner[1:, 1:] = planes[:, :-1], planes[:-1], planes[:-1, :-1]
    # The first row and column have one neighbour.
    left[:, 0], above[0], corner[:, 0] = above[:, 0], left[0], above[:, 0]
    low, high = np.minimum(left, above), np.maximum(left, above)
    predicted = np.where(corner >= high, low, np.where(corner <= low, high, left + above - corner))
    wrapped: Samples = ((planes - predicted + 128) & 255).astype(np.uint8)
    return wrapped


def patches(samples: Samples) -> Samples:
    """[H, W, 3] -> [N, 32, 32, 3], what is left at the edges dropped."""
    rows, columns = samples.shape[0] // SIDE, samples.shape[1] // SIDE
    cut = samples[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE, 3)
    whole: Samples = cut.swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3)
    return whole


def main() -> None:
    """Writes the array."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--predict", action="store_true")
    parser.add_argument("--each", type=int, help="patches of a picture, at random; all by default")
    parser.add_argument("--part", type=int, default=1, help="keep every so many of all patches")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng, parts = np.random.default_rng(options.seed), []
    for path in sorted(path for folder in options.folders for path in folder.rglob("*")):
        if path.suffix.lower() not in READABLE_EXTENSIONS:
            continue
        samples = read_picture(path).samples
        if samples.shape[2] == 3:
            cut = patches(residuals(samples) if options.predict else samples)
            parts.append(cut[rng.permutation(len(cut))[: options.each]])
    whole = np.concatenate(parts)
    np.save(options.output, whole[rng.permutation(len(whole))][:: options.part])


if __name__ == "__main__":
    main()
