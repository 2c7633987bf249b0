"""What lies in a file beside its samples is kept, or named."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from vaecodec.picture import OUTPUT_FORMATS, Density, Picture, encode_picture, lost_metadata, read_picture

RGB = np.random.default_rng(1).integers(0, 256, (8, 12, 3), dtype=np.uint8)
EXIF = b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x02\0\0\0a\0\0\0\0\0\0\0"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


def saved(format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, format, **options)
    return file.getvalue()


def jpeg(*parts: tuple[int, bytes], behind: bytes = b"", **options: Any) -> bytes:
    data = saved("JPEG", **options)
    inside = b"".join(struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content for marker, content in parts)
    at = 4 + struct.unpack_from(">H", data, 4)[0]
    return data[:at] + inside + data[at:] + behind


def png(*parts: tuple[bytes, bytes]) -> bytes:
    data = saved("PNG")
    chunks = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
    return data[:33] + chunks + data[33:]


def extended(
    packet: bytes, order: list[int], piece: int = 1000, identity: bytes | None = None
) -> list[tuple[int, bytes]]:
    identity = identity or hashlib.md5(packet).hexdigest().upper().encode()
    pieces = [(at, packet[at : at + piece]) for at in range(0, len(packet), piece)]
    head = b"http://ns.adobe.com/xmp/extension/\0" + identity
    return [(0xE1, head + struct.pack(">II", len(packet), pieces[i][0]) + pieces[i][1]) for i in order]


PACKET = b"<x:xmpmeta>" + np.random.default_rng(2).bytes(2500) + b"</x:xmpmeta>"


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_extended_xmp_is_kept_byte_for_byte_and_written_to_jpeg_again(order: list[int]) -> None:
    picture = read_picture(jpeg(*extended(PACKET, order), xmp=XMP))
    assert (picture.xmp, picture.extended_xmp, picture.notes) == (XMP, PACKET, ())
    assert read_picture(encode_picture(picture, OUTPUT_FORMATS["jpeg"])).extended_xmp == PACKET
    assert lost_metadata(picture, OUTPUT_FORMATS["jpeg"]) == ()
    for name in ("png", "webp", "tiff"):
        assert lost_metadata(picture, OUTPUT_FORMATS[name]) == ("extended XMP",)


def test_long_extended_xmp_takes_several_segments() -> None:
    long = PACKET * 60
    picture = Picture(RGB, xmp=XMP, extended_xmp=long)
    assert read_picture(encode_picture(picture, OUTPUT_FORMATS["jpeg"])).extended_xmp == long


@pytest.mark.parametrize(
    "parts",
    [
        extended(PACKET, [0, 2]), extended(PACKET, [0, 1, 2], identity=b"0" * 32), extended(PACKET, [0, 1, 2])[:1],
        extended(PACKET, [0, 1, 2]) + extended(PACKET[:-1], [0, 1, 2]),
        [(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + struct.pack(">II", 2**32 - 1, 0) + b"x" * 100)],
    ],
)  # fmt: skip
def test_extended_xmp_that_is_not_whole_is_named(parts: list[tuple[int, bytes]]) -> None:
    picture = read_picture(jpeg(*parts, xmp=XMP))
    assert picture.xmp == XMP
    assert picture.extended_xmp is None
    assert picture.notes == ("extended XMP is damaged and not kept",)


def raw(kind: str, content: bytes, chunk: bytes = b"zTXt", length: int | None = None) -> tuple[bytes, bytes]:
    digits = content.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = f"\n{kind}\n{len(content) if length is None else length:8d}\n{lines}\n".encode()
    key = f"Raw profile type {kind}".encode() + b"\0"
    body = {b"tEXt": text, b"zTXt": b"\0" + zlib.compress(text), b"iTXt": b"\0\0\0\0" + text}[chunk]
    return chunk, key + body


@pytest.mark.parametrize("chunk", [b"tEXt", b"zTXt", b"iTXt"])
@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        ("xmp", XMP, {"xmp": XMP}),
        ("exif", b"Exif\0\0" + EXIF, {"exif": EXIF}),
        ("exif", EXIF, {"exif": EXIF}),
        ("APP1", b"Exif\0\0" + EXIF, {"exif": EXIF}),
        ("APP1", b"http://ns.adobe.com/xap/1.0/\0" + XMP, {"xmp": XMP}),
        ("icc", b"profile" * 30, {"icc": b"profile" * 30}),
        ("icm", b"profile" * 30, {"icc": b"profile" * 30}),
    ],
)
def test_raw_profiles_of_imagemagick_are_read(
    chunk: bytes, kind: str, content: bytes, expected: dict[str, bytes]
) -> None:
    for length in (None, 1):
        picture = read_picture(png(raw(kind, content, chunk, length)))
        assert {name: getattr(picture, name) for name in ("icc", "exif", "xmp")} == {
            "icc": None,
            "exif": None,
            "xmp": None,
        } | expected
        assert picture.notes == ()


def test_raw_profiles_that_are_broken_are_text() -> None:
    for body in (b"\nxmp\n 3\nzz", b"\nxmp", b"", b"\nxmp\n8\nabc"):
        picture = read_picture(png((b"tEXt", b"Raw profile type xmp\0" + body)))
        assert picture.xmp is None
        assert picture.notes == ("text is not kept (Raw profile type xmp)",)


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (png((b"tEXt", b"Comment\0hello"), (b"zTXt", b"Author\0\0" + zlib.compress(b"x"))), "text is not kept (Comment, Author)"),
        (png((b"caBX", b"c2pa")), "content credentials (C2PA) are not kept"),
        (png(raw("iptc", b"8BIM\x04\x04")), "IPTC is not kept"),
        (jpeg((0xFE, b"hello")), "a comment is not kept"),
        (jpeg((0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\4\x1c\2\0\0")), "IPTC is not kept"),
        (jpeg((0xEB, b"JP\0\1c2pa")), "content credentials (C2PA) are not kept"),
        (jpeg(xmp=b'<x hdrgm:Version="1.0"/>'), "the gain map, its HDR half, is not kept"),
        (jpeg((0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0")), "the gain map, its HDR half, is not kept"),
        (jpeg(behind=saved("JPEG", xmp=b"urn:com:apple:photo:2020:aux:hdrgainmap")), "the gain map, its HDR half, is not kept"),
        (jpeg(behind=b"\0\0\0\x18ftypmp42\0\0\0\0isommp42"), "the video of the motion photo is not kept"),
        (jpeg(behind=b"MotionPhoto_Data\0\0\0\x20ftypisom"), "the video of the motion photo is not kept"),
        (saved("GIF", comment=b"hello"), "a comment is not kept"),
    ],
)  # fmt: skip
def test_what_is_not_kept_is_named(data: bytes, note: str) -> None:
    picture = read_picture(data)
    assert picture.notes == (note,)
    assert picture.samples.shape == RGB.shape


def test_further_views_are_named() -> None:
    file = io.BytesIO()
    image = Image.fromarray(RGB)
    image.save(file, "MPO", save_all=True, append_images=[image, image])
    assert read_picture(file.getvalue()).notes == ("further pictures in it are not kept: 2",)


PER_INCH = Density(Fraction(300), Fraction(300), "inch")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (saved("JPEG", dpi=(300, 300)), PER_INCH),
        (saved("JPEG"), None),
        (jpeg(dpi=(72, 144)), Density(Fraction(72), Fraction(144), "inch")),
        (saved("PNG", dpi=(300, 300)), Density(Fraction(11811), Fraction(11811), "metre")),
        (png((b"pHYs", struct.pack(">IIB", 1, 2, 0))), Density(Fraction(1), Fraction(2), "none")),
        (png((b"pHYs", struct.pack(">IIB", 0, 2, 1))), None),
        (png((b"pHYs", struct.pack(">IIB", 3, 3, 0))), None),
        (saved("TIFF", dpi=(300, 300)), PER_INCH),
        (saved("TIFF", x_resolution=118.5, y_resolution=118.5, resolution_unit="cm"), Density(Fraction(237, 2), Fraction(237, 2), "centimetre")),
        (saved("BMP", dpi=(300, 300)), Density(Fraction(11811), Fraction(11811), "metre")),
    ],
)  # fmt: skip
def test_density_is_read_as_it_is_said(data: bytes, expected: Density | None) -> None:
    assert read_picture(data).density == expected


@pytest.mark.parametrize("name", ["png", "jpeg", "tiff", "bmp"])
@pytest.mark.parametrize(
    "density",
    [PER_INCH, Density(Fraction(118), Fraction(59), "centimetre"), Density(Fraction(11811), Fraction(11811), "metre"),
     Density(Fraction(1), Fraction(2), "none"), Density(Fraction(599, 2), Fraction(300), "inch")],
)  # fmt: skip
@pytest.mark.parametrize("depth", [8, 16])
def test_density_is_written(name: str, density: Density, depth: int) -> None:
    if depth == 16 and name not in ("png", "tiff"):
        return
    samples = RGB if depth == 8 else RGB.astype(np.uint16) * 257
    picture = Picture(samples, density=density)
    back = read_picture(encode_picture(picture, OUTPUT_FORMATS[name])).density
    if density.unit == "none":
        assert name == "bmp" or (back is not None and back.x / back.y == Fraction(1, 2))
        return
    assert back is not None
    for ours, theirs in zip(density.per("metre"), back.per("metre"), strict=True):
        assert abs(ours - theirs) < 20.1
    assert lost_metadata(picture, OUTPUT_FORMATS[name]) == ()
    assert lost_metadata(picture, OUTPUT_FORMATS["webp"]) == ("density",)


def test_density_that_exif_says_too_is_not_lost() -> None:
    tags = Image.Exif()
    tags[282], tags[283], tags[296] = 300.0, 300.0, 2
    picture = read_picture(saved("TIFF", dpi=(300, 300)))
    assert lost_metadata(picture, OUTPUT_FORMATS["webp"]) == ()
    assert PngImagePlugin
