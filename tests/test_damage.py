"""Files that are cut off, changed, or changed with their checksums made right again."""

from __future__ import annotations

import random
import time
import tracemalloc
import zlib

import numpy as np
import pytest

from vaecodec.api import Codec
from vaecodec.bitstream.container import Limits
from vaecodec.bitstream.varint import read_varint
from vaecodec.errors import UnknownModelError, VaecodecError
from vaecodec.picture import Picture

LIMITS = Limits(max_pixels=1 << 16)
MUTATIONS = 2000
SLOWEST = 5.0


@pytest.fixture(scope="module")
def small_file(codec: Codec, photograph: np.ndarray) -> bytes:
    """A file with metadata and a checksum, of a 48 × 40 picture."""
    picture = Picture(photograph[:48, 200:240], icc=b"profile" * 20, exif=b"II*\0", xmp=b"<x/>")
    return codec.encode(picture, quality=30, check=True).data


def test_every_truncation_is_an_error(codec: Codec, small_file: bytes) -> None:
    for length in range(len(small_file)):
        with pytest.raises(VaecodecError) as caught:
            codec.decompress(small_file[:length], limits=LIMITS)
        assert "\n" not in str(caught.value)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to three bytes changed, inserted or removed; never the same file."""
    bad = bytearray(data)
    while bytes(bad) == data:
        for _ in range(rng.choice([1, 1, 2, 3])):
            at = rng.randrange(len(bad))
            kind = rng.random()
            if kind < 0.7:
                bad[at] = rng.choice([rng.randrange(256), bad[at] ^ 1 << rng.randrange(8), 0, 255])
            elif kind < 0.85:
                bad.insert(at, rng.randrange(256))
            else:
                del bad[at]
    return bytes(bad)


def test_random_mutations_are_errors(codec: Codec, small_file: bytes) -> None:
    rng = random.Random(20261122)
    tracemalloc.start()
    try:
        for _ in range(MUTATIONS):
            start = time.perf_counter()
            with pytest.raises(VaecodecError):
                codec.decompress(mutate(small_file, rng), limits=LIMITS)
            assert time.perf_counter() - start < SLOWEST
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def with_right_checksums(data: bytes) -> bytes:
    """The file with every checksum that can be found made right; what cannot be parsed is left as it is."""
    fixed = bytearray(data)
    position = 6
    sections = {}
    try:
        while position < len(fixed) and fixed[position] != 0x80:
            length, start = read_varint(bytes(fixed), position + 1)
            end = start + length
            sections[fixed[position]] = (position, start, end)
            position = end + 4
        data_start = position + 1
        if 0x82 in sections:
            _, at, end = sections[0x82]
            offset = data_start
            while at < end:
                length, after = read_varint(bytes(fixed), at + 1)
                fixed[after : after + 4] = zlib.crc32(bytes(fixed[offset : offset + length])).to_bytes(4, "little")
                at, offset = after + 4, offset + length
    except (VaecodecError, IndexError):
        pass
    for start, _, end in sections.values():
        if end + 4 <= len(fixed):
            fixed[end : end + 4] = zlib.crc32(bytes(fixed[start:end])).to_bytes(4, "little")
    return bytes(fixed)


def test_mutations_with_right_checksums_end_in_an_error_or_a_picture_of_the_declared_size(
    codec: Codec, photograph: np.ndarray
) -> None:
    data = codec.encode(Picture(photograph[:48, 200:240]), quality=30).data
    assert with_right_checksums(data) == data
    rng = random.Random(7)
    pictures = 0
    reached_the_stream = 0
    tracemalloc.start()
    try:
        for _ in range(MUTATIONS):
            bad = with_right_checksums(mutate(data, rng))
            start = time.perf_counter()
            try:
                decoded = codec.decompress(bad, limits=LIMITS)
            except UnknownModelError:
                continue
            except VaecodecError as error:
                reached_the_stream += "stream" in str(error)
                assert "\n" not in str(error)
            else:
                from vaecodec.bitstream.container import read_header

                header = read_header(bad)
                assert decoded.samples.shape == (header.height, header.width, header.channels)
                pictures += 1
            assert time.perf_counter() - start < SLOWEST
        assert tracemalloc.get_traced_memory()[1] < 256 << 20
    finally:
        tracemalloc.stop()
    assert pictures > 0
    assert reached_the_stream > 0
