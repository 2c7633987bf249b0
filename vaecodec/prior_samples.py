"""Pictures that the image model's prior holds likely: random bits, read as if they were a file.

The hyper latents z have no network before them, each is drawn for itself; what follows from them is drawn in four steps
that see each other. So neighbours agree over the reach of the prior's networks, and what comes out are textures and
surfaces, not scenes: the model is made to code photographs, and has no idea of a whole one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vaecodec.backends.backend import open_backend
from vaecodec.bitstream.coder import StackCoder
from vaecodec.bitstream.tables import FrozenTables
from vaecodec.models.coding import decode_tile
from vaecodec.models.decoder_data import Pop, quality16_from_percent
from vaecodec.models.settings import STRIDE
from vaecodec.models.weights import load_weights

SIDE: Final = 256
"""Pixels of a side."""
TRAVERSED_SIDE: Final = 64
TRAVERSED_STEPS: Final = 9
_BYTES: Final = SIDE * SIDE * 8
"""More random bits than so many symbols can take."""


def sample_pictures(
    path: Path, count: int, *, seed: int = 1, quality: float = 50.0, device: str = "auto"
) -> npt.NDArray[np.uint8]:
    """Draws z, then y step by step, and synthesises: uint8 [count, 256, 256, 3].

    Args:
        path: weights of the image model.
        count: how many.
        seed: another one, other pictures.
        quality: 0 to 100; the prior depends on it, at higher ones what is drawn has finer detail.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    weights = load_weights(path)
    backend = open_backend(weights, device=device)
    tables = FrozenTables.from_arrays(weights.half_widths, weights.counts)
    rng = np.random.default_rng(seed)
    quality16, cells = quality16_from_percent(quality), SIDE // STRIDE
    pictures = []
    for _ in range(count):
        # What a stack of random bits gives is distributed as the tables say.
        stack = StackCoder.from_bits(tables, rng.bytes(_BYTES))
        latents = decode_tile(backend, quality16, cells, cells, stack.pop)
        pictures.append(backend.synthesise(latents.y16, quality16))
    return np.stack(pictures)


def traverse_pictures(
    path: Path, channels: int, *, quality: float = 50.0, device: str = "auto"
) -> npt.NDArray[np.uint8]:
    """What single hyper latents say: one row for each of the widest, uint8 [channels · 9, 64, 64, 3].

    The hyper latent goes from −4 to 4 steps everywhere at once, the others are 0, and y is what the prior expects: its
    symbols are 0. It shows the mean that a channel stands for, mostly colour and brightness; that the same channel sets
    how much the rest varies is not seen so.
    """
    weights = load_weights(path)
    backend = open_backend(weights, device=device)
    quality16, cells = quality16_from_percent(quality), TRAVERSED_SIDE // STRIDE
    groups: list[npt.NDArray[Any]] = []

    def look(indices: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        groups.append(indices)
        return np.zeros(len(indices), np.int32)

    decode_tile(backend, quality16, cells, cells, look)
    # One cell of z covers 64 × 64 pixels, so the first group is one number a channel.
    widest = np.argsort(-groups[0].astype(int), kind="stable")[:channels]
    pictures = []
    for channel in widest:
        for value in np.linspace(-4, 4, TRAVERSED_STEPS):
            first = np.zeros(len(groups[0]), np.int32)
            first[channel] = round(value)
            latents = decode_tile(backend, quality16, cells, cells, _first_then_zeros(first))
            pictures.append(backend.synthesise(latents.y16, quality16))
    return np.stack(pictures)


def _first_then_zeros(first: npt.NDArray[np.int32]) -> Pop:
    """Gives one group, then zeros for ever."""
    groups = iter([first])
    return lambda indices: next(groups, np.zeros(len(indices), np.int32))
