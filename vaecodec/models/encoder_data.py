"""What the encoding half of the image model consists of in integers: layers, shapes and ranges, tables over quality; without torch.

::

    samples ─► g_a ─► y ──·gain──► v, in 256ths of a step ─┬─► asinh ─► h_a ─► z
                                                           └─► round(v − μ), a dead zone at 0 ─► symbols

One picture and one set of options so give one file, whatever machine, thread count or backend makes it. Decoders know nothing
of this, and the model id does not cover it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vaecodec.errors import DamagedWeightsError
from vaecodec.exact.integers import DepthwiseData, IntArray, LinearData
from vaecodec.models.decoder_data import (
    CONTEXT_LIMIT,
    CONTEXT_UNIT,
    FEATURE_LIMIT,
    INDEX_LEVELS,
    LATENT_CLAMP,
    MEAN_UNIT,
    QUALITIES,
    STREAM_LIMIT,
)
from vaecodec.models.layer_list import check_integers, encoder_layer_shapes
from vaecodec.models.settings import PATCH, STRIDE, Z_STRIDE, ImageSettings

SAMPLE_UNIT = 32
"""Samples enter the analysis as 32·(x − 128): finer than 8 bits, for pictures of 16."""
SAMPLE_INPUT_LIMIT = 128 * SAMPLE_UNIT
V_UNIT = 256
"""Latents before rounding are whole 256ths of a step."""
V_PER_MEAN = V_UNIT // MEAN_UNIT
SEEN_UNIT = CONTEXT_UNIT * V_PER_MEAN
"""The hyper analysis sees 1024·asinh(v)."""
SEEN_LIMIT = CONTEXT_LIMIT * V_PER_MEAN
DEAD_ZONE_LIMIT = V_UNIT - 1
SYMBOL_LIMIT = (1 << 20) - 1
"""Symbols are clamped to this: far beyond real latents, and within what an escape can say."""


@dataclass(frozen=True)
class EncoderData:
    """All integers of the encoding half, as a weights file holds them.

    Attributes:
        settings: sizes.
        layers: by the names of the float modules.
        tables: ``analysis_factor`` [101, C1], ``gain_factor`` [101, M], ``gain_shift`` [M], ``dead_zone`` [64].
        scales: integers per unit on both sides of each layer, float32 [C], and parameters of channels: what turns integers into floats
            again. No decoder or encoder needs them; empty in files from before there were any.
    """

    settings: ImageSettings
    layers: Mapping[str, LinearData | DepthwiseData]
    tables: Mapping[str, IntArray] = field(default_factory=dict)
    scales: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)


def encoder_table_shapes(s: ImageSettings) -> dict[str, tuple[tuple[int, ...], int]]:
    """Shape and largest magnitude of every table: what a weights file must hold."""
    return {
        "analysis_factor": ((QUALITIES, s.features), FEATURE_LIMIT),
        "gain_factor": ((QUALITIES, s.latents), LATENT_CLAMP),
        "gain_shift": ((s.latents,), 24),
        "dead_zone": ((INDEX_LEVELS,), DEAD_ZONE_LIMIT),
    }


def check_encoder_data(data: EncoderData) -> None:
    """Checks that all layers and tables are there, their shapes and ranges; not the bound of sums.

    Raises:
        DamagedWeightsError: something is missing or wrong.
    """
    check_integers(data.layers, encoder_layer_shapes(data.settings), data.tables, encoder_table_shapes(data.settings))
    for name, layer in data.layers.items():
        if max(layer.limit, layer.input_limit) > STREAM_LIMIT:
            raise DamagedWeightsError(f"layer {name} of the weights has clamps beyond 16 bits")
    if int(data.tables["gain_shift"].min()) < 0 or int(data.tables["dead_zone"].min()) < V_UNIT // 2 - 1:
        raise DamagedWeightsError("a table of the encoder is out of range")


def analysis_halo(s: ImageSettings) -> int:
    """Cells of 16 × 16 pixels around a tile that its latents depend on."""
    at8 = s.analysis_blocks8 * (s.kernel8 // 2)
    return s.analysis_blocks16 * (s.kernel16 // 2) + -(-at8 * PATCH // STRIDE)


# --- What every backend does alike ---------------------------------------------------------------------------------------


class Analysed(NamedTuple):
    """A tile before rounding.

    Attributes:
        v: int32 [h, w, M], in 256ths of a step.
        z: symbols of z, int32 [Z, ceil(h/4), ceil(w/4)].
        zeroed: int32 [64], the dead zone of rounding by table index, in 256ths of a step; None where it has none.
    """

    v: IntArray
    z: IntArray
    zeroed: IntArray | None


def patches_of(x: npt.NDArray[Any]) -> IntArray:
    """Samples uint8, or float32 of 0..255 from 16 bits, [H, W, 3] -> 32·(x − 128): int16 [H/8, W/8, 192].

    The order inside a patch is (row, column, channel); H and W are multiples of 8.
    """
    height, width, channels = x.shape
    # Of 16 bits x is a quotient of floats, which IEEE 754 rounds in one way only.
    whole = x.astype(np.int16) * SAMPLE_UNIT if x.dtype == np.uint8 else np.rint(x * SAMPLE_UNIT).astype(np.int16)
    whole -= SAMPLE_INPUT_LIMIT
    cells = whole.reshape(height // PATCH, PATCH, width // PATCH, PATCH * channels)
    patches: IntArray = cells.swapaxes(1, 2).reshape(height // PATCH, width // PATCH, PATCH * PATCH * channels)
    return patches


def finer_lookup(asinh: IntArray) -> IntArray:
    """The table ``asinh`` of the decoding half, over sixteenths of a step, as one over 256ths, linear between them.

    Returns:
        1024·asinh, int16 [2·16·16383], from −16·16383 on.
    """
    rest = np.arange(V_PER_MEAN)
    wide = asinh.astype(np.int32)
    finer: IntArray = (wide[:-1, None] * (V_PER_MEAN - rest) + wide[1:, None] * rest).reshape(-1).astype(np.int16)
    return finer


def seen_by_hyper_analysis(v: IntArray, lookup: IntArray) -> IntArray:
    """Latents before rounding -> what the hyper analysis sees, edges repeated to whole cells of z.

    Args:
        v: int32 [h, w, M] in 256ths of a step.
        lookup: of :func:`finer_lookup`.

    Returns:
        1024·asinh, int16 [4·ceil(h/4), 4·ceil(w/4), M].
    """
    seen = lookup.take(v + np.int32(len(lookup) // 2), mode="clip")
    rows, columns = v.shape[:2]
    padded: IntArray = np.pad(seen, ((0, -rows % Z_STRIDE), (0, -columns % Z_STRIDE), (0, 0)), mode="edge")
    return padded
