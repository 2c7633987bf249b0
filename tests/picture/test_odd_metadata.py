"""What lies beside the samples of a PNG or JPEG does not decide over them: what is odd, broken or huge is left out and named."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from vaecodec.errors import UnreadablePictureError
from vaecodec.picture import read_picture

RGB = np.random.default_rng(1).integers(0, 255, (24, 32, 3), dtype=np.uint8)
XMP = b"<x:xmpmeta>" + b"<a/>" * 400_000 + b"</x:xmpmeta>"


def png(*parts: tuple[bytes, bytes], crc: bool = True) -> bytes:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "PNG")
    data = file.getvalue()
    chunks = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content) if crc else 7)
        for kind, content in parts
    )
    return data[:33] + chunks + data[33:]


@pytest.mark.parametrize(
    ("parts", "note"),
    [
        ([(b"gAMA", b"\1")], "chunks that make no sense are left out (gAMA)"),
        ([(b"cHRM", b"abc"), (b"pHYs", b"\0\1")], "chunks that make no sense are left out (cHRM, pHYs)"),
        ([(b"sRGB", b"")], "chunks that make no sense are left out (sRGB)"),
        ([(b"iCCP", b"")], "chunks that make no sense are left out (iCCP)"),
        ([(b"iCCP", b"x\0\0" + zlib.compress(bytes(50_000_000)))], "chunks that make no sense are left out (iCCP)"),
        ([(b"tRNS", b"\0")], "chunks that make no sense are left out (tRNS)"),
        ([(b"acTL", b"\0")], "chunks that make no sense are left out (acTL)"),
        ([(b"fcTL", bytes(26))], "chunks that make no sense are left out (fcTL)"),
        ([(b"zTXt", b"Comment\0\7abc")], "text is not kept (Comment)"),
        ([(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3_000_000)))], "text is not kept (Comment)"),
        ([(b"tEXt", b"workflow\0" + bytes(3_000_000))] * 30, "text is not kept (workflow)"),
    ],
)
def test_samples_are_read_and_what_is_left_out_is_named(parts: list[tuple[bytes, bytes]], note: str) -> None:
    picture = read_picture(png(*parts))
    np.testing.assert_array_equal(picture.samples, RGB)
    assert picture.alpha is None
    assert picture.notes == (note,)


def test_a_wrong_checksum_beside_the_samples_costs_that_chunk_alone() -> None:
    picture = read_picture(png((b"tIME", bytes(7)), crc=False))
    np.testing.assert_array_equal(picture.samples, RGB)
    assert picture.notes == ("chunks that make no sense are left out (tIME)",)


def test_large_compressed_metadata_are_kept() -> None:
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)
    picture = read_picture(png((b"iTXt", text), (b"gAMA", b"")))
    assert picture.xmp == XMP
    assert picture.notes == ("chunks that make no sense are left out (gAMA)",)
    assert read_picture(png((b"iTXt", text))).xmp == XMP


def test_a_profile_that_is_broken_is_named() -> None:
    picture = read_picture(png((b"iCCP", b"x\0\0garbage")))
    assert (picture.icc, picture.notes) == (None, ("its ICC profile is broken and left out",))


def test_damaged_samples_are_refused_as_before() -> None:
    data = png((b"gAMA", b"\1"))
    for bad in (data[:60], data[:20] + b"\xff" + data[21:], data.replace(b"IDAT", b"IDAX")):
        with pytest.raises(UnreadablePictureError, match="damaged"):
            read_picture(bad)


def jpeg(*parts: tuple[int, bytes]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG")
    data = file.getvalue()
    return data[:20] + b"".join(struct.pack(">BBH", 0xFF, m, len(c) + 2) + c for m, c in parts) + data[20:]


@pytest.mark.parametrize(
    ("parts", "note"),
    [
        ([(0xE0, b"JFIF\0")], "segments that make no sense are left out (APP0)"),
        ([(0xE2, b"ICC_PROFILE\0"), (0xEE, b"Adobe")], "segments that make no sense are left out (APP2, APP14)"),
        ([(0xE2, b"ICC_PROFILE\0\1\2half")], "its ICC profile is broken and left out"),
        ([(0xE2, b"ICC_PROFILE\0\1\1twice")] * 2, "its ICC profile is broken and left out"),
    ],
)
def test_odd_segments_of_a_jpeg_are_left_out_and_named(parts: list[tuple[int, bytes]], note: str) -> None:
    plain, picture = read_picture(jpeg()), read_picture(jpeg(*parts))
    np.testing.assert_array_equal(picture.samples, plain.samples)
    assert (plain.notes, picture.notes) == ((), (note,))
    assert picture.density == plain.density
