"""Codecs to measure and to compare with, all behind one pair of inverses: samples to the bytes of a file and back.

Every adapter gets samples without metadata, so that files differ by the coding of samples alone.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from vaecodec.codec.options import DEFAULT_EFFORT
from vaecodec.picture import Picture

Samples = npt.NDArray[np.uint8]

# The qualities at which peers are measured: 16 points, enough for every window.
PEER_QUALITIES: tuple[float, ...] = tuple(range(5, 96, 6))


@dataclass(frozen=True)
class CodedFile:
    """What an encoder gives.

    Attributes:
        data: the file.
        estimated_bits: what the model of the codec expects the file to take, where it has one.
    """

    data: bytes
    estimated_bits: float | None = None


class CodecAdapter(Protocol):
    """A codec as the measurements see it."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def settings(self) -> Sequence[float]:
        """The settings of quality at which it is measured, ascending."""

    def encode(self, samples: Samples, setting: float) -> CodedFile:
        """Turns uint8 [H, W, C] into a file."""

    def decode(self, data: bytes) -> Samples:
        """Turns a file into uint8 [H, W, C]; C may be 3 where it was 1."""


@dataclass(frozen=True)
class PillowCodec:
    """A codec that Pillow brings.

    Attributes:
        name: what tables call it.
        format: Pillow's name of the format.
        options: further arguments of Pillow's ``save``; ``quality`` comes from the setting.
        settings: values for ``quality``, 0..100.
    """

    name: str
    format: str
    options: dict[str, Any]
    settings: tuple[float, ...] = PEER_QUALITIES

    def encode(self, samples: Samples, setting: float) -> CodedFile:
        """Turns uint8 [H, W, C] into a file."""
        image = Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
        buffer = io.BytesIO()
        image.save(buffer, self.format, quality=round(setting), **self.options)
        return CodedFile(buffer.getvalue())

    def decode(self, data: bytes) -> Samples:
        """Turns a file into uint8 [H, W, C]."""
        with Image.open(io.BytesIO(data)) as image:
            array = np.asarray(image.convert("L" if image.mode == "L" else "RGB"))
        return array if array.ndim == 3 else array[:, :, np.newaxis]


JPEG = PillowCodec("JPEG", "JPEG", {"subsampling": "4:2:0", "optimize": True})
JPEG_444 = PillowCodec("JPEG 4:4:4", "JPEG", {"subsampling": "4:4:4", "optimize": True})
WEBP = PillowCodec("WebP", "WEBP", {"method": 6})
# With more threads it writes other bytes, by up to 1 %: figures would be those of a machine.
AVIF = PillowCodec("AVIF", "AVIF", {"subsampling": "4:4:4", "speed": 6, "max_threads": 1})

PEERS: dict[str, PillowCodec] = {"jpeg": JPEG, "jpeg444": JPEG_444, "webp": WEBP, "avif": AVIF}


class _Encoded(Protocol):
    @property
    def data(self) -> bytes: ...
    @property
    def estimated_bits(self) -> float: ...


class PictureCodec(Protocol):
    """The part of `vaecodec.Codec` that measurements need."""

    def encode(
        self, picture: Picture, *, quality: float, effort: int = DEFAULT_EFFORT, check: bool = False
    ) -> _Encoded:
        """Turns a picture into a file."""

    def decompress(self, data: bytes) -> Picture:
        """Turns a file into a picture."""


@dataclass(frozen=True)
class VaecodecAdapter:
    """Our own codec; what is measured is the file as written, and the picture as decoded from it."""

    codec: PictureCodec
    settings: tuple[float, ...]
    name: str = field(default="vaecodec")
    effort: int = DEFAULT_EFFORT

    def encode(self, samples: Samples, setting: float) -> CodedFile:
        """Turns uint8 [H, W, C] into a file."""
        encoded = self.codec.encode(Picture(samples), quality=setting, effort=self.effort)
        return CodedFile(encoded.data, encoded.estimated_bits)

    def decode(self, data: bytes) -> Samples:
        """Turns a file into uint8 [H, W, C]."""
        return self.codec.decompress(data).samples


class SizeSearch:
    """Finds the best file of a codec that takes no more than a number of bytes, for one picture and any number of sizes.

    File sizes rise with quality, so the search halves its range; where a size falls by some bytes from one quality to the
    next, a neighbour of the best may be found instead. Every file is made once and kept.
    """

    def __init__(self, codec: PillowCodec, samples: Samples) -> None:
        self._codec = codec
        self._samples = samples
        self._files: dict[int, bytes] = {}

    def best_within(self, size: int) -> tuple[int, bytes] | None:
        """Returns quality and file, or None where even the file of quality 0 takes more than ``size`` bytes."""
        best: int | None = None
        low, high = 0, 100
        while low <= high:
            quality = (low + high) // 2
            if len(self._file(quality)) <= size:
                best, low = quality, quality + 1
            else:
                high = quality - 1
        return None if best is None else (best, self._file(best))

    def _file(self, quality: int) -> bytes:
        if quality not in self._files:
            self._files[quality] = self._codec.encode(self._samples, quality).data
        return self._files[quality]
