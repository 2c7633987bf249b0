from __future__ import annotations

import dataclasses
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaecodec.bitstream import container as c
from vaecodec.bitstream.features import DensityFields
from vaecodec.bitstream.varint import write_varint
from vaecodec.errors import (
    DamagedFileError,
    FileFormatError,
    LimitError,
    NewerVersionError,
    NotVaecodecFileError,
    TruncatedFileError,
    UnknownSectionError,
    VaecodecError,
)

MODEL = bytes(range(8))
HEADER = c.Header(c.KIND_PICTURE, MODEL, width=100, height=70, channels=3, bit_depth=8, quality16=800, tile_exponent=6)
TILES = tuple(c.Tile(mode, payload) for mode, payload in ((0, b"abcd" * 3), (1, b"png"), (2, b"webp!"), (0, b"")))
SMALL = c.Container(HEADER, TILES, icc=b"profile", exif=b"MM\0*" * 30, xmp=b"", alpha=(3, b"\x80"), check=0xDEADBEEF)


def section(tag: int, payload: bytes) -> bytes:
    covered = bytes((tag,)) + write_varint(len(payload)) + payload
    return covered + zlib.crc32(covered).to_bytes(4, "little")


def tile_entry(payload: bytes, mode: int = 0, length: int | None = None) -> bytes:
    declared = len(payload) if length is None else length
    return bytes((mode,)) + write_varint(declared) + zlib.crc32(payload).to_bytes(4, "little")


def header_payload(
    *,
    kind: int = 0,
    width: int = 1,
    height: int = 1,
    channels: int = 3,
    depth: int = 8,
    quality16: int = 800,
    exponent: int = 0,
) -> bytes:
    size = write_varint(width) + write_varint(height)
    return bytes((kind,)) + MODEL + size + bytes((channels, depth)) + write_varint(quality16) + bytes((exponent,))


def raw_file(*sections: bytes, data: bytes = b"tile", version: int = 1) -> bytes:
    return b"\x89VAEC" + bytes((version,)) + b"".join(sections) + b"\x80" + data


HEAD = section(0x81, header_payload())
TILE = section(0x82, tile_entry(b"tile"))


def test_the_sections_built_by_hand_in_these_tests_make_a_good_file() -> None:
    read = c.read_container(raw_file(HEAD, TILE))
    assert (read.header.width, read.header.height, read.tiles) == (1, 1, (c.Tile(0, b"tile"),))


# --- round trips -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlay", [None, c.Tile(1, b"png"), c.Tile(2, b"webp")])
def test_a_picture_with_everything_comes_back(overlay: c.Tile | None) -> None:
    whole = dataclasses.replace(SMALL, overlay=overlay)
    assert c.read_container(c.write_container(whole)) == whole


@pytest.mark.parametrize("kind", [c.KIND_LOSSLESS_ARRAY, c.KIND_LOSSY_ARRAY])
def test_an_array_comes_back_with_one_payload_and_a_header_of_nine_bytes(kind: int) -> None:
    array = c.Container(c.Header(kind, MODEL), (c.Tile(0, b"stream"),), check=1, array=b"dtype and shape")
    data = c.write_container(array)
    assert c.read_container(data) == array
    assert data[6:8] == b"\x81\x09"


@given(
    width=st.integers(1, 200),
    height=st.integers(1, 200),
    exponent=st.sampled_from([0, 6, 7, 15]),
    quality16=st.integers(0, 1600),
    grey=st.booleans(),
    metadata=st.tuples(*[st.none() | st.binary(max_size=300)] * 3),
    alpha=st.none() | st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=20)),
    check=st.none() | st.integers(0, 2**32 - 1),
    payloads=st.data(),
)
def test_any_picture_comes_back(width, height, exponent, quality16, grey, metadata, alpha, check, payloads) -> None:
    count = c.tile_count(width, height, exponent)
    tile = st.builds(c.Tile, st.integers(0, 2), st.binary(max_size=20))
    tiles = tuple(payloads.draw(st.lists(tile, min_size=count, max_size=count)))
    header = c.Header(0, MODEL, width, height, 1 if grey else 3, 8, quality16, exponent)
    whole = c.Container(header, tiles, *metadata, alpha=alpha, check=check)
    assert c.read_container(c.write_container(whole)) == whole


def test_metadata_are_deflated_only_where_that_saves_bytes() -> None:
    plain = c.Container(c.Header(0, MODEL, 1, 1, 3, 8, 0, 0), (c.Tile(0, b""),))
    base = len(c.write_container(plain))
    assert len(c.write_container(dataclasses.replace(plain, xmp=b"a" * 5000))) < base + 100
    assert len(c.write_container(dataclasses.replace(plain, xmp=b"abc"))) == base + 1 + 1 + 1 + 3 + 4


# --- the header alone ------------------------------------------------------------------------------------------------


def test_the_header_is_read_from_the_first_64_bytes() -> None:
    assert c.read_header(c.write_container(SMALL)[:64]) == HEADER


def test_the_widest_header_still_lies_in_the_first_64_bytes() -> None:
    start = raw_file(section(0x81, header_payload(width=2**28, height=1, quality16=1600, exponent=15)))[:64]
    assert c.read_header(start).width == 2**28
    assert len(start) < 64


def test_the_first_bytes_tell_a_file_of_ours() -> None:
    assert c.is_vaecodec_file(c.write_container(SMALL)[:5])
    assert not c.is_vaecodec_file(b"\x89PNG\r\n")
    assert not c.is_vaecodec_file(b"\x89VA")


# --- damage ----------------------------------------------------------------------------------------------------------


def test_every_truncation_is_refused_as_such() -> None:
    data = c.write_container(SMALL)
    for length in range(1, len(data)):
        with pytest.raises(TruncatedFileError):
            c.read_container(data[:length])
    with pytest.raises(NotVaecodecFileError):
        c.read_container(b"")


def test_every_flipped_bit_is_refused() -> None:
    data = c.write_container(SMALL)
    for position in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            with pytest.raises(FileFormatError):
                c.read_container(bytes(damaged))


@settings(max_examples=300)
@given(st.binary(max_size=80), st.integers(0, 60))
def test_any_bytes_after_a_good_start_are_read_or_refused_in_order(tail: bytes, keep: int) -> None:
    try:
        c.read_container(c.write_container(SMALL)[:keep] + tail)
    except VaecodecError as error:
        assert "\n" not in str(error)


def test_another_format_is_none_of_ours() -> None:
    with pytest.raises(NotVaecodecFileError):
        c.read_container(b"\x89PNG\r\n\x1a\n" + bytes(50))


def test_a_newer_version_says_what_to_do() -> None:
    with pytest.raises(NewerVersionError, match=r"version 3.*update"):
        c.read_container(raw_file(HEAD, TILE, version=3))


def test_version_0_is_damage() -> None:
    with pytest.raises(DamagedFileError, match="version 0"):
        c.read_container(raw_file(HEAD, TILE, version=0))


def test_an_unknown_critical_section_is_refused_by_its_tag() -> None:
    with pytest.raises(UnknownSectionError, match="section 9c"):
        c.read_container(raw_file(HEAD, section(0x9C, b"?"), TILE))


def test_an_unknown_section_that_is_not_critical_is_skipped() -> None:
    assert c.read_container(raw_file(HEAD, section(0x7C, b"?"), TILE)).tiles == (c.Tile(0, b"tile"),)


def test_the_checksum_of_a_skipped_section_counts_too() -> None:
    with pytest.raises(DamagedFileError, match=r"section 7c.*checksum"):
        c.read_container(raw_file(HEAD, section(0x7C, b"?")[:-1] + b"\0", TILE))


@pytest.mark.parametrize("tag", [0x81, 0x82, 0x03, 0x7C])
def test_a_second_section_of_one_tag_is_damage(tag: int) -> None:
    again = {0x81: HEAD, 0x82: TILE}.get(tag, section(tag, b"\0"))
    with pytest.raises(DamagedFileError, match="second time"):
        c.read_container(raw_file(HEAD, TILE, again, again))


def test_sections_may_come_in_any_order_after_the_header() -> None:
    late = section(0x03, b"\0profile")
    assert c.read_container(raw_file(HEAD, TILE, late)) == c.read_container(raw_file(HEAD, late, TILE))


def test_a_file_that_starts_with_another_section_is_damaged() -> None:
    with pytest.raises(DamagedFileError, match="in place of HEADER"):
        c.read_container(raw_file(TILE, HEAD))


def test_a_file_without_tiles_is_damaged() -> None:
    with pytest.raises(DamagedFileError, match="no TILES"):
        c.read_container(raw_file(HEAD))


def test_bytes_after_the_last_tile_are_damage() -> None:
    with pytest.raises(DamagedFileError, match="2 bytes follow"):
        c.read_container(raw_file(HEAD, TILE, data=b"tile??"))


def test_a_length_that_is_not_in_its_shortest_form_is_damage() -> None:
    covered = b"\x81\x8f\x80\x00" + header_payload()
    with pytest.raises(DamagedFileError, match="shortest"):
        c.read_container(raw_file(covered + zlib.crc32(covered).to_bytes(4, "little"), TILE))


@pytest.mark.parametrize(
    "fields",
    [
        {"width": 0},
        {"height": 0},
        {"channels": 0},
        {"channels": 2},
        {"channels": 4},
        {"depth": 0},
        {"depth": 7},
        {"depth": 17},
        {"quality16": 1601},
        {"exponent": 1},
        {"exponent": 5},
        {"exponent": 16},
    ],
)
def test_an_impossible_value_in_the_header_is_damage(fields: dict[str, int]) -> None:
    with pytest.raises(DamagedFileError, match="header"):
        c.read_container(raw_file(section(0x81, header_payload(**fields)), TILE))


@pytest.mark.parametrize("fields", [{"depth": 10}, {"depth": 12}, {"kind": 3}])
def test_what_a_later_version_may_know_is_called_unsupported_and_not_damaged(fields: dict[str, int]) -> None:
    with pytest.raises(FileFormatError, match=r"support.*update") as caught:
        c.read_container(raw_file(section(0x81, header_payload(**fields)), TILE))
    assert not isinstance(caught.value, DamagedFileError)


@pytest.mark.parametrize("payload", [b"", b"\0" + MODEL[:5], header_payload()[:-1], header_payload() + b"\0"])
def test_a_header_of_the_wrong_length_is_damage(payload: bytes) -> None:
    with pytest.raises(DamagedFileError, match="HEADER"):
        c.read_container(raw_file(section(0x81, payload), TILE))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"", "too short"),
        (tile_entry(b"tile")[:-1], "too short"),
        (tile_entry(b"tile", length=300)[:-1], "not the size"),
        (tile_entry(b"tile") * 2, "not the size"),
        (tile_entry(b"tile", mode=4), "mode 4"),
    ],
)
def test_a_tile_table_that_does_not_fit_the_grid_is_damage(table: bytes, message: str) -> None:
    with pytest.raises(DamagedFileError, match=message):
        c.read_container(raw_file(HEAD, section(0x82, table)))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (section(0x03, b""), "ICC"),
        (section(0x04, b"\x02x"), "EXIF"),
        (section(0x05, b"\x01no deflate"), "XMP.*inflated"),
        (section(0x05, b"\x01" + zlib.compress(b"x" * 100)[:-1]), "XMP.*one zlib stream"),
        (section(0x05, b"\x01" + zlib.compress(b"x" * 100) + b"?"), "XMP.*one zlib stream"),
        (section(0x86, b""), "ALPHA"),
        (section(0x86, b"\0x"), "ALPHA"),
        (section(0x86, b"\x04x"), "ALPHA"),
        (section(0x86, b"\x01"), "ALPHA"),
        (section(0x86, b"\x03xy"), "ALPHA"),
        (section(0x08, b"abc"), "CHECK"),
        (section(0x87, b"abc"), "ARRAY"),
        (section(0x8A, b""), "OVERLAY"),
        (section(0x8A, b"\x02"), "OVERLAY"),
        (section(0x8A, b"\0x"), "OVERLAY"),
        (section(0x8A, b"\x03x"), "OVERLAY"),
    ],
)
def test_a_section_with_impossible_content_is_damage(extra: bytes, message: str) -> None:
    with pytest.raises(DamagedFileError, match=message):
        c.read_container(raw_file(HEAD, extra, TILE))


def test_an_array_without_its_section_or_with_alpha_is_damage() -> None:
    head = section(0x81, b"\x01" + MODEL)
    array = section(0x87, b"")
    assert c.read_container(raw_file(head, array, TILE)).array == b""
    with pytest.raises(DamagedFileError, match="ARRAY"):
        c.read_container(raw_file(head, TILE))
    with pytest.raises(DamagedFileError, match="ALPHA"):
        c.read_container(raw_file(head, array, section(0x86, b"\x03x"), TILE))
    with pytest.raises(DamagedFileError, match="HEADER"):
        c.read_container(raw_file(section(0x81, header_payload(kind=1)), array, TILE))


# --- damaged tiles, when asked for -----------------------------------------------------------------------------------


def test_a_damaged_tile_is_named() -> None:
    data = c.write_container(SMALL)
    position = data.rindex(b"webp!")
    with pytest.raises(DamagedFileError, match="tile 2 of 4"):
        c.read_container(data[:position] + b"W" + data[position + 1 :])


def test_damaged_tiles_are_marked_and_the_others_intact_when_asked_for() -> None:
    data = c.write_container(SMALL)
    position = data.rindex(b"webp!")
    read = c.read_container(data[:position] + b"W" + data[position + 1 :], keep_damaged=True)
    assert [tile.damaged for tile in read.tiles] == [False, False, True, False]
    assert read.tiles[:2] == TILES[:2]


def test_tiles_that_are_cut_off_are_marked_when_asked_for() -> None:
    read = c.read_container(c.write_container(SMALL)[:-7], keep_damaged=True)
    assert [tile.damaged for tile in read.tiles] == [False, True, True, False]


def test_a_tile_that_is_cut_off_is_damaged_even_if_its_checksum_fits_what_is_left() -> None:
    entry = b"\0\x09" + zlib.crc32(b"tile").to_bytes(4, "little")
    read = c.read_container(raw_file(HEAD, section(0x82, entry)), keep_damaged=True)
    assert read.tiles == (c.Tile(0, b"tile", damaged=True),)


# --- limits ----------------------------------------------------------------------------------------------------------


def peak_of_refusing(data: bytes, error: type[VaecodecError], limits: c.Limits = c.DEFAULT_LIMITS) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(error):
            c.read_container(data, limits=limits)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


HUGE_GRID = section(0x81, header_payload(width=2**34, height=2**34, exponent=6))
HUGE = 2**34


def test_a_zlib_bomb_is_refused_within_the_cap() -> None:
    bomb = zlib.compress(bytes(2**26), 9)
    limits = c.Limits(max_metadata=2**20)
    assert peak_of_refusing(raw_file(HEAD, section(0x03, b"\x01" + bomb), TILE), LimitError, limits) < 2**22


@pytest.mark.parametrize("deflated", [False, True])
def test_metadata_of_exactly_the_limit_are_read_and_one_byte_more_refused(deflated: bool) -> None:
    def with_metadata(size: int) -> bytes:
        content = b"\x01" + zlib.compress(bytes(size)) if deflated else bytes(1 + size)
        return raw_file(HEAD, section(0x04, content), TILE)

    limits = c.Limits(max_metadata=1000)
    assert c.read_container(with_metadata(1000), limits=limits).exif == bytes(1000)
    with pytest.raises(LimitError, match="EXIF"):
        c.read_container(with_metadata(1001), limits=limits)


def test_a_picture_over_the_limit_is_refused_from_its_header() -> None:
    with pytest.raises(LimitError, match="17179869184x17179869184"):
        c.read_header(raw_file(HUGE_GRID))


@pytest.mark.parametrize(
    ("data", "limits", "error"),
    [
        (raw_file(HUGE_GRID, TILE), c.DEFAULT_LIMITS, LimitError),
        (raw_file(HUGE_GRID, TILE), c.Limits(max_pixels=2**70), DamagedFileError),
        (raw_file(HEAD, section(0x82, tile_entry(b"tile", length=HUGE))), c.DEFAULT_LIMITS, TruncatedFileError),
        (raw_file(HEAD, b"\x03" + write_varint(HUGE)), c.DEFAULT_LIMITS, TruncatedFileError),
    ],
    ids=["pixels", "tiles", "tile length", "section length"],
)
def test_huge_declared_sizes_are_refused_without_allocating_them(data, limits, error) -> None:
    assert peak_of_refusing(data, error, limits) < 100_000


def test_a_file_that_readers_would_refuse_for_its_size_is_not_written() -> None:
    with pytest.raises(LimitError):
        c.write_container(SMALL, limits=c.Limits(max_pixels=6999))
    with pytest.raises(LimitError, match="ICC"):
        c.write_container(SMALL, limits=c.Limits(max_metadata=6))


@pytest.mark.parametrize(
    "wrong",
    [
        dataclasses.replace(SMALL, tiles=TILES[:3]),
        dataclasses.replace(SMALL, tiles=(*TILES[:3], c.Tile(4, b""))),
        dataclasses.replace(SMALL, check=2**32),
        dataclasses.replace(SMALL, alpha=(0, b"x")),
        dataclasses.replace(SMALL, array=b""),
        dataclasses.replace(SMALL, header=dataclasses.replace(HEADER, model_id=b"short")),
        dataclasses.replace(SMALL, header=dataclasses.replace(HEADER, quality16=1601)),
        c.Container(c.Header(1, MODEL, width=5), (c.Tile(0, b""),), array=b""),
    ],
)
def test_a_container_that_contradicts_the_format_is_not_written(wrong: c.Container) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        c.write_container(wrong)


# --- what came later -------------------------------------------------------------------------------------------------

DENSITY = DensityFields(1, (300, 1), (599, 2))
LATER = [
    dataclasses.replace(SMALL, density=DENSITY, extended_xmp=b"<more/>" * 40),
    dataclasses.replace(SMALL, tiles=(c.Tile(3, b"jxl"), *TILES[1:])),
    dataclasses.replace(SMALL, header=dataclasses.replace(HEADER, bit_depth=16)),
    dataclasses.replace(SMALL, header=dataclasses.replace(HEADER, bit_depth=16), alpha=(4, b"png")),
    dataclasses.replace(
        SMALL, header=dataclasses.replace(HEADER, model_id=c.WITHOUT_MODEL), tiles=tuple(c.Tile(2, b"w") for _ in TILES)
    ),
    dataclasses.replace(SMALL, alpha=(5, b"jxl")),
    c.Container(dataclasses.replace(HEADER, tile_exponent=0), (c.Tile(2, b"w"),), alpha=(6, b"")),
]
FEATURES = [frozenset(numbers) for numbers in ((), (1,), (2,), (2, 3), (4,), (5,), (6,))]


@pytest.mark.parametrize(("container", "features"), list(zip(LATER, FEATURES, strict=True)))
def test_later_additions_come_back_and_say_what_they_need(container: c.Container, features: frozenset[int]) -> None:
    assert container.features == features
    data = c.write_container(container)
    assert c.read_container(data) == container
    assert (section(0x89, bytes(sorted(features))) in data) == bool(features)


@pytest.mark.parametrize("container", LATER[1:])
def test_a_file_that_does_not_say_what_it_needs_is_damaged(container: c.Container) -> None:
    data = c.write_container(container)
    start = data.index(b"\x89", 6)
    without = data[:start] + data[start + len(section(0x89, bytes(container.features))) :]
    with pytest.raises(DamagedFileError):
        c.read_container(without)


@pytest.mark.parametrize("payload", [b"\x07", b"\x01\x07", b"\xff"])
def test_unknown_features_are_refused_as_newer_before_anything_else_is_said(payload: bytes) -> None:
    with pytest.raises(UnknownSectionError, match=r"feature \d+, which this vaecodec does not know: update it"):
        c.read_container(raw_file(HEAD, section(0x89, payload), section(0x82, tile_entry(b"tile", 99))))


@pytest.mark.parametrize("payload", [b"", b"\x02\x01", b"\x01\x01"])
def test_features_are_a_list_of_ascending_numbers(payload: bytes) -> None:
    with pytest.raises(DamagedFileError):
        c.read_container(raw_file(HEAD, section(0x89, payload), TILE))


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01\1\1\1", b"\x01\1\1\1\0", b"\x04\1\1\1\1", b"\x01\1\1\1\1\1"])
def test_densities_that_are_none_are_damage(payload: bytes) -> None:
    with pytest.raises(DamagedFileError):
        c.read_container(raw_file(HEAD, section(0x09, payload), TILE))


def test_a_density_out_of_range_is_not_written() -> None:
    for density in (
        DensityFields(4, (1, 1), (1, 1)),
        DensityFields(1, (0, 1), (1, 1)),
        DensityFields(1, (1, 2**32), (1, 1)),
    ):
        with pytest.raises(ValueError, match="no density"):
            c.write_container(dataclasses.replace(SMALL, density=density))
