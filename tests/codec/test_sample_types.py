"""The table of sample types and metadata: a real file of each kind, there and back."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from vaecodec.api import Codec
from vaecodec.errors import AnimatedPictureError, PictureError, UnsupportedPictureError
from vaecodec.evaluation import psnr
from vaecodec.picture import OUTPUT_FORMATS, Picture, encode_picture, read_picture

INPUTS = Path(__file__).parents[2] / "docs" / "inputs.md"

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# A colour space of its own: what sRGB calls red it calls blue.
OTHER_SPACE = SRGB.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


@pytest.fixture(scope="module")
def crop(photograph: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(photograph[40:136, 180:300])


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def ramp(crop: np.ndarray) -> np.ndarray:
    return np.tile(np.linspace(0, 255, crop.shape[1]).astype(np.uint8), (crop.shape[0], 1))


def camera_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[271] = 6, "Camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 7.0)})
    return exif


def wide(crop: np.ndarray) -> np.ndarray:
    return np.clip(crop.astype(np.uint16) * 257 + 77, 0, 65535).astype(np.uint16)


def tiff(samples: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, samples, photometric="rgb" if samples.ndim == 3 else "minisblack", metadata=None, **options)
    return file.getvalue()


def transparent_colour(crop: np.ndarray) -> bytes:
    grey = crop[:, :, 0].copy()
    grey[:20] = 7
    return saved(Image.fromarray(grey), "PNG", transparency=7)


WORKS: dict[str, Callable[[np.ndarray], bytes]] = {
    "RGB": lambda c: saved(Image.fromarray(c), "PNG"),
    "grey": lambda c: saved(Image.fromarray(c[:, :, 1]), "JPEG"),
    "palette": lambda c: saved(Image.fromarray(c).quantize(16), "PNG"),
    "1 bit": lambda c: saved(Image.fromarray(c).convert("1"), "PNG"),
    "RGB with alpha": lambda c: saved(Image.fromarray(np.dstack([c, ramp(c)])), "WEBP", lossless=True),
    "grey with alpha": lambda c: saved(Image.fromarray(np.dstack([c[:, :, 0], ramp(c)])), "PNG"),
    "a transparent colour": transparent_colour,
    "RGB, 16 bits": lambda c: tiff(wide(c), compression="zlib", predictor=True),
    "grey, 16 bits": lambda c: imagecodecs.png_encode(wide(c)[:, :, 0].copy()),
    "16 bits with alpha of 8": lambda c: imagecodecs.png_encode(np.dstack([wide(c), ramp(c).astype(np.uint16) * 257])),
    "16 bits with alpha of 16": lambda c: imagecodecs.png_encode(
        np.dstack([wide(c), ramp(c).astype(np.uint16) * 256 + 9])
    ),
    "10 and 12 bits": lambda c: imagecodecs.jpeg2k_encode(
        wide(c) >> 6, bitspersample=10, reversible=True, codecformat="jp2", level=0
    ),
    "other numbers": lambda c: tiff(c.astype(np.float32) / 100 - 1),
    "CMYK with a profile": lambda c: saved(Image.fromarray(c).convert("CMYK"), "TIFF", icc_profile=cmyk_profile()),
    "ICC profile, wide gamut too": lambda c: saved(Image.fromarray(c), "PNG", icc_profile=OTHER_SPACE),
    "EXIF with orientation and GPS": lambda c: saved(Image.fromarray(c), "JPEG", quality=95, exif=camera_exif()),
    "colour described otherwise": lambda c: saved_with_gamma(c),
    "XMP": lambda c: saved(Image.fromarray(c), "WEBP", lossless=True, xmp=b"<x:xmpmeta>photo</x:xmpmeta>"),
    "density": lambda c: saved(Image.fromarray(c), "JPEG", quality=95, dpi=(300, 300)),
    "several views (MPO)": lambda c: saved(
        Image.fromarray(c), "MPO", save_all=True, append_images=[Image.fromarray(c[::-1])], quality=95
    ),
}


def saved_with_gamma(crop: np.ndarray) -> bytes:
    """A PNG whose gAMA chunk says that its samples are light itself."""
    data = saved(Image.fromarray(crop), "PNG")
    chunk = b"gAMA" + (100000).to_bytes(4, "big")
    return data[:33] + (4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + data[33:]


def hdr(crop: np.ndarray) -> bytes:
    """An AVIF whose code points say BT.2020 and PQ."""
    data = saved(Image.fromarray(crop), "AVIF")
    at = data.index(b"colrnclx") + 8
    return data[:at] + bytes([0, 9, 0, 16]) + data[at + 4 :]


REFUSED: dict[str, tuple[Callable[[np.ndarray], bytes], type[PictureError]]] = {
    "CMYK without a profile": (lambda c: saved(Image.fromarray(c).convert("CMYK"), "JPEG"), UnsupportedPictureError),
    "HDR (PQ, HLG)": (hdr, UnsupportedPictureError),
    "animations and pages": (
        lambda c: saved(Image.fromarray(c), "GIF", save_all=True, append_images=[Image.fromarray(c[::-1])]),
        AnimatedPictureError,
    ),
}


def cmyk_profile() -> bytes:
    """The smallest CMYK profile that a colour engine takes: ink by a table of two points a side."""
    import struct

    def tag_desc(text: str) -> bytes:
        raw = text.encode() + b"\0"
        return b"desc" + bytes(4) + struct.pack(">I", len(raw)) + raw + bytes(78)

    def lut_to_lab() -> bytes:
        table = bytearray()
        for point in range(16):
            c, m, y, k = ((point >> shift) & 1 for shift in (3, 2, 1, 0))
            light = 255 * (1 - k) * (1 - 0.3 * c) * (1 - 0.4 * m) * (1 - 0.1 * y)
            a, b = 128 + 60 * (m - c * 0.6) * (1 - k), 128 + 60 * (y - c * 0.5 - m * 0.1) * (1 - k)
            table += bytes(int(min(255, max(0, value))) for value in (light, a, b))
        matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
        curve = bytes(range(256))
        return b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + curve * 4 + bytes(table) + curve * 3

    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    copyright_ = b"text" + bytes(4) + b"none\0"
    tags = {b"desc": tag_desc("test"), b"A2B0": lut_to_lab(), b"wtpt": white, b"cprt": copyright_}
    offset, directory, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        directory += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    size = offset + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(24) + bytes(4)
    header += struct.pack(">3i", 63190, 65536, 54061)
    header += bytes(128 - len(header))
    return header + struct.pack(">I", len(tags)) + directory + body


@pytest.mark.parametrize("kind", WORKS)
def test_it_comes_back(codec: Codec, crop: np.ndarray, kind: str) -> None:
    picture = read_picture(WORKS[kind](crop))
    back = codec.decompress(codec.compress(picture, quality=95, check=True))
    assert back.samples.shape == picture.samples.shape
    assert back.bit_depth == picture.bit_depth == (16 if "1" in kind.replace("1 bit", "") or "numbers" in kind else 8)
    visible = np.ones(picture.samples.shape[:2], bool) if picture.alpha is None else picture.alpha > 0
    assert psnr(picture.samples[visible][np.newaxis], back.samples[visible][np.newaxis]) > 33
    assert ("alpha" in kind or "transparent" in kind) == (picture.alpha is not None)
    if picture.alpha is not None:
        assert back.alpha is not None
        np.testing.assert_array_equal(back.alpha, picture.alpha)
    assert (back.icc, back.exif, back.xmp) == (picture.icc, picture.exif, picture.xmp)
    if "ICC" in kind:
        assert back.icc == OTHER_SPACE
    assert back.density == picture.density
    assert (picture.density is not None) == (kind == "density")
    if "otherwise" in kind:
        assert back.icc is not None
    if "XMP" in kind:
        assert back.xmp == b"<x:xmpmeta>photo</x:xmpmeta>"
    if "EXIF" in kind:
        assert back.exif == camera_exif().tobytes().removeprefix(b"Exif\0\0")
    # And on into a PNG, byte for byte.
    png = read_picture(encode_picture(back, OUTPUT_FORMATS["png"]))
    np.testing.assert_array_equal(np.asarray(png), np.asarray(back))
    assert (png.icc, png.exif, png.xmp) == (back.icc, back.exif, back.xmp)


@pytest.mark.parametrize("kind", REFUSED)
def test_it_is_refused_in_one_line(crop: np.ndarray, kind: str) -> None:
    make, error = REFUSED[kind]
    with pytest.raises(error) as caught:
        read_picture(make(crop))
    assert "\n" not in str(caught.value)


def test_the_first_frame_on_request(codec: Codec, crop: np.ndarray) -> None:
    first = read_picture(REFUSED["animations and pages"][0](crop), first_frame=True)
    assert isinstance(first, Picture)
    assert codec.decompress(codec.compress(first)).samples.shape == crop.shape


def test_the_table_of_the_page_is_this_one() -> None:
    text = INPUTS.read_text(encoding="utf-8")
    table = text[text.index("| kind | what becomes of it |") :].split("\n\n")[0]
    rows = [re.split(r"\s*\|\s*", line.strip("| \n"))[0] for line in table.splitlines()[2:]]
    assert rows == [*WORKS, *REFUSED]
