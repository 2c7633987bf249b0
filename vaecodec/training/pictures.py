"""Pictures in memory as uint8, and random crops of them: one class for a processor and for a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from vaecodec.errors import UsageError
from vaecodec.models.settings import STRIDE, Z_STRIDE
from vaecodec.picture_files import find_plain_pictures

CALIBRATION_CROPS, CALIBRATION_SIDE = 160, 256
Z_CELL = STRIDE * Z_STRIDE
"""Pixels that one hyper-latent covers: sides of crops are multiples."""


def load_rgb(path: Path) -> Tensor:
    """A picture file -> uint8 [H, W, 3]."""
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB")))


class CropSampler:
    """Draws square crops from pictures held on one device.

    A picture is drawn with a probability in proportion to the square root of its area. A crop is flipped and turned by
    multiples of 90° at random; every third one is scaled down by up to 0.6, so that one photograph is seen at several scales.
    """

    def __init__(self, pictures: Sequence[Tensor], *, smallest: int, device: torch.device) -> None:
        usable = [p for p in pictures if min(p.shape[:2]) >= smallest]
        if not usable:
            raise UsageError(f"no picture has both sides of at least {smallest} pixels: lower --crop")
        self.pictures = [p.to(device) for p in usable]
        area = torch.tensor([float(p.shape[0] * p.shape[1]) for p in usable])
        self.weights = area.sqrt()

    def draw(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """uint8 [count, size, size, 3]; every random number comes from ``generator`` (on the processor)."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        return torch.stack([self._crop(self.pictures[i], size, generator) for i in chosen.tolist()])

    def _crop(self, picture: Tensor, size: int, generator: torch.Generator) -> Tensor:
        H, W = picture.shape[:2]
        scaled, factor, top, left, turn, flip = torch.rand(6, generator=generator).tolist()
        side = size
        if scaled < 1 / 3:
            side = min(round(size / (1 - 0.4 * factor)), H, W)
        y, x = int(top * (H - side + 1)), int(left * (W - side + 1))
        crop = picture[y : y + side, x : x + side]
        if side != size:
            planes = crop.permute(2, 0, 1)[None].float()
            planes = F.interpolate(planes, (size, size), mode="bilinear", antialias=True)
            crop = planes[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)
        crop = torch.rot90(crop, int(turn * 4), (0, 1))
        return crop.flip(1) if flip < 0.5 else crop


def calibration_crops(folder: Path) -> Tensor:
    """What sets ranges and tables when weights are written, always drawn alike, so that one checkpoint has one id.

    Args:
        folder: of the pictures of the training.

    Returns:
        uint8 [160, 256, 256, 3], of pictures that have both sides of 256; where there is none, smaller crops of whole cells of z.
    """
    pictures = [load_rgb(path) for path in find_plain_pictures(folder)]
    largest = max(min(p.shape[:2]) for p in pictures)
    side = min(CALIBRATION_SIDE, max(Z_CELL, largest // Z_CELL * Z_CELL))
    sampler = CropSampler(pictures, smallest=side, device=torch.device("cpu"))
    return sampler.draw(CALIBRATION_CROPS, side, torch.Generator().manual_seed(1))
