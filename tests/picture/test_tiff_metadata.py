"""Metadata are bytes: what a TIFF says about a photograph comes back value by value, whatever its type, and decides over no sample."""

from __future__ import annotations

import io
import itertools
import os
import struct
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from vaecodec.picture import OUTPUT_FORMATS, Picture, encode_picture, lost_metadata, read_picture
from vaecodec.picture.tiff_directories import (
    EXIF_DIRECTORY,
    GPS_DIRECTORY,
    INTEROP_DIRECTORY,
    Directories,
    Directory,
    Entry,
    read_directories,
)

RGB = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
Entries = dict[int, tuple[int, int, bytes]]


def directory(order: str, entries: Entries, start: int) -> bytes:
    """A directory by hand, its values behind it."""
    values = b""
    table = struct.pack(order + "H", len(entries))
    behind = start + 2 + 12 * len(entries) + 4
    for tag, (kind, count, value) in sorted(entries.items()):
        if len(value) <= 4:
            field = value.ljust(4, b"\0")
        else:
            field = struct.pack(order + "I", behind + len(values))
            values += value + bytes(len(value) % 2)
        table += struct.pack(order + "HHI", tag, kind, count) + field
    return table + bytes(4) + values


def tiff(
    order: str,
    entries: Entries,
    exif: Entries | None = None,
    gps: Entries | None = None,
    *,
    interop: Entries | None = None,
) -> bytes:
    """RGB of 8 bits, and any entries, the directories first."""
    short, long = order + "H", order + "I"
    data, at = b"", 8 + RGB.size
    for tag, below in ((GPS_DIRECTORY, gps), (EXIF_DIRECTORY, exif)):
        if below is None:
            continue
        if tag == EXIF_DIRECTORY and interop is not None:
            below = {**below, INTEROP_DIRECTORY: (4, 1, struct.pack(long, at + len(data)))}
            data += directory(order, interop, at + len(data))
        entries = {**entries, tag: (4, 1, struct.pack(long, at + len(data)))}
        data += directory(order, below, at + len(data))
    layout: Entries = {
        256: (3, 1, struct.pack(short, 6)), 257: (3, 1, struct.pack(short, 4)), 258: (3, 3, struct.pack(order + "3H", 8, 8, 8)),
        259: (3, 1, struct.pack(short, 1)), 262: (3, 1, struct.pack(short, 2)), 273: (4, 1, struct.pack(long, 8)),
        277: (3, 1, struct.pack(short, 3)), 278: (3, 1, struct.pack(short, 4)), 279: (4, 1, struct.pack(long, RGB.size)),
    }  # fmt: skip
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(long, at + len(data))
    return head + RGB.tobytes() + data + directory(order, layout | entries, at + len(data))


def found(exif: bytes | None) -> Directories:
    assert exif is not None
    directories = read_directories(exif)
    assert directories is not None
    return directories


TEXTS = [
    "Jörg Müller".encode(), "Jörg".encode("latin-1"), "日本".encode("shift-jis"), b"\xff\xfe not text", b"a\0b\0",
    "\N{GRINNING FACE}".encode(),
]  # fmt: skip


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("tag", [270, 271, 315, 33432, 0x9C9B])
def test_text_of_any_encoding_comes_back_byte_for_byte(order: str, text: bytes, tag: int) -> None:
    value = text + b"\0"
    picture = read_picture(tiff(order, {tag: (2, len(value), value)}))
    assert found(picture.exif).pages[0].entries == {tag: Entry(2, len(value), value)}
    back = read_picture(encode_picture(picture, OUTPUT_FORMATS["tiff"]))
    assert back.exif == picture.exif


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_comment_in_the_block_s_byte_order_stays_in_a_block_of_that_order(order: str) -> None:
    words = b"UNICODE\0" + "日本".encode("utf-16-le" if order == "<" else "utf-16-be")
    picture = read_picture(tiff(order, {}, {0x9286: (7, len(words), words), 0x927C: (7, 9, b"\0\1maker\2\3")}))
    exif = found(picture.exif)
    assert exif.order == order
    assert exif.pages[0].below[EXIF_DIRECTORY].entries[0x9286].value == words
    back = encode_picture(picture, OUTPUT_FORMATS["tiff"])
    assert back[:2] == (b"II" if order == "<" else b"MM")
    assert read_picture(back).exif == picture.exif
    np.testing.assert_array_equal(read_picture(back).samples, RGB)


def test_windows_tags_rating_and_interop_go_from_jpeg_to_tiff_and_back() -> None:
    title = "Títle\0".encode("utf-16-le")
    source = tiff(
        "<",
        {0x9C9B: (1, len(title), title), 0x4746: (3, 1, b"\5\0"), 271: (2, 3, b"Me\0")},
        {0x9003: (2, 20, b"2026:01:02 03:04:05\0")},
        {1: (2, 2, b"N\0"), 2: (5, 3, struct.pack("<6I", 48, 1, 8, 1, 0, 1))},
        interop={1: (2, 4, b"R98\0")},
    )
    exif = read_picture(source).exif
    jpeg = encode_picture(Picture(RGB, exif=exif), OUTPUT_FORMATS["jpeg"])
    picture = read_picture(jpeg)
    assert picture.exif == exif
    back = read_picture(encode_picture(picture, OUTPUT_FORMATS["tiff"]))
    assert back.exif == exif
    assert lost_metadata(picture, OUTPUT_FORMATS["tiff"]) == ()
    with Image.open(io.BytesIO(encode_picture(picture, OUTPUT_FORMATS["tiff"]))) as image:
        read = image.getexif()
        assert (read[271], read[0x4746]) == ("Me", 5)
        assert read.get_ifd(EXIF_DIRECTORY)[0x9003] == "2026:01:02 03:04:05"
        assert read.get_ifd(GPS_DIRECTORY)[1] == "N"


def test_what_of_exif_a_tiff_cannot_have_is_named() -> None:
    thumbnail = b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x02\0\0\0a\0\0\0\x1a\0\0\0\x01\0\x03\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    broken = b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\xff\0\0\0\xff\xff\0\0\0\0\0\0"
    tiff_format = OUTPUT_FORMATS["tiff"]
    assert lost_metadata(Picture(RGB, exif=thumbnail), tiff_format) == ("thumbnail",)
    assert lost_metadata(Picture(RGB, exif=broken), tiff_format) == ("broken tags",)
    assert lost_metadata(Picture(RGB, exif=b"no block"), tiff_format) == ("exif",)
    for exif in (thumbnail, broken, b"no block", b"II*\0", b"II*\0\xff\xff\xff\xff", b"II*\0\x04\0\0\0" * 4):
        np.testing.assert_array_equal(read_picture(encode_picture(Picture(RGB, exif=exif), tiff_format)).samples, RGB)


def test_broken_and_huge_tags_are_left_out_and_named() -> None:
    picture = read_picture(
        tiff("<", {271: (2, 999_999, b"\xff\xff\xff\0"), 305: (99, 1, b"abcd"), 272: (2, 2, b"X\0")})
    )
    np.testing.assert_array_equal(picture.samples, RGB)
    assert list(found(picture.exif).pages[0].entries) == [272]
    assert picture.notes == ("tags that are broken in the file are not kept: 271, 305",)
    picture = read_picture(
        tiff("<", {37724: (7, 2_000_000, bytes(2_000_000)), 40000: (7, 1_100_000, bytes(1_100_000))})
    )
    assert picture.exif is None
    assert picture.notes == ("Photoshop layers are not kept", "tags that are too large are not kept: 40000")


def test_odd_tags_are_not_logged_to_the_terminal(tmp_path: Any) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(
        tiff(
            "<",
            {271: (2, 999_999, b"\xff\xff\xff\0"), 305: (99, 1, b"abcd"), 258: (3, 3, struct.pack("<3H", 16, 16, 16))},
        )
    )
    code = "import sys; from vaecodec.picture import open_rows\nwith open_rows(sys.argv[1]) as rows: print(rows.notes)"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "271, 305" in done.stdout


def test_a_directory_that_contains_itself_ends() -> None:
    data = bytearray(
        b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHI4s", 271, 2, 2, b"a")
    )
    data += struct.pack("<I", 8)
    directories = found(bytes(data))
    assert len(directories.pages) == 1
    assert directories.pages[0].entries[271].value == b"a\0"


def test_orientation_stays_in_exif_and_samples_as_they_lie() -> None:
    picture = read_picture(tiff(">", {274: (3, 1, b"\0\x06")}))
    np.testing.assert_array_equal(picture.samples, RGB)
    assert found(picture.exif).numbers(274) == (6,)
    with Image.open(io.BytesIO(tiff(">", {274: (3, 1, b"\0\x06")}))) as image:
        turned = read_picture(image)
    assert turned.samples.shape == (6, 4, 3)
    assert turned.exif is None


def test_a_closed_pillow_image_keeps_text(tmp_path: Any) -> None:
    path = tmp_path / "a.tif"
    text = "Jörg".encode() + b"\0"
    path.write_bytes(tiff("<", {315: (2, len(text), text)}, {0x9003: (2, 3, b"ab\0")}, {3: (3, 1, b"\1\0")}))
    with Image.open(path) as image:
        image.load()
    picture = read_picture(image)
    assert found(picture.exif).pages[0].entries[315].value.rstrip(b"\0") == text.rstrip(b"\0")
    np.testing.assert_array_equal(picture.samples, RGB)


def test_big_endian_bigtiff_is_read_with_its_tags() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=True, byteorder=">") as writer:
        writer.write(RGB, photometric="rgb", metadata=None, software="Zoe", extratags=[(271, 2, 0, "Maker", True)])
    picture = read_picture(file.getvalue())
    np.testing.assert_array_equal(picture.samples, RGB)
    assert found(picture.exif).order == ">"
    assert found(picture.exif).pages[0].entries[271].value == b"Maker\0"


@pytest.mark.parametrize(
    "compression", ["jpeg2000", "jpegxl", "lerc", "png", "zstd", "lzma", "packbits", "webp", "jpegxr"]
)
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}, {"bigtiff": True, "byteorder": ">"}])
def test_compressions_that_pillow_does_not_know(compression: str, layout: dict[str, Any]) -> None:
    samples = np.random.default_rng(2).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    file, layout = io.BytesIO(), dict(layout)
    opening = {key: layout.pop(key) for key in ("bigtiff", "byteorder") if key in layout}
    options: dict[str, Any] = {"webp": {"lossless": True}, "jpeg2000": {"reversible": True, "level": 0}}.get(
        compression, {}
    )
    with tifffile.TiffWriter(file, **opening) as writer:
        writer.write(
            samples, photometric="rgb", metadata=None, compression=compression, compressionargs=options, **layout
        )
    np.testing.assert_array_equal(read_picture(file.getvalue()).samples, samples)


@pytest.mark.parametrize(
    ("samples", "options"),
    [
        (RGB[:, :, 0], {"photometric": "miniswhite"}),
        (np.moveaxis(RGB, -1, 0).copy(), {"photometric": "rgb", "planarconfig": "separate"}),
        (np.dstack([RGB, RGB[:, :, :1]]), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
        (
            np.dstack([RGB, RGB[:, :, :2]]),
            {"photometric": "rgb", "extrasamples": ["unspecified", "unspecified"], "planarconfig": "contig"},
        ),
        (RGB[:, :, 0] > 127, {"photometric": "minisblack"}),
        (RGB[:, :, :2].copy(), {"photometric": "minisblack", "extrasamples": ["unassalpha"], "planarconfig": "contig"}),
        (RGB[:, :, 0], {"photometric": "palette", "colormap": np.arange(768, dtype=np.uint16).reshape(3, 256) * 85}),
    ],
)
@pytest.mark.parametrize("bigtiff", [False, True])
def test_layouts_of_8_bits(samples: np.ndarray, options: dict[str, Any], bigtiff: bool) -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=bigtiff, byteorder=">" if bigtiff else "<") as writer:
        writer.write(samples, metadata=None, **options)
    picture = read_picture(file.getvalue())
    kind = options["photometric"]
    if kind == "palette":
        expected = (np.asarray(options["colormap"]).T >> 8).astype(np.uint8)[samples]
    elif kind == "miniswhite":
        expected = 255 - samples[:, :, np.newaxis]
    elif samples.dtype == bool:
        expected = samples[:, :, np.newaxis].astype(np.uint8) * 255
    else:
        expected = RGB if kind == "rgb" else samples[:, :, :1]
    np.testing.assert_array_equal(picture.samples, expected)
    if options.get("extrasamples") == ["unassalpha"]:
        np.testing.assert_array_equal(picture.alpha, samples[:, :, -1])
    assert picture.notes == (("2 extra channels are not kept",) if "unspecified" in str(options) else ())


def test_a_tiff_is_written_front_to_back_in_8_and_16_bits_with_alpha() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.data += bytes(data)
            return len(data)

    from vaecodec.picture.metadata import Metadata
    from vaecodec.picture.tiff_write import write_tiff

    for dtype, channels in itertools.product((np.uint8, np.uint16), (1, 2, 3, 4)):
        planes = np.random.default_rng(4).integers(0, np.iinfo(dtype).max, (700, 300, channels), dtype=dtype)
        pipe = Pipe()
        exif = b"MM\0*\0\0\0\x08\0\x01\x01\x0f\0\x02\0\0\0\x02a\0\0\0\0\0\0\0"
        write_tiff(
            pipe,
            300,
            700,
            8 * planes.itemsize,
            [planes[:99], planes[99:]],
            channels=channels,
            metadata=Metadata(exif=exif),
        )  # type: ignore[arg-type]
        np.testing.assert_array_equal(tifffile.imread(io.BytesIO(pipe.data)).reshape(planes.shape), planes)


# --- types, tags and byte orders -------------------------------------------------------------------------------------

PLACES = {
    "tiff": sorted({270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 316, 318, 33432, 0x4746, 0x9C9B, 33723}),
    "exif": sorted(
        {
            tag.value
            for tag in ExifTags.Base
            if 0x8290 <= tag.value <= 0xA500 and tag.value not in (0x8769, 0x8825, 0xA005)
        }
    ),
    "gps": sorted(tag.value for tag in ExifTags.GPS),
}
PAIRS = [
    (place, tag, kind, order) for place, tags in PLACES.items() for tag in tags for kind in UNITS for order in "<>"
]
# VAECODEC_WHOLE_FUZZ=1 tries all of them.
SOME = (
    PAIRS
    if os.environ.get("VAECODEC_WHOLE_FUZZ")
    else [PAIRS[i] for i in np.random.default_rng(6).permutation(len(PAIRS))[:160]]
)


def opened(data: bytes) -> list[Image.Image]:
    """The image, or nothing where Pillow itself stumbles over the tag."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return [Image.open(io.BytesIO(data))]
        except (OSError, TypeError, ValueError, KeyError, SyntaxError, ZeroDivisionError):
            return []


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("error")
def test_no_type_of_no_tag_keeps_a_picture_from_being_read_or_written(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for place, tag, kind, order in SOME[seed::4]:
        count = int(rng.choice([0, 1, 2, 3, 7]))
        value = rng.bytes(UNITS[kind] * count)
        entries = {tag: (kind, count, value)}
        data = tiff(
            order,
            {} if place != "tiff" else entries,
            entries if place == "exif" else None,
            entries if place == "gps" else None,
        )
        pictures = [read_picture(data)]
        pictures += [read_picture(image) for image in opened(data)]
        for picture in pictures:
            assert sorted(picture.samples.ravel()) == sorted(RGB.ravel()), (place, tag, kind, order)
        expected = Directory(entries={tag: Entry(kind, count, value)})
        block = pictures[0].exif
        if (tag, kind, count, value) != (274, 3, 1, struct.pack(order + "H", 1)):
            page = found(block).pages[0]
            below = {"tiff": page, "exif": page.below.get(EXIF_DIRECTORY), "gps": page.below.get(GPS_DIRECTORY)}[place]
            assert below == expected, (place, tag, kind, order)
        for name, output in OUTPUT_FORMATS.items():
            lost = lost_metadata(pictures[0], output)
            back = read_picture(encode_picture(pictures[0], output))
            kept = back.exif == block
            assert kept != ("exif" in lost), (name, place, tag, kind, order)
            if name != "jpeg":
                np.testing.assert_array_equal(back.samples, RGB)
