"""What the decoding half of the image model consists of: its integers, their shapes and ranges, tables over quality; without torch.

``exact_image`` computes with it in torch, ``vaecodec.backends.native_backend`` in C.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from vaecodec.bitstream.tables import TABLES
from vaecodec.errors import DamagedWeightsError, UnsupportedPictureError
from vaecodec.exact.integers import DIGIT_SHIFT, DepthwiseData, IntArray, LinearData
from vaecodec.models.layer_list import check_integers, layer_shapes
from vaecodec.models.settings import PATCH, QUAD, STRIDE, Z_STRIDE, ImageSettings

QUALITY_UNITS = 16
"""Quality in files is the integer 16·q."""
QUALITIES = 101
"""Rows of the tables over quality: one for every whole q, linear between them."""

MEAN_UNIT = 16
"""Means are whole sixteenths of a step."""
MEAN_SHIFT = 12
"""``mean_factor`` has this many fractional bits."""
MEAN_LIMIT_UNITS = 1023
INDEX_SHIFT = 5
"""Table indices are computed in 32nds of a level."""
INDEX_LEVELS = TABLES + 1
CERTAIN_BELOW = 3
"""Levels below this (σ < 0.114) are certain: the symbol is 0 and is not coded, index 0."""
INDEX_LIMIT = 4095

CONTEXT_UNIT = 64
"""The context sees 64·asinh(ŷ), from a table over ŷ in sixteenths of a step, clamped."""
CONTEXT_CLAMP = 16383
CONTEXT_LIMIT = 511
HYPER_LIMIT = 255
"""Symbols of z are clamped to ±255 before the network."""
LATENT_CLAMP = 32767
"""Latents are clamped to ±32767 sixteenths of a step before the synthesis."""
FEATURE_SHIFT = 14
"""``feature_factor`` has this many fractional bits."""
FEATURE_LIMIT = 65535
STREAM_LIMIT = 32767
"""Products of features and factors stay below 2^31."""
SAMPLE_LIMIT = 1023


Push = Callable[[IntArray, IntArray], None]
"""Takes symbols (int32 [N]) and table indices (uint8 [N]) of one group."""
Pop = Callable[[IntArray], IntArray]
"""Takes the table indices (uint8 [N]) of one group, gives its symbols (int32 [N])."""


def quality16_from_percent(quality: float) -> int:
    """Quality 0..100 -> the integer 16·q of files."""
    return round(quality * QUALITY_UNITS)


def unit_quality(quality16: int) -> float:
    """16·q -> q in 0..1, as the float model takes it."""
    return quality16 / (100 * QUALITY_UNITS)


@dataclass(frozen=True)
class ExactData:
    """All integers of the decoding half, as a weights file holds them.

    Attributes:
        settings: sizes.
        layers: by the names of the float modules.
        tables: ``latent_factor`` [101, M], ``latent_shift`` [M], ``feature_factor`` [101, C1], ``mean_factor`` [101, M], ``index_offset``
            [101, M], ``hyper_index`` [101, Z], ``prior_vector`` [101, P], ``asinh`` [2·16383 + 1].
        scales: integers per unit on both sides of each layer, float32 [C], and parameters of channels: what turns integers into floats
            again. No decoder or encoder needs them; empty in files from before there were any.
    """

    settings: ImageSettings
    layers: Mapping[str, LinearData | DepthwiseData]
    tables: Mapping[str, IntArray] = field(default_factory=dict)
    scales: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)


def table_shapes(s: ImageSettings) -> dict[str, tuple[tuple[int, ...], int]]:
    """Shape and largest magnitude of every table: what a weights file must hold."""
    Q, M = QUALITIES, s.latents
    return {
        "latent_factor": ((Q, M), LATENT_CLAMP),
        "latent_shift": ((M,), 24),
        "feature_factor": ((Q, s.features), FEATURE_LIMIT),
        "mean_factor": ((Q, M), (1 << 20) - 1),
        "index_offset": ((Q, M), 4 * INDEX_LIMIT),
        "hyper_index": ((Q, s.hyper_latents), INDEX_LIMIT),
        "prior_vector": ((Q, s.prior_width), 4095),
        "asinh": ((2 * CONTEXT_CLAMP + 1,), CONTEXT_LIMIT),
    }


SHIFT_16_BIT = 8
"""Fractional bits that the last layer of the synthesis keeps for samples of 16 bits."""


def with_16_bit_samples(data: LinearData) -> LinearData | None:
    """The last layer with SHIFT_16_BIT fractional bits more in what it gives, rounded to the nearest; or None if it lacks those bits."""
    if int(data.shift.min()) < SHIFT_16_BIT + DIGIT_SHIFT or data.leaky:
        return None
    shift = data.shift.astype(np.int64)
    # The bias holds half a unit for rounding: of a smaller unit it is less.
    bias = data.bias.astype(np.int64) - (1 << (shift - 1)) + (1 << (shift - SHIFT_16_BIT - 1))
    return replace(data, bias=bias, shift=shift - SHIFT_16_BIT, limit=data.limit << SHIFT_16_BIT)


def no_16_bit_samples() -> UnsupportedPictureError:
    """What is raised where :func:`with_16_bit_samples` gave None."""
    return UnsupportedPictureError(
        "this model has samples of 8 bits only: reduce the picture to 8 bits, or use another model"
    )


class QualityTables:
    """The tables over quality, interpolated in integers."""

    def __init__(self, tables: Mapping[str, IntArray]) -> None:
        self.tables = {name: np.asarray(values, np.int64) for name, values in tables.items()}

    def at(self, name: str, quality16: int) -> IntArray:
        """Row at quality 16·q: ``(T[i]·(16 − r) + T[i+1]·r + 8) >> 4`` with i, r = divmod(16·q, 16). int32 [C]."""
        i, r = divmod(quality16, QUALITY_UNITS)
        table = self.tables[name]
        following = table[min(i + 1, QUALITIES - 1)]
        row = (table[i] * (QUALITY_UNITS - r) + following * r + QUALITY_UNITS // 2) >> 4
        at_quality: IntArray = row.astype(np.int32)
        return at_quality

    def hyper_indices(self, quality16: int, height: int, width: int) -> IntArray:
        """Table indices of z for a grid of ``height`` × ``width`` latents: uint8 [Z, ceil(h/4), ceil(w/4)]."""
        fine = self.at("hyper_index", quality16)
        index = np.clip((fine + (1 << (INDEX_SHIFT - 1))) >> INDEX_SHIFT, 0, INDEX_LEVELS - 1)
        index = np.where(index < CERTAIN_BELOW, 0, index).astype(np.uint8)
        shape = (len(index), -(-height // Z_STRIDE), -(-width // Z_STRIDE))
        return np.ascontiguousarray(np.broadcast_to(index[:, None, None], shape))


def check_data(data: ExactData) -> None:
    """Checks that all layers and tables are there, their shapes and ranges; not the bound of sums, see ``prove_linear``.

    Raises:
        DamagedWeightsError: something is missing or wrong.
    """
    check_integers(data.layers, layer_shapes(data.settings), data.tables, table_shapes(data.settings))
    pairs = data.layers["g_s.pairs"]
    leaving = [data.layers[name] for name in {data.settings.leaving8, "g_s.patches"}]
    if max(pairs.input_limit, pairs.limit, *(layer.input_limit for layer in leaving)) > STREAM_LIMIT:
        raise DamagedWeightsError("the streams of the synthesis are wider than its factors allow")


def synthesis_halo(s: ImageSettings) -> int:
    """Latents around a tile that its samples depend on."""
    pixels = (s.kernel8 // 2) * (PATCH * s.synthesis_blocks8 + QUAD * s.synthesis_blocks4)
    return s.synthesis_blocks16 * (s.kernel16 // 2) + -(-pixels // STRIDE)
