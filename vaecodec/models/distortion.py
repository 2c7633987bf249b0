"""What distortion costs at a quality, for decisions outside the networks; without torch.

The unit is the squared error of samples 0..255. :mod:`vaecodec.models.perceptual` is the same distortion, differentiable.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from vaecodec.metrics.ssimulacra2 import Reference, Samples, score_of_error
from vaecodec.models.tunes import DistortionWeights

MSE_OF_ERROR = 4.74
MSE_POWER = 0.815
"""MSE = 4.74·e^0.815 on photographs, e the metric's weighted error: so λ and step sizes keep their meaning."""
TYPICAL_MSE = 106.0, 0.0007, -0.535
"""MSE of photographs at λ: 106 at 0.0007, falling as λ^−0.535 (weights trained for squared error, on the validation crops)."""


def typical_mse(lam: Any) -> Any:
    """The MSE of photographs at λ; numbers or tensors."""
    at, lam_at, exponent = TYPICAL_MSE
    return at * (lam / lam_at) ** exponent


def error_factor(lam: Any, power: float) -> Any:
    """What e^power is multiplied by, so that it has the slope of 4.74·e^0.815 where pictures usually are at this λ; numbers or tensors."""
    usual = (typical_mse(lam) / MSE_OF_ERROR) ** (1 / MSE_POWER)
    return MSE_OF_ERROR * MSE_POWER / power * usual ** (MSE_POWER - power)


_POINTS_WORTH_A_PICTURE = 20.0
"""A score that is so far below a quality's lets a better picture cost twice as much: pages of text need a third more at quality 1, where
latents lose the letters. Without a limit, a photograph between black bars (54 at quality 60) took 571 kB without loss, latents 24."""


class Verdict(NamedTuple):
    """How a picture looks at a price.

    Attributes:
        distortion: what training took for it, in units of squared error.
        score: SSIMULACRA2; ∞ where the squared error is all that counts, or the picture is too small for a score.
    """

    distortion: float
    score: float


@dataclass(frozen=True)
class Price:
    """What distortion is worth at one quality.

    Attributes:
        weights: of the distortion that the model was trained for. The error of contrasts, which is in units of MSE too, counts here as
            squared error; coarse colour is left out.
        lam: λ, bits per pixel per unit of squared error.
        least_score: the SSIMULACRA2 score that photographs have at the quality; below it a picture is too poor. −∞: none is.
    """

    weights: DistortionWeights
    lam: float
    least_score: float = -math.inf

    @property
    def squared_only(self) -> bool:
        """Whether the squared error is all that counts."""
        return self.weights.squared == 1

    @property
    def of_latents(self) -> float:
        """Bits per pixel that the distortion of latents is worth, as photographs have it at this λ."""
        return self.lam * (1 + self.weights.contrast) * self.usual_error

    @property
    def usual_error(self) -> float:
        """The squared error of photographs at this λ."""
        return float(typical_mse(self.lam))

    def worth(self, distortion: float, pixels: int) -> float:
        """Bits that a distortion of so many pixels is worth."""
        return self.lam * distortion * pixels

    def most(self, score: float, cost: float) -> float:
        """What a picture that is not too poor may cost, in place of a cheaper one of a score: more, the further that falls short."""
        return cost * (1 + max(0.0, self.least_score - score) / _POINTS_WORTH_A_PICTURE)

    def judge(self, reference: Reference, changed: Samples) -> Verdict:
        """A picture and uint8 [H, W, C] of the same shape -> how that looks."""
        samples = reference.samples
        if np.array_equal(samples, changed):
            return Verdict(0.0, math.inf)
        difference = samples.astype(np.int32) - changed
        mse = float(np.square(difference).mean())
        error = None if self.squared_only else reference.weighted_error(changed)
        if error is None:  # or too small for the metric
            return Verdict(mse, math.inf)
        squared, power = self.weights.squared, self.weights.power
        scale = float(error_factor(self.lam, power))
        distortion = (squared + self.weights.contrast) * mse + (1 - squared) * scale * float(max(error, 0.0) ** power)
        return Verdict(distortion, score_of_error(error))
