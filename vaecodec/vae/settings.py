"""Sizes of one model, and the layers that follow from them: stored with the weights, part of the model id.

A *stream* is an array of features with one scale per channel; layers read one stream and write one. The float and the
exact network, the rounding between them and the check of a weights file all go by the same list of layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

from vaecodec.exact.tables import LEVELS, SIGMA_MAX, SIGMA_MIN

LIKELIHOODS = ("squared", "bernoulli", "beta-binomial", "tables")
DISCRETE = ("beta-binomial", "tables")
"""Likelihoods that are distributions over 0..255: what lossless coding needs."""
NETWORKS = ("dense", "convolutional")

CELL = 4
"""Convolutional networks see items whose sides are extended to multiples of this."""
PARTS = 4
"""Pixels of a 2×2 cell, and steps of the context."""
STEP_POSITIONS = (0, 3, 1, 2)
"""Which position 2·row + column of its cell each step codes: its diagonal neighbour second, then the two between."""

PRIOR_LEVEL = 48
"""Table index of the standard normal prior: of the coder's log-spaced σ, the one that is a whole latent unit."""
LATENT_UNIT = math.exp(math.log(SIGMA_MIN) + PRIOR_LEVEL / (LEVELS - 1) * math.log(SIGMA_MAX / SIGMA_MIN))
"""Points of the latents' uniform grid per unit: 71.6, so that the prior's σ is exactly that of its table."""
LATENT_LIMIT = 511
"""Networks see grid points within ±511, 7.1 σ."""
LEVELS_PER_NAT = (LEVELS - 1) / math.log(SIGMA_MAX / SIGMA_MIN)
"""Table levels per natural logarithm of σ."""
LEVEL_UNIT = 32
"""The posterior's σ and the parameters of a pixel are computed in 32nds of a level."""
POSTERIOR_LEVELS = (20, 51)
"""Lowest and highest level of the posterior's σ: 0.019 to 1.5."""
POSTERIOR_LIMIT = 2047

MEANS, SPREADS = 18, 14
"""Levels of a pixel's two parameters: 252 distributions over 0..255, four banks of 63 tables."""
LOGIT_UNIT = 128
"""Units of a Bernoulli logit."""
PIXEL_LIMIT = 1023
EMBEDDING = 4
"""Channels of the integers that the context sees for a pixel, looked up by its value."""

ACTIVE_BITS = 0.015
"""A dimension with less KL than this on average, in bits, is not used (0.01 nats: Burda et al. 2016)."""

STREAM_LIMIT = 1023
WIDE_LIMIT = 2047
"""Residual streams are wider: they lose at every block."""


class Stream(NamedTuple):
    """Channels of a stream, its clamp, and its integers per unit where that is fixed rather than calibrated."""

    channels: int
    limit: int
    scale: float | None = None


class Linear(NamedTuple):
    """A matrix from ``source_repeat`` cells of one stream to ``target_repeat`` cells of another."""

    name: str
    source: str
    source_repeat: int
    target: str
    target_repeat: int
    leaky: bool = False


class Block(NamedTuple):
    """A residual block on a stream."""

    name: str
    stream: str


Layer = Linear | Block


@dataclass(frozen=True)
class VaeSettings:
    """Sizes of one model.

    Attributes:
        height: of an item, in pixels; ``width`` and ``channels`` likewise. A vector is 1 × width × 1.
        variational: a VAE with a Gaussian posterior, or an autoencoder.
        network: ``dense`` or ``convolutional``.
        widths: of the hidden layers from the item to the latents; mirrored in the decoder. Of a convolutional network
            the features at 1/2 and at 1/4.
        latents: d.
        likelihood: of the pixels: ``squared`` (error), ``bernoulli``, ``beta-binomial``, or ``tables`` (learnt).
        context: whether pixels are coded in four steps that see each other (convolutional, and a discrete likelihood).
        blocks: residual blocks of a convolutional network at each place.
        kernel: side of their depthwise kernels.
    """

    height: int = 28
    width: int = 28
    channels: int = 1
    variational: bool = True
    network: str = "dense"
    widths: tuple[int, ...] = (512, 256)
    latents: int = 16
    likelihood: str = "bernoulli"
    context: bool = False
    blocks: int = 1
    kernel: int = 5

    def check(self) -> None:
        """Raises ``ValueError`` for sizes that no model has: settings come from files too."""
        bounds = {
            "height": (1, 256), "width": (1, 65536), "channels": (1, 4), "latents": (1, 256), "blocks": (1, 8),
            "kernel": (1, 9),
        }  # fmt: skip
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"{name} = {value!r} is out of range: {low} to {high} are possible")
        if self.height * self.width * self.channels > 1 << 16:
            raise ValueError("items of more than 65,536 values are too large for this family")
        if self.network not in NETWORKS or self.likelihood not in LIKELIHOODS:
            raise ValueError(f"network {self.network!r} or likelihood {self.likelihood!r} is unknown")
        sized = [type(w) is int and 1 <= w <= 2048 for w in self.widths]
        if not 1 <= len(sized) <= 8 or not all(sized):
            raise ValueError("widths must be 1 to 8 numbers from 1 to 2048")
        if not all(type(getattr(self, name)) is bool for name in ("variational", "context")):
            raise ValueError("variational and context are true or false")
        if self.network == "convolutional" and (len(self.widths) != 2 or not self.kernel % 2):
            raise ValueError("a convolutional network has two widths, and kernels of odd sides")
        if self.context and (self.network != "convolutional" or self.likelihood not in DISCRETE):
            raise ValueError("a context needs a convolutional network and a likelihood over 0..255")
        if self.context and not self.variational:
            raise ValueError("a context is for variational models")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an item: height, width, channels."""
        return self.height, self.width, self.channels

    @property
    def size(self) -> int:
        """Values of an item."""
        return self.height * self.width * self.channels

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of what the network sees."""
        if self.network == "dense":
            return self.height, self.width
        return -(-self.height // CELL) * CELL, -(-self.width // CELL) * CELL

    @property
    def parameters(self) -> int:
        """Numbers for each value that the decoder gives."""
        return 2 if self.likelihood in DISCRETE else 1

    def to_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return asdict(self) | {"widths": list(self.widths)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> VaeSettings:
        """The inverse of :meth:`to_dict`; unknown or missing names and sizes out of range are a ``ValueError``."""
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ValueError(f"settings {sorted(set(values) ^ names)} are unknown or missing")
        settings = cls(**values | {"widths": tuple(values["widths"])})
        settings.check()
        return settings

    # --- what follows from the sizes ---------------------------------------------------------------------------------

    def streams(self) -> dict[str, Stream]:
        """All streams by name."""
        C, P = self.channels, self.parameters
        scale = {"squared": 255.0, "bernoulli": float(LOGIT_UNIT)}.get(self.likelihood, float(LEVEL_UNIT))
        streams = {
            "item": Stream(C, 255, 255.0),
            "latents": Stream(self.latents, LATENT_LIMIT, LATENT_UNIT),
            "mean": Stream(self.latents, POSTERIOR_LIMIT, LATENT_UNIT),
            "spread": Stream(self.latents, POSTERIOR_LIMIT, LEVELS_PER_NAT * LEVEL_UNIT),
            "pixels": Stream(C * P, PIXEL_LIMIT, scale),
        }
        if self.network == "dense":
            for i, width in enumerate(self.widths):
                streams[f"encoder.hidden.{i}"] = streams[f"decoder.hidden.{i}"] = Stream(width, STREAM_LIMIT)
            return streams
        half, quarter = self.widths
        for side in ("encoder", "decoder"):
            streams[f"{side}.half"] = Stream(half, WIDE_LIMIT)
            streams[f"{side}.quarter"] = Stream(quarter, WIDE_LIMIT)
            streams[f"{side}.flat"] = Stream(16, STREAM_LIMIT)
        if self.context:
            streams["embedding"] = Stream(EMBEDDING * C, STREAM_LIMIT)
        return streams

    def layers(self) -> Iterator[Layer]:
        """All layers, in the order in which data flows."""
        yield from self._dense_layers() if self.network == "dense" else self._convolutional_layers()

    def _dense_layers(self) -> Iterator[Layer]:
        H, W = self.padded
        last = len(self.widths) - 1
        for i in range(last + 1):
            source, repeat = ("item", H * W) if i == 0 else (f"encoder.hidden.{i - 1}", 1)
            yield Linear(f"encoder.{i}", source, repeat, f"encoder.hidden.{i}", 1, leaky=True)
        yield from self._posterior(f"encoder.hidden.{last}", 1)
        for i in range(last, -1, -1):
            source = "latents" if i == last else f"decoder.hidden.{i + 1}"
            yield Linear(f"decoder.{i}", source, 1, f"decoder.hidden.{i}", 1, leaky=True)
        yield Linear("decoder.leave", "decoder.hidden.0", 1, "pixels", H * W)

    def _posterior(self, source: str, repeat: int) -> Iterator[Layer]:
        yield Linear("encoder.mean", source, repeat, "mean", 1)
        if self.variational:
            yield Linear("encoder.spread", source, repeat, "spread", 1)

    def _convolutional_layers(self) -> Iterator[Layer]:
        H, W = self.padded
        cells = H // CELL * W // CELL
        yield Linear("encoder.enter", "item", PARTS, "encoder.half", 1, leaky=True)
        for i in range(self.blocks):
            yield Block(f"encoder.half.{i}", "encoder.half")
        yield Linear("encoder.down", "encoder.half", PARTS, "encoder.quarter", 1)
        for i in range(self.blocks):
            yield Block(f"encoder.quarter.{i}", "encoder.quarter")
        yield Linear("encoder.squeeze", "encoder.quarter", 1, "encoder.flat", 1, leaky=True)
        yield from self._posterior("encoder.flat", cells)
        yield Linear("decoder.enter", "latents", 1, "decoder.flat", cells, leaky=True)
        yield Linear("decoder.spread", "decoder.flat", 1, "decoder.quarter", 1)
        for i in range(self.blocks):
            yield Block(f"decoder.quarter.{i}", "decoder.quarter")
        yield Linear("decoder.up", "decoder.quarter", 1, "decoder.half", PARTS)
        if not self.context:
            for i in range(self.blocks):
                yield Block(f"decoder.half.{i}", "decoder.half")
            yield Linear("decoder.leave", "decoder.half", 1, "pixels", PARTS)
            return
        for k in range(PARTS):
            if k:
                yield Linear(f"context.{k}.enter", "embedding", 1, "decoder.half", 1)
            for i in range(self.blocks):
                yield Block(f"context.{k}.blocks.{i}", "decoder.half")
            yield Linear(f"context.{k}.leave", "decoder.half", 1, "pixels", 1)

    def inputs(self, layer: Linear) -> int:
        """Inputs of a matrix."""
        return self.streams()[layer.source].channels * layer.source_repeat

    def outputs(self, layer: Linear) -> int:
        """Outputs of a matrix."""
        return self.streams()[layer.target].channels * layer.target_repeat


DENSE = VaeSettings()
"""784–512–256–16 on digits."""
TEXTBOOK = VaeSettings(widths=(128, 64), latents=2)
"""784–128–64–2, decoder 2–64–128–784: a map of the plane."""
CONVOLUTIONAL = VaeSettings(network="convolutional", widths=(32, 64))
LOSSLESS = replace(CONVOLUTIONAL, widths=(48, 96), latents=24, likelihood="tables", context=True)
"""For bits-back coding: pixels in four steps, each from what is decoded already."""
FLAT = replace(DENSE, latents=40, likelihood="tables")
"""For bits-back coding, all pixels from the latents alone."""

PRESETS = {
    "dense": DENSE, "textbook": TEXTBOOK, "convolutional": CONVOLUTIONAL, "lossless": LOSSLESS, "flat": FLAT,
}  # fmt: skip
