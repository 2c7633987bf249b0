"""Pictures that the image model's prior holds likely: random bits, read as if they were a file.

The hyper latents z have no network before them, each is drawn for itself; what follows from them is drawn in four steps
that see each other. So neighbours agree over the reach of the prior's networks, and what comes out are textures and
surfaces, not scenes: the model is made to code photographs, and has no idea of a whole one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from vaecodec.bitstream.coder import StackCoder
from vaecodec.bitstream.tables import FrozenTables
from vaecodec.models.backend import open_backend
from vaecodec.models.decoder_data import quality_in_units
from vaecodec.models.settings import STRIDE
from vaecodec.models.weights import load_weights

SIDE: Final = 256
"""Pixels of a side."""
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
    quality16, cells = quality_in_units(quality), SIDE // STRIDE
    pictures = []
    for _ in range(count):
        # What a stack of random bits gives is distributed as the tables say.
        stack = StackCoder.from_bits(tables, rng.bytes(_BYTES))
        latents = backend.decode_tile(quality16, cells, cells, stack.pop)
        pictures.append(backend.synthesise(latents.y16, quality16))
    return np.stack(pictures)
