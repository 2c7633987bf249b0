"""The short form: 13 bytes about a small picture without loss, or 9 in brief, and the tile without what its format repeats."""

from __future__ import annotations

import binascii
import dataclasses
import io
import zlib

import numpy as np
import pytest
from PIL import Image

from vaecodec.bitstream import container as c
from vaecodec.bitstream.features import DensityFields
from vaecodec.errors import DamagedFileError, FileFormatError, LimitError, TruncatedFileError, VaecodecError

JXL = b"\xff\x0a codestream"


def saved(mode: str, size: tuple[int, int], kind: str, **options: bool) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 90).convert(mode).save(file, kind, **options)
    return file.getvalue()


def crc16(covered: bytes) -> bytes:
    return (binascii.crc_hqx(covered, 0xFFFF) ^ 0xFFFF).to_bytes(2, "big")


def container(
    mode: int, tile: bytes, *, channels: int = 3, depth: int = 8, alpha: bool = False, size: tuple[int, int] = (9, 7)
) -> c.Container:
    header = c.Header(c.KIND_PICTURE, c.WITHOUT_MODEL, *size, channels, depth, 1600, 0)
    return c.Container(header, (c.Tile(mode, tile),), alpha=(c.ALPHA_IN_TILE, b"") if alpha else None)


def codestream(width: int, height: int, rest: bytes = b"rest") -> bytes:
    """The beginning of a JPEG XL of up to 512 pixels a side, all else as usual, and some bytes for a picture."""
    value = (height - 1) << 3 | (width - 1) << 17 | 1 << 26
    return b"\xff\x0a" + value.to_bytes(4, "little") + rest


WEBP = container(2, saved("RGB", (9, 7), "WEBP", lossless=True))
SHORT = {
    "WebP": WEBP,
    "WebP of an odd length": container(2, b"RIFF\x14\0\0\0WEBPVP8L\x07\0\0\0\x2fabcdef\0"),
    "WebP with alpha": container(2, saved("RGBA", (9, 7), "WEBP", lossless=True), alpha=True),
    "grey PNG": container(1, saved("L", (9, 7), "PNG"), channels=1),
    "grey PNG with alpha": container(1, saved("LA", (9, 7), "PNG"), channels=1, alpha=True),
    "RGB PNG": container(1, saved("RGB", (9, 7), "PNG")),
    "RGB PNG with alpha": container(1, saved("RGBA", (9, 7), "PNG"), alpha=True),
    "16-bit PNG": container(1, saved("I;16", (9, 21), "PNG"), depth=16),
    "16-bit PNG with alpha": container(1, saved("I;16", (9, 14), "PNG"), channels=1, depth=16, alpha=True),
    "JPEG XL": container(3, JXL),
    "16-bit JPEG XL": container(3, JXL, depth=16, alpha=True),
    "large": container(3, JXL, size=(300, 20_000)),
}
REPEATED = {1: 57, 2: 20, 3: 2}


def test_the_bytes_are_those_of_the_specification() -> None:
    covered = bytes((3 | 4 | 8 | 16, 0xAC, 0x02, 7)) + b" codestream"
    data = b"\x89VAEC\x02" + covered + zlib.crc32(covered).to_bytes(4, "little")
    assert c.write_container(container(3, JXL, depth=16, alpha=True, size=(300, 7))) == data


@pytest.mark.parametrize("name", SHORT)
def test_it_comes_back_and_takes_13_bytes_beside_what_its_library_does_not_repeat(name: str) -> None:
    whole = SHORT[name]
    data = c.write_container(whole)
    assert data[5] == c.file_version(data) == c.SHORT_VERSION
    assert c.read_container(data) == whole
    tile = whole.tiles[0]
    padding = tile.payload[16] % 2 if tile.mode == 2 else 0
    longer_sizes = 3 if name == "large" else 0
    assert len(data) == len(tile.payload) + 13 - REPEATED[tile.mode] - padding + longer_sizes
    assert c.read_header(data[:64]) == whole.header
    front = c.read_front(io.BytesIO(data))
    assert (front.header, front.has_alpha, front.icc) == (whole.header, whole.alpha is not None, None)


BRIEF = {
    "JPEG XL": container(3, codestream(9, 7)),
    "of 16 bits with alpha": container(3, codestream(300, 20), depth=16, alpha=True, size=(300, 20)),
    "the largest": container(3, codestream(9, 7, bytes(250))),
}


@pytest.mark.parametrize("name", BRIEF)
def test_a_few_bytes_of_jpeg_xl_take_9_more_without_their_magic(name: str) -> None:
    whole = BRIEF[name]
    data = c.write_container(whole)
    tile = whole.tiles[0].payload
    covered = bytes((0x3F if whole.alpha else 0x27,)) + tile[2:]
    assert data == b"\x89VAEC\x02" + covered + crc16(covered)
    assert c.read_container(data) == whole
    assert c.read_header(data[:64]) == whole.header
    front = c.read_front(io.BytesIO(data))
    assert (front.header, front.has_alpha) == (whole.header, whole.alpha is not None)


@pytest.mark.parametrize("tile", [codestream(9, 7, bytes(251)), codestream(7, 9), b"\xff\x0a", codestream(9, 7)[:5]])
def test_larger_ones_and_those_that_name_another_size_are_not_brief(tile: bytes) -> None:
    whole = container(3, tile)
    data = c.write_container(whole)
    assert data[6] == 3 | 4
    assert len(data) == len(tile) + 11
    assert c.read_container(data) == whole


def brief(kind: int, bare: bytes) -> bytes:
    covered = bytes((kind,)) + bare
    return b"\x89VAEC\x02" + covered + crc16(covered)


def test_brief_files_that_no_writer_makes_are_refused() -> None:
    assert c.read_container(brief(0x27, codestream(9, 7)[2:])) == BRIEF["JPEG XL"]
    with pytest.raises(DamagedFileError):
        c.read_container(brief(0x27, codestream(9, 7, bytes(251))[2:]))
    with pytest.raises(FileFormatError, match="update it"):
        c.read_container(brief(0x26, codestream(9, 7)[2:]))
    with pytest.raises(TruncatedFileError):
        c.read_container(brief(0x27, codestream(9, 7)[2:4]))
    with pytest.raises(LimitError):
        c.read_header(brief(0x27, codestream(9, 7)[2:]), limits=c.Limits(max_pixels=62))


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(WEBP, icc=b"profile"),
        dataclasses.replace(WEBP, check=7),
        dataclasses.replace(WEBP, density=DensityFields(1, (72, 1), (72, 1))),
        dataclasses.replace(WEBP, alpha=(c.ALPHA_CONSTANT, b"\x80")),
        dataclasses.replace(WEBP, header=dataclasses.replace(WEBP.header, model_id=b"a model.")),
        dataclasses.replace(WEBP, header=dataclasses.replace(WEBP.header, quality16=800)),
        container(3, JXL + bytes(70_000)),
        container(2, b"RIFF\0\0\0\0WEBPVP8X"),
        container(1, saved("P", (9, 7), "PNG")),
        container(1, b"no PNG"),
        container(3, b"no JPEG XL"),
    ],
)
def test_what_it_cannot_say_takes_the_other_form(other: c.Container) -> None:
    data = c.write_container(other)
    assert data[5] == c.VERSION
    assert c.read_container(data) == other


@pytest.mark.parametrize(
    "whole", [SHORT["WebP"], SHORT["16-bit PNG with alpha"], SHORT["JPEG XL"], BRIEF["JPEG XL"], BRIEF["the largest"]]
)
def test_every_flipped_bit_and_every_cut_is_refused(whole: c.Container) -> None:
    data = c.write_container(whole)
    for at in range(len(data)):
        with pytest.raises(FileFormatError):
            c.read_container(data[:at])
        for bit in range(8):
            with pytest.raises(VaecodecError):
                c.read_container(data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :])


def test_every_burst_of_up_to_16_bits_is_refused_in_a_brief_file() -> None:
    """The checksum is linear in what is flipped, so bursts are sums of flipped bits: no sum of 16 in a row may be 0."""
    data = c.write_container(BRIEF["JPEG XL"])[6:]
    # The first byte is the kind, which says which checksum the file has.
    flips = [int.from_bytes(data, "big") ^ 1 << bit for bit in range(8 * (len(data) - 1))]
    syndromes = []
    for flipped in (flip.to_bytes(len(data), "big") for flip in flips):
        wrong = int.from_bytes(crc16(flipped[:-2]), "big") ^ int.from_bytes(flipped[-2:], "big")
        syndromes.append(wrong)
    for first in range(len(syndromes) - 15):
        sums = np.zeros(1, np.int64)
        for syndrome in syndromes[first : first + 16]:
            sums = np.concatenate([sums, sums ^ syndrome])
        assert (sums[1:] != 0).all()


def test_bursts_across_tile_and_checksum_and_zeros_at_the_end_of_a_brief_file_are_refused() -> None:
    whole = c.write_container(BRIEF["JPEG XL"])
    number = int.from_bytes(whole, "big")
    for shift in range(1, 20):
        for burst in (0x1B1B, 0x8005, 0xFFFF, 0x1A37, 0x9001, 0x3B77):
            with pytest.raises(VaecodecError):
                c.read_container((number ^ burst << shift).to_bytes(len(whole), "big"))
    for count in range(1, 40):
        with pytest.raises(VaecodecError):
            c.read_container(whole + bytes(count))


def short(kind: int, *sizes: int, tile: bytes = b"tile") -> bytes:
    covered = bytes((kind, *sizes)) + tile
    return b"\x89VAEC\x02" + covered + zlib.crc32(covered).to_bytes(4, "little")


def test_what_is_not_known_is_refused_as_newer() -> None:
    for kind in (0x21, 0x22, 0x43, 0x83):
        with pytest.raises(FileFormatError, match="update it") as caught:
            c.read_container(short(kind, 1, 1))
        assert not isinstance(caught.value, DamagedFileError)


def test_impossible_values_are_damage() -> None:
    for data in (short(0, 1, 1), short(3, 0, 1), short(3, 1, 0), short(3, 0x81, 0, 1)):
        with pytest.raises(DamagedFileError):
            c.read_container(data)


def test_a_declared_size_is_checked_first() -> None:
    for read in (c.read_container, c.read_header, lambda data: c.read_front(io.BytesIO(data))):
        with pytest.raises(LimitError):
            read(short(1, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F))
        with pytest.raises(TruncatedFileError):
            read(short(1, 0xFF)[:8])


def test_alpha_in_the_tile_needs_one_tile_without_loss() -> None:
    model = dataclasses.replace(WEBP.header, model_id=b"a model.")
    for wrong in (
        c.Container(model, (c.Tile(0, b"tile"),), alpha=(c.ALPHA_IN_TILE, b"")),
        c.Container(dataclasses.replace(model, width=65, tile_exponent=6), (c.Tile(2, b"w"),) * 2, alpha=(6, b"")),
        dataclasses.replace(WEBP, alpha=(c.ALPHA_IN_TILE, b"more")),
    ):
        with pytest.raises(ValueError, match="ALPHA"):
            c.write_container(wrong)
