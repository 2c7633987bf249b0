"""Weights files of the VAE family: the integers of encoder and decoder, the coder's tables, and a card; safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vaecodec.bitstream.tables import TABLES
from vaecodec.exact.integers import IntArray
from vaecodec.models.weights_file import (
    Config,
    Tensors,
    clamps_of,
    integers,
    load_weights_file,
    model_id_of,
    read_half,
    tensors_of,
    write_weights_file,
)
from vaecodec.vae.exact import (
    BANKS,
    PIXEL_HALF_WIDTH,
    VaeData,
    layer_shapes,
    table_shapes,
)
from vaecodec.vae.settings import DISCRETE, VaeSettings

FORMAT = "vaecodec-family-1"


@dataclass(frozen=True)
class VaeWeights:
    """Everything that a weights file of the family holds.

    Attributes:
        data: encoder and decoder.
        half_widths: int32 [63], of the tables of latents.
        counts: uint32, those tables one after the other.
        pixel_counts: uint32 [4, 63, 258], the tables of pixels; None where the likelihood is none over 0..255.
        card: who made it, of what, how long; free form, JSON.
    """

    data: VaeData
    half_widths: IntArray
    counts: IntArray
    pixel_counts: IntArray | None
    card: Mapping[str, object]

    @property
    def settings(self) -> VaeSettings:
        """Sizes of the model."""
        return self.data.settings

    def config(self) -> str:
        """Sizes and clamps, as JSON with sorted keys and without spaces: the id covers these characters."""
        config = {"settings": self.settings.to_dict(), "layers": clamps_of(self.data.layers)}
        return json.dumps(config, sort_keys=True, separators=(",", ":"))

    def all_tensors(self) -> dict[str, IntArray]:
        """All integers by name."""
        others = {"coder/half_widths": self.half_widths, "coder/counts": self.counts}
        if self.pixel_counts is not None:
            others["coder/pixels"] = self.pixel_counts
        return tensors_of(self.data.layers, self.data.tables, others)

    def model_id(self) -> bytes:
        """First 8 bytes of SHA-256 over all integers: see :func:`vaecodec.models.weights_file.model_id_of`."""
        return model_id_of(self.config(), self.all_tensors())


def save_vae(weights: VaeWeights, path: Path) -> None:
    """Writes a weights file; it appears whole or not at all."""
    write_weights_file(
        path, weights.all_tensors(), format_name=FORMAT, decoder=weights.config(), card=weights.card,
        model_id=weights.model_id(),
    )  # fmt: skip


def load_vae(path: Path) -> VaeWeights:
    """Reads and checks a weights file.

    Raises:
        WeightsNotFoundError: there is no such file.
        DamagedWeightsError: it is no weights file of the family, or is damaged.
    """
    return load_weights_file(path, FORMAT, _assemble)


def _assemble(parts: Mapping[str, Config], tensors: Tensors) -> VaeWeights:
    config, card = parts["decoder"], parts["card"]
    settings = VaeSettings.from_dict(config["settings"])
    layers, tables = read_half(tensors, config["layers"], layer_shapes(settings), table_shapes(settings))
    pixels = None
    if settings.likelihood in DISCRETE:
        shape = (BANKS, TABLES, 2 * PIXEL_HALF_WIDTH + 2)
        pixels = integers(tensors, "coder/pixels", shape).astype(np.uint32)
    half_widths = integers(tensors, "coder/half_widths", None)
    counts = integers(tensors, "coder/counts", None).astype(np.uint32)
    return VaeWeights(VaeData(settings, layers, tables), half_widths, counts, pixels, card)
