"""What weights are trained for, and all that an encoder derives from it: one home for each number. Without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class DistortionWeights:
    """What an encoder weighs against bits, in units of MSE over samples 0..255; ``models/perceptual.py`` computes it.

    Attributes:
        squared: share of the squared error; 1: nothing else.
        power: the metric's weighted error counts as e^power. The score is nearly linear in e^0.63: at 0.63 bits go where they raise the mean
            score most, above it to the worst pictures.
        colour: weight of the squared error of colour at 1/8 and 1/32, which eyes see on large grounds and SSIMULACRA2 weighs little.
        contrast: weight of the error of luminance in just visible steps of contrast, in which a squared error is blind to what is hidden by texture.
    """

    squared: float = 0.15
    power: float = 0.815
    colour: float = 0.0
    contrast: float = 0.0

    def check(self) -> None:
        """Raises ``ValueError`` for weights that no training has: they come from files too."""
        bounds = {"squared": (0, 1), "power": (0.01, 10), "colour": (0, 1000), "contrast": (0, 1000)}
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not low <= value <= high:
                raise ValueError(f"{name} = {value!r} of the distortion is out of range")


@dataclass(frozen=True)
class Tune:
    """One aim of training.

    Attributes:
        quality: the default, which looks like JPEG 85 on validation pictures.
        dead_zone: the bits that a 0 must save before the dead zone grows, and how many steps it grows per bit above that.
        distortion: what training minimises beside bits, where its settings say nothing else.
    """

    quality: float
    dead_zone: tuple[float, float]
    distortion: DistortionWeights


TUNES: Final[Mapping[str, Tune]] = {
    # JPEG 85 has a SSIMULACRA2 score of 80.9.
    "eye": Tune(81.0, (2.0, 0.012), DistortionWeights(squared=0.05, contrast=0.08)),
    # JPEG 85 has an MS-SSIM of 0.9915, quality 61 has 0.9925.
    "psnr": Tune(61.0, (2.0, 0.022), DistortionWeights(squared=1.0)),
}
"""How pictures look, by SSIMULACRA2, visible contrasts and a little squared error; or the squared error alone."""

UNSAID: Final[Mapping[str, DistortionWeights]] = {
    "eye": DistortionWeights(), "psnr": DistortionWeights(squared=1.0),
}  # fmt: skip
"""What weights were trained for whose file does not say so: what the tune meant when files began to say so. It never changes."""
