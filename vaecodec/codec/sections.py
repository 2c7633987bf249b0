"""What lies beside the samples of a picture, as sections of a container and back."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

from vaecodec.bitstream.container import Container
from vaecodec.bitstream.features import DensityFields
from vaecodec.picture import Density, Metadata
from vaecodec.picture.metadata import DensityUnit

_UNITS: Final[tuple[DensityUnit, ...]] = ("none", "inch", "centimetre", "metre")


def sections_of(metadata: Metadata) -> dict[str, Any]:
    """Fields of a `Container` by name."""
    density = metadata.density
    fields = None
    if density is not None:
        x, y = density.x.as_integer_ratio(), density.y.as_integer_ratio()
        fields = DensityFields(_UNITS.index(density.unit), x, y)
    return {
        "icc": metadata.icc, "exif": metadata.exif, "xmp": metadata.xmp, "extended_xmp": metadata.extended_xmp,
        "density": fields,
    }  # fmt: skip


def metadata_of(container: Container) -> Metadata:
    """The inverse of `sections_of`."""
    fields = container.density
    density = None
    if fields is not None:
        density = Density(Fraction(*fields.x), Fraction(*fields.y), _UNITS[fields.unit])
    return Metadata(container.icc, container.exif, container.xmp, container.extended_xmp, density)
