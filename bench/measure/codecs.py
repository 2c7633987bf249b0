"""The codecs that are measured, each behind one small adapter, and what each needs to be installed.

Nothing here is needed to use vaecodec: peers outside Pillow come from packages of the extra ``bench``, and a peer that is not
installed is left out with a line that says so. Licences are those of the codec libraries inside the packages.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from vaecodec.codec.options import DEFAULT_EFFORT
from vaecodec.errors import UsageError
from vaecodec.evaluation import AVIF, JPEG, JPEG_444, WEBP, CodecAdapter, PillowCodec, VaecodecAdapter
from vaecodec.evaluation.peers import CodedFile

Samples = npt.NDArray[np.uint8]

OURS = "vaecodec"
OURS_WITH_EFFORT = "vaecodec-effort3"
_EFFORT = 3
REFERENCE = "jpeg"

# Twelve steps: enough points in every window.
OUR_QUALITIES: tuple[float, ...] = (0, 9, 18, 27, 36, 45, 54, 63, 72, 81, 90, 100)

# x265 at 71 is beyond every window, and its time grows with quality.
HEIC_QUALITIES: tuple[float, ...] = (0, *range(5, 72, 6))

# Below the protocol's 5 to 95: without it, curves of these codecs begin above the bottom of the low window.
PEER_QUALITIES: tuple[float, ...] = (0, *range(5, 96, 6))

# Compression ratios against 24 bits, from small to large files: a file for every rate of the published curve and around it.
JPEG2000_RATIOS: tuple[float, ...] = (240, 190, 150, 120, 95, 75, 60, 45, 34, 25, 18, 13, 9, 6.5)


@dataclass(frozen=True)
class Jpeg2000:
    """JPEG 2000 as photographs deserve it: the 9/7 wavelet and the colour transform, which Pillow leaves off by default.

    Attributes:
        name: what tables call it.
        settings: bits per pixel times ten, ascending; rounded ratios of compression in the encoder.
    """

    name: str = "JPEG 2000"
    settings: Sequence[float] = tuple(-ratio for ratio in JPEG2000_RATIOS)

    def encode(self, samples: Samples, setting: float) -> CodedFile:
        """Turns uint8 [H, W, 3] into a file that is smaller than the samples by the factor ``-setting``."""
        buffer = io.BytesIO()
        options: dict[str, Any] = {
            "irreversible": True,
            "mct": 1,
            "quality_mode": "rates",
            "quality_layers": [-setting],
        }
        Image.fromarray(samples).save(buffer, "JPEG2000", **options)
        return CodedFile(buffer.getvalue())

    def decode(self, data: bytes) -> Samples:
        """Turns a file into uint8 [H, W, 3]."""
        return JPEG.decode(data)


@dataclass(frozen=True)
class LosslessCodec:
    """A codec in its lossless mode, which has one setting.

    Attributes:
        name: what tables call it.
        format: Pillow's name of the format.
        options: further arguments of Pillow's ``save``.
        settings: always the one setting 0.
    """

    name: str
    format: str
    options: dict[str, Any]
    settings: Sequence[float] = (0.0,)

    def encode(self, samples: Samples, setting: float) -> CodedFile:
        """Turns uint8 [H, W, 3] into a file."""
        buffer = io.BytesIO()
        Image.fromarray(samples).save(buffer, self.format, **self.options)
        return CodedFile(buffer.getvalue())

    def decode(self, data: bytes) -> Samples:
        """Turns a file into uint8 [H, W, 3]."""
        return JPEG.decode(data)


@dataclass(frozen=True)
class Peer:
    """One codec of the comparison.

    Attributes:
        key: what the command line and the rows call it.
        name: what people call it.
        build: makes the adapter, and imports what that takes; None for our own.
        what: settings and library in a few words.
        licence: of the library that codes.
        module: module that has to be installed, or None.
        feature: feature of Pillow that has to be there, or None.
        lossless: whether what is decoded equals the original.
    """

    key: str
    name: str
    build: Callable[[], CodecAdapter] | None
    what: str
    licence: str
    module: str | None = None
    feature: str | None = None
    lossless: bool = False

    def missing(self) -> str | None:
        """What is not installed, or None where all is there."""
        if self.module is not None and find_spec(self.module) is None:
            return f"the package with the module {self.module}: pip install 'vaecodec[bench]'"
        if self.feature is not None and not features.check(self.feature):
            return f"a Pillow with {self.feature}"
        return None


def _heic() -> CodecAdapter:
    import pillow_heif

    pillow_heif.register_heif_opener()
    return PillowCodec("HEIC", "HEIF", {}, HEIC_QUALITIES)


def _jpeg_xl() -> CodecAdapter:
    import pillow_jxl  # noqa: F401  (registers itself with Pillow)

    return PillowCodec("JPEG XL", "JXL", {"effort": 7}, PEER_QUALITIES)


def _lossless_jpeg_xl() -> CodecAdapter:
    import pillow_jxl  # noqa: F401

    return LosslessCodec("JPEG XL, lossless", "JXL", {"lossless": True, "effort": 7})


def _avif_for_psnr() -> CodecAdapter:
    return PillowCodec(
        "AVIF, tuned for PSNR", AVIF.format, AVIF.options | {"advanced": {"tune": "psnr"}}, PEER_QUALITIES
    )


_LOSSLESS_WEBP = {"lossless": True, "quality": 100, "method": 4}

PEERS: dict[str, Peer] = {
    peer.key: peer
    for peer in (
        Peer(OURS_WITH_EFFORT, f"vaecodec, effort {_EFFORT}", None, "the same weights and decoder, a longer search", "MIT"),
        Peer("jpeg", "JPEG 4:2:0", lambda: JPEG, "Pillow, libjpeg-turbo, optimised tables", "BSD-3-Clause, IJG"),
        Peer("jpeg444", "JPEG 4:4:4", lambda: JPEG_444, "Pillow, libjpeg-turbo, optimised tables", "BSD-3-Clause, IJG"),
        Peer("jpeg2000", "JPEG 2000", Jpeg2000, "Pillow, OpenJPEG, 9/7 wavelet, colour transform", "BSD-2-Clause",
             feature="jpg_2000"),
        Peer("webp", "WebP", lambda: replace(WEBP, settings=PEER_QUALITIES), "Pillow, libwebp, method 6",
             "BSD-3-Clause", feature="webp"),
        Peer("jxl", "JPEG XL", _jpeg_xl, "pillow-jxl-plugin, libjxl, effort 7", "BSD-3-Clause; the package GPL-3.0",
             module="pillow_jxl"),
        Peer("avif", "AVIF", lambda: replace(AVIF, settings=PEER_QUALITIES), "Pillow, libaom, 4:4:4, speed 6",
             "BSD-2-Clause", feature="avif"),
        Peer("avif-psnr", "AVIF, tune=psnr", _avif_for_psnr, "Pillow, libaom, 4:4:4, speed 6, tuned for PSNR",
             "BSD-2-Clause", feature="avif"),
        Peer("heic", "HEIC", _heic, "pillow-heif, x265, its defaults", "LGPL-3.0 (libheif), GPL-2.0 (x265)",
             module="pillow_heif"),
        Peer("png", "PNG", lambda: LosslessCodec("PNG", "PNG", {"optimize": True}), "Pillow, zlib, optimised",
             "Zlib, libpng", lossless=True),
        Peer("webp-lossless", "WebP, lossless", lambda: LosslessCodec("WebP, lossless", "WEBP", _LOSSLESS_WEBP),
             "Pillow, libwebp, method 4", "BSD-3-Clause", feature="webp", lossless=True),
        Peer("jxl-lossless", "JPEG XL, lossless", _lossless_jpeg_xl, "pillow-jxl-plugin, libjxl, effort 7",
             "BSD-3-Clause; the package GPL-3.0", module="pillow_jxl", lossless=True),
    )
}  # fmt: skip


@dataclass(frozen=True)
class OurSettings:
    """How vaecodec is measured.

    Attributes:
        model: name of installed weights, or path of a weights file.
        qualities: the settings of quality.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    model: str
    qualities: tuple[float, ...] = OUR_QUALITIES
    device: str = "cpu"


def build_codec(key: str, ours: OurSettings) -> CodecAdapter:
    """Makes the adapter of a codec; for vaecodec this loads the model.

    Raises:
        UsageError: there is no such codec, or it is not installed.
    """
    if key in (OURS, OURS_WITH_EFFORT):
        from vaecodec.api import Codec

        effort = DEFAULT_EFFORT if key == OURS else _EFFORT
        return VaecodecAdapter(Codec(ours.model, device=ours.device), ours.qualities, effort=effort)
    if key not in PEERS:
        raise UsageError(f"codec {key!r} is not known: use some of {OURS}, {', '.join(PEERS)}")
    if missing := PEERS[key].missing():
        raise UsageError(f"{PEERS[key].name} needs {missing}")
    build = PEERS[key].build
    assert build is not None  # ours are built above
    return build()


def settings_of(key: str, ours: OurSettings) -> tuple[float, ...]:
    """The settings of quality of a codec, ascending, without loading a model."""
    return ours.qualities if key in (OURS, OURS_WITH_EFFORT) else tuple(build_codec(key, ours).settings)


def display_name(key: str) -> str:
    """What people call a codec."""
    return PEERS[key].name if key in PEERS else key


def model_label(model: str) -> str:
    """What rows say about the weights: the name alone, so that no path of a private folder gets into results."""
    return Path(model).stem if model.endswith(".safetensors") else model
