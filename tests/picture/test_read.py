from __future__ import annotations

import contextlib
import io
import os
import struct
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from vaecodec.errors import (
    AnimatedPictureError,
    BitDepthError,
    LimitError,
    PictureNotFoundError,
    UnreadablePictureError,
    UnsupportedPictureError,
    VaecodecError,
)
from vaecodec.picture import Picture, read_picture
from vaecodec.sources import bytes_of

RGB = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RGB[:, :, :1]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# A little-endian TIFF header and one entry: orientation 6.
EXIF = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
XMP = b'<?xpacket begin="\xef\xbb\xbf"?><x:xmpmeta xmlns:x="adobe:ns:meta/"/><?xpacket end="w"?>  '


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png_16_bit_rgb() -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(bytes(13))) + png_chunk(b"IEND", b"")


def tiff_16_bit_rgb() -> bytes:
    """A TIFF by hand, 1 × 1, 16 bits a sample, as cameras' software writes it and Pillow reads it as 8 bit RGB."""
    entries = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 3, 122), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [(273, 4, 1, 128), (277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 6)]
    directory = struct.pack("<H", 9) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return b"II*\0\x08\0\0\0" + directory + struct.pack("<HHH", 16, 16, 16) + bytes(6)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_rgb_samples_come_back_unchanged(format: str) -> None:
    picture = read_picture(saved(Image.fromarray(RGB), format))
    assert picture.samples.dtype == np.uint8
    np.testing.assert_array_equal(picture.samples, RGB)
    assert (picture.width, picture.height, picture.channels) == (7, 5, 3)


def test_lossless_webp_is_read() -> None:
    np.testing.assert_array_equal(read_picture(saved(Image.fromarray(RGB), "WEBP", lossless=True)).samples, RGB)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM", "BMP"])
def test_grey_has_one_channel(format: str) -> None:
    np.testing.assert_array_equal(read_picture(saved(Image.fromarray(GREY[:, :, 0]), format)).samples, GREY)


def test_a_path_a_file_bytes_and_a_pillow_image_give_the_same(tmp_path: Path) -> None:
    data = saved(Image.fromarray(RGB), "PNG", exif=b"Exif\0\0" + EXIF)
    path = tmp_path / "ä b.png"
    path.write_bytes(data)
    with path.open("rb") as file, Image.open(path) as image:
        pictures = [read_picture(source) for source in (path, str(path), file, data, bytearray(data), image)]
    for picture in pictures:
        np.testing.assert_array_equal(picture.samples, RGB)
        assert picture.exif == EXIF


def test_a_pipe_that_cannot_seek_is_read() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.data = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self.data.readinto(buffer)

    pipe = io.BufferedReader(Pipe(saved(Image.fromarray(RGB), "PNG")))
    np.testing.assert_array_equal(read_picture(pipe).samples, RGB)


@pytest.mark.parametrize(
    ("array", "expected"), [(RGB, RGB), (GREY, GREY), (GREY[:, :, 0], GREY), (RGB[:, ::-2], RGB[:, ::-2])]
)
def test_arrays_are_pictures(array: np.ndarray, expected: np.ndarray) -> None:
    picture = read_picture(array)
    np.testing.assert_array_equal(picture.samples, expected)
    assert picture.samples.flags.c_contiguous


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_arrays_of_16_bits_may_have_any_byte_order(channels: int) -> None:
    array = np.dstack([RGB, GREY])[:, :, :channels].astype(np.uint16) * 250
    for order in "<>":
        picture = read_picture(array.astype(array.dtype.newbyteorder(order)))
        np.testing.assert_array_equal(np.asarray(picture).reshape(array.shape), array)
        assert picture.samples.dtype.isnative


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with (tmp_path / "out.png").open("wb") as file, pytest.raises(UnreadablePictureError, match=r"out\.png: cannot be"):
        read_picture(file)
    with pytest.raises(UnreadablePictureError, match="cannot be read"):
        read_picture(file)  # Closed by now.
    with pytest.raises(PictureNotFoundError, match=r"out\.png: cannot be read"):
        bytes_of(file)


def test_a_picture_is_given_back_as_it_is() -> None:
    picture = Picture(RGB)
    assert read_picture(picture) is picture


def test_a_palette_becomes_rgb() -> None:
    palette = Image.fromarray(RGB).quantize(16)
    assert read_picture(saved(palette, "PNG")).samples.tolist() == np.asarray(palette.convert("RGB")).tolist()
    assert read_picture(saved(palette, "GIF")).samples.tolist() == np.asarray(palette.convert("RGB")).tolist()


def test_black_and_white_becomes_grey() -> None:
    bits = Image.fromarray(RGB[:, :, 0] > 127)
    np.testing.assert_array_equal(read_picture(saved(bits, "PNG")).samples[:, :, 0], 255 * (RGB[:, :, 0] > 127))


def test_four_bit_grey_png_is_scaled_to_eight() -> None:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 4, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(b"\0\x0f")) + png_chunk(b"IEND", b"")
    assert read_picture(data).samples.tolist() == [[[0], [255]]]


@pytest.mark.parametrize(
    ("format", "options"),
    [("PNG", {}), ("JPEG", {"exif": b"Exif\0\0" + EXIF, "xmp": XMP}), ("WEBP", {"lossless": True, "xmp": XMP})],
)
def test_metadata_is_kept_byte_for_byte(format: str, options: dict[str, Any]) -> None:
    picture = read_picture(saved(Image.fromarray(RGB), format, **({"exif": EXIF, "icc_profile": SRGB} | options)))
    assert picture.icc == SRGB
    assert picture.exif == EXIF
    assert picture.xmp == options.get("xmp")


def test_metadata_behind_the_samples_of_a_png_is_found() -> None:
    data = saved(Image.fromarray(RGB), "PNG")
    late = png_chunk(b"eXIf", EXIF) + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
    picture = read_picture(data[:-12] + late + data[-12:])
    assert (picture.exif, picture.xmp) == (EXIF, XMP)


def test_a_picture_without_metadata_has_none() -> None:
    picture = read_picture(saved(Image.fromarray(RGB), "JPEG"))
    assert (picture.icc, picture.exif, picture.xmp) == (None, None, None)


def test_orientation_is_not_applied() -> None:
    picture = read_picture(saved(Image.fromarray(RGB), "PNG", exif=EXIF))
    np.testing.assert_array_equal(picture.samples, RGB)


def test_what_a_tiff_says_about_the_photograph_becomes_exif() -> None:
    picture = read_picture(saved(Image.fromarray(RGB), "TIFF", tiffinfo={271: "Maker", 305: "Software"}))
    assert picture.exif is not None
    tags = Image.Exif()
    tags.load(picture.exif)
    assert dict(tags) == {271: "Maker", 305: "Software"}


def test_an_mpo_gives_its_first_view() -> None:
    image = Image.fromarray(np.full((16, 16, 3), 90, np.uint8))
    other = Image.fromarray(np.full((16, 16, 3), 200, np.uint8))
    data = saved(image, "MPO", save_all=True, append_images=[other])
    assert int(read_picture(data).samples.mean()) == 90


def pil(mode: str) -> Image.Image:
    return Image.new(mode, (3, 2))


@pytest.mark.parametrize(
    "source",
    [
        saved(pil("CMYK"), "JPEG"),
        saved(pil("LAB"), "TIFF"),
        pil("CMYK"),
        pil("HSV"),
        np.zeros((2, 3, 5), np.uint8),
        np.zeros((0, 3, 3), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((2, 3, 3), np.float32),
    ],
)
def test_kinds_that_are_not_supported_are_refused_with_advice(source: Any) -> None:
    with pytest.raises(UnsupportedPictureError) as caught:
        read_picture(source)
    assert type(caught.value) is UnsupportedPictureError
    assert "\n" not in str(caught.value)


def test_a_12_bit_jpeg_that_no_library_reads_is_refused() -> None:
    with pytest.raises(UnsupportedPictureError, match="12 bits"):
        read_picture(b"\xff\xd8\xff\xc1\x00\x0b\x0c\x00\x01\x00\x01\x01\x01\x11\x00\xff\xd9")


@pytest.mark.parametrize("mode", ["I", "F", "I;16", "I;16B"])
def test_modes_of_one_wide_channel_become_16_bits(mode: str) -> None:
    assert read_picture(Image.new(mode, (3, 2))).samples.dtype == np.uint16


def test_an_avif_that_says_another_depth_than_it_has_is_refused() -> None:
    data = bytearray(saved(Image.fromarray(np.zeros((16, 16, 3), np.uint8)), "AVIF"))
    assert read_picture(bytes(data)).samples.shape == (16, 16, 3)
    data[data.index(b"av1C") + 6] |= 0x40
    with pytest.raises((BitDepthError, UnreadablePictureError)):
        read_picture(bytes(data))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animations_and_pages_are_refused(format: str) -> None:
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (10, 200)]
    data = saved(frames[0], format, save_all=True, append_images=frames[1:])
    with pytest.raises(AnimatedPictureError, match="2 frames"):
        read_picture(data)
    assert abs(int(read_picture(data, first_frame=True).samples.mean()) - 10) <= 2
    with Image.open(io.BytesIO(data)) as image:
        image.seek(1)
        assert abs(int(read_picture(image, first_frame=True).samples.mean()) - 10) <= 2


def profile_of_cmyk() -> bytes:
    """The smallest CMYK profile that works: ICC.1 version 2, one table of 16 corners to Lab, lightness from the inks' sum."""
    corners = b"".join(
        bytes([max(0, 255 - 60 * (c + m + y) - 200 * k), 128 + 60 * (m - c) * (1 - k), 128 + 60 * (y - c) * (1 - k)])
        for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)
    )  # fmt: skip
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"inks\0" + bytes(79),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061),
        b"A2B0": b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + corners + ramp * 3,
    }
    body, directory, at = b"", struct.pack(">I", len(tags)), 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        directory += name + struct.pack(">II", at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = 128 + len(directory) + len(body)
    header = struct.pack(">I4sI4s4s4s12s4s", size, bytes(4), 0x02400000, b"prtr", b"CMYK", b"Lab ", bytes(12), b"acsp")
    header += bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + directory + body


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_becomes_srgb_by_its_profile_and_without_one_is_refused(format: str) -> None:
    inks = Image.new("CMYK", (16, 32))
    inks.paste((0, 0, 0, 255), (0, 16, 16, 32))
    inks.paste((255, 0, 0, 0), (8, 0, 16, 16))
    picture = read_picture(
        saved(inks, format, icc_profile=profile_of_cmyk(), **({"exif": b"Exif\0\0" + EXIF} if format == "JPEG" else {}))
    )
    assert picture.samples.shape == (32, 16, 3)
    assert picture.icc is None
    assert picture.notes == ("its inks became sRGB by their profile",)
    assert (picture.exif == EXIF) == (format == "JPEG")
    paper, cyan, black = (picture.samples[at].astype(int) for at in ((2, 2), (2, 13), (29, 8)))
    assert paper.min() > 245
    assert cyan[2] > cyan[0] + 60
    assert black.max() < 140
    with pytest.raises(UnsupportedPictureError, match="CMYK without an ICC profile"):
        read_picture(saved(inks, format))
    with pytest.raises(UnreadablePictureError, match="ICC profile"):
        read_picture(saved(inks, format, icc_profile=SRGB))


@pytest.mark.parametrize(
    ("max_pixels", "said"), [(3000, "4096 pixels, more than the limit of 3000: "), (5000, "4096 pixels, more than Pillow's limit of 2000: ")]
)  # fmt: skip
def test_what_pillow_refuses_for_its_size_is_told_with_the_size_and_the_limit(
    max_pixels: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(LimitError, match=said):
        read_picture(saved(Image.new("L", (64, 64)), "PNG"), max_pixels=max_pixels)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureNotFoundError, match=r"none\.png: no such file"):
        read_picture(tmp_path / "none.png")


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(PictureNotFoundError):
        read_picture(tmp_path)


@pytest.mark.parametrize("data", [b"", b"hello", bytes(100), b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadablePictureError):
        read_picture(data)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "GIF", "AVIF", "JPEG2000"])
def test_a_file_cut_short_is_refused_or_was_complete(format: str) -> None:
    data = saved(Image.fromarray(np.random.default_rng(2).integers(0, 256, (40, 40, 3), dtype=np.uint8)), format)
    refused = 0
    for length in range(1, len(data) - 1, max(1, len(data) // 25)):
        try:
            read_picture(data[:length])
        except (UnreadablePictureError, UnsupportedPictureError):
            refused += 1
    assert refused >= 15


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "GIF", "AVIF", "JPEG2000"])
@pytest.mark.filterwarnings("ignore")
def test_damage_never_gives_another_error_than_ours(format: str) -> None:
    random = np.random.default_rng(3)
    data = saved(Image.fromarray(random.integers(0, 256, (24, 24, 3), dtype=np.uint8)), format)
    for _ in range(60):
        damaged = bytearray(data)
        for position in random.integers(0, min(len(data), 400), 3):
            damaged[position] = random.integers(0, 256)
        try:
            read_picture(bytes(damaged), max_pixels=100_000)
        except VaecodecError as error:
            assert "\n" not in str(error)


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    data = saved(Image.fromarray(RGB), "PNG")
    assert read_picture(data, max_pixels=35).width == 7
    for source in (data, RGB, Picture(RGB), Image.fromarray(RGB)):
        with pytest.raises(LimitError, match="7 × 5 pixels"):
            read_picture(source, max_pixels=34)


@pytest.mark.parametrize("side", [10_000, 30_000])
def test_a_decompression_bomb_is_a_limit(side: int) -> None:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")
    with pytest.raises(LimitError):
        read_picture(bomb, max_pixels=1_000_000)


def test_other_objects_are_refused() -> None:
    with pytest.raises(UnsupportedPictureError, match="a int is not a picture"):
        read_picture(3)  # type: ignore[arg-type]


def test_a_picture_is_an_array_and_a_pillow_image() -> None:
    picture = Picture(RGB, icc=SRGB, exif=EXIF, xmp=XMP)
    assert np.asarray(picture) is picture.samples
    assert np.asarray(picture, dtype=np.float32).dtype == np.float32
    assert np.array(picture) is not picture.samples
    image = picture.to_pil()
    assert image.mode == "RGB"
    assert image.getexif()[0x0112] == 6
    assert (image.info["icc_profile"], image.info["xmp"]) == (SRGB, XMP)
    assert Picture(GREY).to_pil().mode == "L"


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="pipes have no paths here")
def test_a_pipe_without_an_end_ends_at_the_limit() -> None:
    reader, writer = os.pipe()

    def write_for_ever() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "wb", buffering=0) as file:
            file.write(b"\x89PNG")
            while True:
                file.write(bytes(1 << 20))

    thread = threading.Thread(target=write_for_ever)
    thread.start()
    try:
        with pytest.raises(LimitError, match="no end"):
            read_picture(f"/dev/fd/{reader}", max_pixels=1000)
    finally:
        os.close(reader)
        thread.join()
