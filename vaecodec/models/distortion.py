"""What distortion costs at a quality, for decisions outside the networks; without torch.

The unit is the squared error of samples 0..255. :mod:`vaecodec.models.perceptual` is the same distortion, differentiable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vaecodec.metrics.ssimulacra2 import Samples, weighted_error

SQUARED_SHARE = 0.15
"""Of the squared error in the distortion for the eye; the rest is SSIMULACRA2's weighted error e."""
MSE_OF_ERROR = 4.74
MSE_POWER = 0.815
"""MSE = 4.74·e^0.815 on photographs: so λ and step sizes keep their meaning."""
TYPICAL_MSE = 106.0, 0.0007, -0.535
"""MSE of photographs at λ: 106 at 0.0007, falling as λ^−0.535 (weights trained for squared error, on the validation crops)."""


@dataclass(frozen=True)
class Price:
    """What distortion is worth at one quality.

    Attributes:
        tune: what the weights were trained for, see ``TUNES``.
        lam: λ, bits per pixel per unit of squared error.
    """

    tune: str
    lam: float

    @property
    def typical(self) -> float:
        """The distortion that photographs have at this λ."""
        at, lam_at, exponent = TYPICAL_MSE
        return float(at * (self.lam / lam_at) ** exponent)

    @property
    def of_latents(self) -> float:
        """Bits per pixel that the distortion of latents is worth, as photographs have it."""
        return self.lam * self.typical

    def worth(self, samples: Samples, changed: Samples) -> float:
        """Bits that the distortion of a picture or a part of one is worth, as :meth:`distortion` takes them."""
        return self.lam * self.distortion(samples, changed) * samples.shape[0] * samples.shape[1]

    def distortion(self, samples: Samples, changed: Samples) -> float:
        """uint8 [H, W, C], twice -> what this tune takes for distortion, in units of squared error."""
        if np.array_equal(samples, changed):
            return 0.0
        difference = samples.astype(np.int32) - changed
        mse = float(np.square(difference).mean())
        error = weighted_error(samples, changed) if self.tune == "eye" else None
        if error is None:  # or too small for the metric
            return mse
        return SQUARED_SHARE * mse + (1 - SQUARED_SHARE) * MSE_OF_ERROR * max(error, 0.0) ** MSE_POWER
