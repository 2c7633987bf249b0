from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from vaecodec.bitstream.digest import LatentDigest

Z = np.array([[[1, -2]]], dtype=np.int64)
Y16 = np.arange(-6, 6, dtype=np.int32).reshape(3, 2, 2)


def test_the_digest_is_sha256_over_z_then_y_of_each_tile_as_little_endian_int32() -> None:
    digest = LatentDigest()
    digest.update_tile(Z, Y16)
    digest.update_tile(Z + 5, Y16)
    expected = hashlib.sha256(struct.pack("<28i", 1, -2, *range(-6, 6), 6, 3, *range(-6, 6))).hexdigest()
    assert digest.hexdigest() == expected


def test_the_digest_does_not_depend_on_memory_layout_dtype_or_byte_order() -> None:
    plain, other = LatentDigest(), LatentDigest()
    plain.update_tile(Z, Y16)
    other.update_tile(Z.astype(np.int16), np.asfortranarray(Y16).astype(">i8"))
    assert plain.hexdigest() == other.hexdigest()


def test_floats_are_refused() -> None:
    with pytest.raises(TypeError, match="float32"):
        LatentDigest().update_tile(Z, Y16.astype(np.float32))


def test_values_beyond_32_bits_and_flat_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bits"):
        LatentDigest().update_tile(Z + 2**31, Y16)
    with pytest.raises(ValueError, match="shape"):
        LatentDigest().update_tile(Z, Y16.ravel())
