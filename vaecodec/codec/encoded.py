"""What comes out of encoding: a file, and what was learnt on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vaecodec.picture.picture import Samples


@dataclass(frozen=True)
class EncodedFile:
    """A file in memory, and what was learnt on the way.

    Attributes:
        data: the file.
        quality: 0 to 100, as the file has it.
        estimated_bits: what the coder's tables say the symbols take, Σ −log2 p, and lossless tiles as they are; the rate is
            the size of ``data``.
        seconds: wall clock of ``analysis``, ``lossless``, ``prior``, ``coding``, ``synthesis`` (once there are samples), ``container``.
        tried: how many files were made on the way, this one included.
    """

    data: bytes = field(repr=False)
    quality: float
    estimated_bits: float
    seconds: Mapping[str, float]
    tried: int


@dataclass(frozen=True)
class Ready:
    """Gives samples that are there."""

    samples: Samples

    def __call__(self) -> Samples:
        """The samples."""
        return self.samples


@dataclass(frozen=True)
class Encoded(EncodedFile):
    """A file in memory, with its picture.

    Attributes:
        source: uint8 or uint16 [H, W, C], the samples that were coded: the picture's, but for colour under full transparency.
    """

    source: Samples = field(repr=False)
    _decoded: Callable[[], Samples] = field(repr=False)

    @property
    def samples(self) -> Samples:
        """The same, exactly what every decoder will give; synthesised when first asked for."""
        return self._decoded()

    def __getstate__(self) -> dict[str, object]:
        """Without the model: pickling synthesises the samples and takes them along."""
        return vars(self) | {"_decoded": Ready(self.samples), "seconds": dict(self.seconds)}
