"""A fingerprint of the decoded integers: two readers agree on a file when their digests do (docs/format.md, section 7).

It is taken before any synthesis, so a disagreement here is one of the prior or the coder, not of the samples.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

AnyIntegers = npt.NDArray[np.signedinteger] | npt.NDArray[np.unsignedinteger]


class LatentDigest:
    """SHA-256 over z and ŷ of every tile, fed tile by tile in the order of the file."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update_tile(self, z: AnyIntegers, y16: AnyIntegers) -> None:
        """Add one tile.

        Args:
            z: hyper latents, integers [C, h, w], in steps.
            y16: latents ŷ, integers [M, h, w], in sixteenths of a step.

        Raises:
            TypeError: an array is not of integers.
            ValueError: an array has not three axes, or a value does not fit 32 bits.
        """
        for name, latents in (("z", z), ("y16", y16)):
            if latents.dtype.kind not in "iu":
                raise TypeError(f"{name} must be integers, not {latents.dtype}")
            if latents.ndim != 3:
                raise ValueError(f"{name} must have the axes channel, row, column, not the shape {latents.shape}")
            if latents.size and not (int(latents.min()) >= -(2**31) and int(latents.max()) < 2**31):
                raise ValueError(f"{name} has values beyond 32 bits")
            self._hash.update(np.ascontiguousarray(latents, dtype="<i4").tobytes())

    def hexdigest(self) -> str:
        """Return the digest of all tiles so far, 64 hexadecimal digits."""
        return self._hash.hexdigest()
