"""A picture in memory: its samples as they lie in the source file, and the metadata that the file carried."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vaecodec.errors import BitDepthError, UnsupportedPictureError
from vaecodec.picture.metadata import Density, Metadata

Samples = npt.NDArray[Any]
"""uint8 or uint16."""
Planes = tuple[Samples, Samples | None, tuple[str, ...]]
"""Samples uint8 or uint16 [H, W, 1 or 3], alpha uint8 or uint16 [H, W] or None, and notes."""

SCALE_8_TO_16 = 257
"""65535 / 255: a sample of 8 bits in 16."""


@dataclass(frozen=True, eq=False)
class Picture:
    r"""Samples and metadata of one picture.

    Orientation is not applied: the samples lie as in the source file, and what a viewer has to turn is said by ``exif``.

    Attributes:
        samples: uint8 0..255 or uint16 0..65535 [H, W, C], C = 1 (grey) or 3 (red, green, blue), H and W at least 1.
        icc: the ICC profile, or None.
        exif: the EXIF block from its TIFF header on (``II*\0`` or ``MM\0*``), without the
            ``Exif\0\0`` prefix that JPEG puts before it, or None.
        xmp: the XMP packet, or None.
        alpha: uint8 [H, W], 0 transparent to 255 opaque, not premultiplied; of samples of 16 bits uint16, 65535 opaque, where 8 bits
            would lose something; None where all is opaque.
        density: how many pixels are meant to be how long, or None.
        extended_xmp: the packet that a JPEG's main XMP packet points to, or None.
        notes: what of the source was changed or is not here, a few words each.

    Raises:
        UnsupportedPictureError: another dtype or shape.
    """

    samples: Samples
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    alpha: Samples | None = None
    density: Density | None = None
    extended_xmp: bytes | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        samples = self.samples
        if not isinstance(samples, np.ndarray):
            raise UnsupportedPictureError(
                f"samples are a {type(samples).__name__}: give a uint8 or uint16 array (H, W, 1 or 3)"
            )
        # Files and other machines have their bytes the other way round.
        samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
        if samples.dtype not in (np.uint8, np.uint16):
            raise UnsupportedPictureError(
                f"samples are {samples.dtype}: only uint8 and uint16 are supported, scale them to 0..255 or 0..65535 first"
            )
        if 0 in samples.shape:
            raise UnsupportedPictureError(f"samples have the shape {samples.shape}: a picture has at least one pixel")
        if samples.ndim != 3 or samples.shape[2] not in (1, 3):
            raise UnsupportedPictureError(
                f"samples have the shape {samples.shape}: only (height, width, 1) and (height, width, 3) are supported"
            )
        object.__setattr__(self, "samples", np.ascontiguousarray(samples))
        if self.alpha is not None:
            alpha = self.alpha.astype(self.alpha.dtype.newbyteorder("="), copy=False)
            is_16_bit = alpha.dtype == np.uint16 and samples.dtype.itemsize == 2
            if not (is_16_bit or alpha.dtype == np.uint8) or alpha.shape != samples.shape[:2]:
                raise UnsupportedPictureError(
                    f"alpha is {alpha.dtype} of the shape {alpha.shape}: give uint8 (height, width) as the samples"
                )
            if is_16_bit and not (alpha % SCALE_8_TO_16).any():
                alpha = (alpha // SCALE_8_TO_16).astype(np.uint8)
            opaque = bool((alpha == np.iinfo(alpha.dtype).max).all())
            object.__setattr__(self, "alpha", None if opaque else np.ascontiguousarray(alpha))

    @classmethod
    def of(cls, samples: Samples, metadata: Metadata, alpha: Samples | None = None) -> Picture:
        """A picture from samples and what was read beside them."""
        return cls(
            samples, metadata.icc, metadata.exif, metadata.xmp, alpha, metadata.density, metadata.extended_xmp,
            metadata.notes,
        )  # fmt: skip

    def __repr__(self) -> str:
        """What it is, in a line; not its samples."""
        kind = {1: "grey", 3: "RGB"}[self.channels] + (" with alpha" if self.alpha is not None else "")
        beside = [name for name in ("icc", "exif", "xmp", "density", "extended_xmp") if getattr(self, name) is not None]
        about = [f"{self.width} × {self.height} {kind}, {self.bit_depth} bits", *beside, *self.notes]
        return f"<Picture: {', '.join(about)}>"

    def with_samples(self, samples: Samples, alpha: Samples | None) -> Picture:
        """Other samples with the same metadata."""
        return replace(self, samples=samples, alpha=alpha)

    @property
    def metadata(self) -> Metadata:
        """Everything but samples and alpha."""
        return Metadata(self.icc, self.exif, self.xmp, self.extended_xmp, self.density, self.notes)

    @property
    def width(self) -> int:
        """Samples per row."""
        return int(self.samples.shape[1])

    @property
    def height(self) -> int:
        """Number of rows."""
        return int(self.samples.shape[0])

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB; alpha is not counted."""
        return int(self.samples.shape[2])

    @property
    def bit_depth(self) -> int:
        """Bits per sample, 8 or 16."""
        return 8 * self.samples.dtype.itemsize

    def to_pil(self) -> Image.Image:
        """Returns a Pillow image of mode ``L`` or ``RGB``, with alpha ``LA`` or ``RGBA``, and the metadata in its ``info``.

        Raises:
            BitDepthError: 16 bits in colour or with alpha, which Pillow has no mode for; grey becomes ``I;16``.
        """
        if self.bit_depth > 8 and (self.channels > 1 or self.alpha is not None):
            raise BitDepthError("Pillow holds 16 bits in grey only: use the array, np.asarray(picture)")
        planes = np.asarray(self)
        image = Image.fromarray(planes[:, :, 0] if planes.shape[2] == 1 else planes)
        for key, value in (("icc_profile", self.icc), ("exif", self.exif), ("xmp", self.xmp)):
            if value is not None:
                image.info[key] = value
        return image

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """The samples and then alpha where there is one, of the same type, [H, W, C] or [H, W, C + 1], for ``np.asarray(picture)``."""
        if copy is False and (self.alpha is not None or np.dtype(dtype or self.samples.dtype) != self.samples.dtype):
            raise ValueError(f"a picture's samples are {self.samples.dtype} without alpha: anything else needs a copy")
        planes = self.samples
        if self.alpha is not None:
            scale = SCALE_8_TO_16 if self.alpha.dtype != self.samples.dtype else 1
            planes = np.dstack([self.samples, self.alpha.astype(self.samples.dtype) * scale])
        if dtype is not None and np.dtype(dtype) != planes.dtype:
            return planes.astype(dtype)
        return planes.copy() if copy and planes is self.samples else planes
