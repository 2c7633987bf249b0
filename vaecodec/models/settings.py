"""Widths and depths of the image model: stored with the weights, part of what the model id covers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace

from vaecodec.exact.steps import STEPS

LARGEST_EXACT_EFFORT = 1
"""Up to this effort the encoder is integers: one picture gives one file. Above it latents are searched by gradients, with torch."""
PATCH = 8
"""Side of the patches that the first layer sees (pixels)."""
STRIDE = 16
"""Pixels per latent cell."""
Z_STRIDE = 4
"""Latent cells per cell of the hyper-latent."""
QUAD = 4
"""Side of the patches that the last layer draws where the synthesis ends at 1/4 (pixels)."""
_LATER = {"last_hidden8", "features4", "synthesis_blocks4", "hidden4"}
"""Sizes that came after the first weights: 0 where those have nothing there."""


@dataclass(frozen=True)
class ImageSettings:
    """Sizes of one image model.

    Attributes:
        features: C1, channels at 1/8.
        latents: M, channels of y at 1/16; a multiple of 4.
        analysis_blocks8: residual blocks of g_a at 1/8; ``analysis_blocks16`` at 1/16.
        synthesis_blocks8: residual blocks of g_s at 1/8; ``synthesis_blocks16`` at 1/16.
        hidden8: hidden width of the blocks at 1/8; ``hidden16`` at 1/16.
        last_hidden8: hidden width of the last block of g_s at 1/8; 0: as the others.
        features4: channels of g_s at 1/4, before its last layer; 0: it ends at 1/8.
        synthesis_blocks4: residual blocks of g_s at 1/4, with kernels of ``kernel8``; ``hidden4`` their hidden width.
        kernel8: side of the depthwise kernels at 1/8; ``kernel16`` at 1/16.
        prior_width: channels of the prior's feature stream at 1/16.
        prior_blocks: residual blocks in each of the four steps.
        prior_kernel: side of the prior's depthwise kernels.
        hyper_latents: channels of z at 1/64.
        lambda_min: λ at quality 0 (bits per pixel per unit of MSE); β = 1/λ.
        lambda_max: λ at quality 100.
        anchors: qualities, evenly spaced over 0..100, that have gains of their own.
    """

    features: int = 192
    latents: int = 384
    analysis_blocks8: int = 2
    analysis_blocks16: int = 2
    synthesis_blocks8: int = 1
    synthesis_blocks16: int = 1
    hidden8: int = 384
    hidden16: int = 640
    kernel8: int = 5
    kernel16: int = 5
    prior_width: int = 128
    prior_blocks: int = 3
    prior_kernel: int = 5
    hyper_latents: int = 64
    lambda_min: float = 0.0007
    lambda_max: float = 0.6
    anchors: int = 6
    last_hidden8: int = 0
    features4: int = 0
    synthesis_blocks4: int = 0
    hidden4: int = 0

    def check(self) -> None:
        """Raises ``ValueError`` for sizes that no model has: settings come from files too."""
        bounds = {
            "features": (4, 768), "latents": (4, 1024), "prior_width": (4, 512), "hyper_latents": (1, 256),
            "kernel8": (1, 9), "kernel16": (1, 9), "prior_kernel": (1, 9), "anchors": (2, 101), "hidden8": (4, 3072), "last_hidden8": (0, 3072), "features4": (0, 768), "hidden4": (0, 3072), "hidden16": (4, 4096),
            "lambda_min": (1e-6, 1e3), "lambda_max": (1e-6, 1e3),
        }  # fmt: skip
        for name, value in self.to_dict().items():
            low, high = bounds.get(name, (0, 16))
            whole = name not in ("lambda_min", "lambda_max")
            if (
                not isinstance(value, (int, float))
                or not low <= value <= high
                or (whole and not isinstance(value, int))
            ):
                raise ValueError(f"{name} = {value!r} is out of range")
        if self.latents % STEPS or not all(k % 2 for k in (self.kernel8, self.kernel16, self.prior_kernel)):
            raise ValueError("latents must be a multiple of 4, kernels odd")
        if bool(self.features4) != bool(self.synthesis_blocks4) or bool(self.features4) != bool(self.hidden4):
            raise ValueError("features4, synthesis_blocks4 and hidden4 are all 0 or none is")

    def to_dict(self) -> dict[str, int | float]:
        """All fields, for JSON; without those that came later where they say nothing, so that older weights keep their id."""
        values = asdict(self)
        return {name: value for name, value in values.items() if name not in _LATER or value}

    @property
    def last_side(self) -> int:
        """Side of the patches that the last layer of g_s draws (pixels)."""
        return QUAD if self.features4 else PATCH

    @property
    def leaving8(self) -> str:
        """The layer that takes the features of g_s at 1/8 further."""
        return "g_s.quads" if self.features4 else "g_s.patches"

    def synthesis_hidden8(self, block: int) -> int:
        """Hidden width of block ``block`` of g_s at 1/8."""
        return self.last_hidden8 or self.hidden8 if block == self.synthesis_blocks8 - 1 else self.hidden8

    @classmethod
    def from_dict(cls, values: dict[str, int | float]) -> ImageSettings:
        """The inverse of :meth:`to_dict`; unknown or missing names are a ``ValueError``."""
        names = {field.name for field in fields(cls)}
        if wrong := (set(values) | _LATER) ^ names:
            raise ValueError(f"settings {sorted(wrong)} are unknown or missing")
        return cls(**values)  # type: ignore[arg-type]


def log_lambdas(s: ImageSettings) -> list[float]:
    """Natural logarithm of λ at each anchor, evenly spaced from ``lambda_min`` to ``lambda_max``."""
    step = math.log(s.lambda_max / s.lambda_min) / (s.anchors - 1)
    return [math.log(s.lambda_min) + i * step for i in range(s.anchors)]


FAST = ImageSettings()
"""At most 10 kMAC per pixel to decode."""

LARGE = ImageSettings(
    analysis_blocks8=3,
    analysis_blocks16=3,
    hidden16=576,
    synthesis_blocks8=3,
    synthesis_blocks16=3,
    prior_width=192,
    prior_blocks=4,
)
"""At most 25 kMAC per pixel to decode."""

EYE = replace(
    FAST,
    analysis_blocks8=4,
    analysis_blocks16=4,
    synthesis_blocks8=2,
    last_hidden8=288,
    lambda_min=0.0008,
    lambda_max=3.0,
    anchors=8,
)
"""Trained for how pictures look: a second block before the last layer, four blocks each to analyse, and qualities up to what cannot be told apart."""

FINER = replace(EYE, latents=448, features4=64, synthesis_blocks4=2, hidden4=192)
"""At most 16 kMAC per pixel to decode: more latents, and two blocks at 1/4, where edges and fine texture are drawn."""

PRESETS = {"fast": FAST, "large": LARGE, "eye": EYE, "finer": FINER}
