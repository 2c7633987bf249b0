"""Colour that nobody sees, under full transparency, replaced by what costs least: a smooth continuation of what is seen.

A pyramid: on the way down each pixel becomes the sum of the visible ones of its four, with their share as its weight; on
the way up what a pixel lacks in weight comes from the level below, interpolated ("pull-push", Gortler et al., "The
Lumigraph", 1996, section 3.4).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vaecodec.picture.picture import Picture, Samples

_Plane = npt.NDArray[np.float32]

# Where nothing at all is visible; the model's zero.
_MIDDLE = {np.dtype(np.uint8): 128, np.dtype(np.uint16): 128 * 257}


def fill_transparent(picture: Picture) -> Samples:
    """Returns the samples with those under alpha 0 replaced; the picture's own where there are none.

    Returns:
        uint8 or uint16 [H, W, C].
    """
    if picture.alpha is None:
        return picture.samples
    return fill_hidden(picture.samples, picture.alpha == 0)


def fill_hidden(samples: Samples, hidden: npt.NDArray[np.bool_]) -> Samples:
    """Returns samples whose hidden ones go on smoothly from the others: so latents take few bits for them.

    Args:
        samples: uint8 or uint16 [H, W, C].
        hidden: [H, W].
    """
    if not hidden.any():
        return samples
    if hidden.all():
        return np.full_like(samples, _MIDDLE[samples.dtype])
    weight = (~hidden)[:, :, np.newaxis].astype(np.float32)
    filled = _filled(samples * weight, weight)
    samples = samples.copy()
    samples[hidden] = np.clip(np.rint(filled[hidden]), 0, np.iinfo(samples.dtype).max).astype(samples.dtype)
    return samples


def _filled(sums: _Plane, weight: _Plane) -> _Plane:
    """Colours everywhere.

    Args:
        sums: [H, W, C], colour times weight.
        weight: [H, W, 1], 0..1; above 0 somewhere.
    """
    height, width = weight.shape[:2]
    if max(height, width) == 1 or (weight == 1).all():
        return sums / weight
    below = _filled(_halved(sums), _halved(weight))
    filled: _Plane = sums + (1 - weight) * _doubled(_doubled(below, 0)[:height], 1)[:, :width]
    return filled


def _halved(plane: _Plane) -> _Plane:
    height, width = plane.shape[:2]
    even = np.pad(plane, ((0, height % 2), (0, width % 2), (0, 0)))
    halved: _Plane = (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / np.float32(4)
    return halved


def _doubled(plane: _Plane, axis: int) -> _Plane:
    """Linear interpolation at ¼ and ¾ between neighbours, edges repeated."""
    moved = np.moveaxis(plane, axis, 0)
    before = np.concatenate([moved[:1], moved[:-1]])
    after = np.concatenate([moved[1:], moved[-1:]])
    both = np.stack([moved * 0.75 + before * 0.25, moved * 0.75 + after * 0.25], axis=1)
    return np.moveaxis(both.reshape(-1, *moved.shape[1:]), 0, axis).astype(np.float32, copy=False)
