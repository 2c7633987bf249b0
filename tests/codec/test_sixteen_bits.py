"""16 bits per sample through the codec: the same sums of the same network, with eight bits more of them kept."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from vaecodec.api import Codec
from vaecodec.bitstream.container import Tile, read_container, write_container
from vaecodec.errors import DamagedFileError, UnsupportedPictureError
from vaecodec.evaluation import psnr
from vaecodec.exact.arithmetic import Arithmetic
from vaecodec.models.decoder_data import with_16_bit_samples
from vaecodec.models.settings import FAST
from vaecodec.picture import Picture


@pytest.fixture(scope="module")
def wide(photograph: np.ndarray) -> np.ndarray:
    """A photograph with light of its own between the steps of 8 bits: uint16 [180, 200, 3]."""
    smooth = photograph[:360, :400].astype(np.uint32)
    mean = smooth[::2, ::2] + smooth[1::2, ::2] + smooth[::2, 1::2] + smooth[1::2, 1::2]
    return (mean * 257 // 4).astype(np.uint16)


@pytest.mark.parametrize("quality", [20, 61, 100])
def test_they_are_the_samples_of_8_bits_and_what_lies_between(codec: Codec, wide: np.ndarray, quality: int) -> None:
    data = codec.compress(Picture(wide), quality=quality)
    container = read_container(data)
    shallow = write_container(dataclasses.replace(container, header=dataclasses.replace(container.header, bit_depth=8)))
    sixteen = codec.decompress(data).samples
    eight = codec.decompress(shallow).samples
    assert sixteen.dtype == np.uint16
    difference = sixteen / 257 - eight
    assert np.abs(difference).max() <= 0.5 + 1 / 256
    # Not just multiples of 257.
    assert np.std(difference) > 0.2


def test_16_bits_are_closer_to_the_picture_than_8(codec: Codec, wide: np.ndarray) -> None:
    """On skies, where 8 bits make bands, more than where there is much detail."""
    across, down = np.meshgrid(np.linspace(0, 3, 160), np.linspace(0, 2, 128))
    sky = np.dstack([30000 + 4000 * np.sin(across + k) * np.cos(down) for k in range(3)]).astype(np.uint16)
    for samples, gain in ((wide, 0.02), (sky, 1.0)):
        encoded = codec.encode(Picture(samples), quality=100)
        rounded = (np.rint(encoded.samples / 257) * 257).astype(np.uint16)
        assert psnr(encoded.source, encoded.samples) > psnr(encoded.source, rounded) + gain


def test_the_same_integers_in_every_arithmetic(codec: Codec, wide: np.ndarray) -> None:
    data = codec.compress(Picture(wide[:48, :64]), quality=90, check=True)
    expected = codec.decompress(data).samples
    for arithmetic in (Arithmetic.FLOAT64, Arithmetic.INT64):
        np.testing.assert_array_equal(Codec(arithmetic=arithmetic, device="cpu").decompress(data).samples, expected)
    y16 = torch.from_numpy(np.random.default_rng(1).integers(-32767, 32768, (5, 7, FAST.latents)).astype(np.int32))
    wild = codec.torch.synthesis.samples_16_bit(y16, 1600)
    assert wild.min() >= 0
    assert wild.max() <= 65535
    exact = Codec(arithmetic=Arithmetic.INT64, device="cpu").torch.synthesis.samples_16_bit(y16, 1600)
    assert torch.equal(wild, exact)


def test_with_alpha_regions_and_grey_in_place_of_damage(codec: Codec, wide: np.ndarray) -> None:
    alpha = np.tile(np.arange(200, dtype=np.uint8), (180, 1))
    data = codec.compress(Picture(wide, alpha=alpha), check=True)
    picture = codec.decompress(data)
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, alpha)
    part = codec.decompress_region(data, (30, 40, 50, 60))
    np.testing.assert_array_equal(part.samples, picture.samples[40:100, 30:80])
    container = read_container(codec.compress(Picture(wide)))
    damaged = bytearray(write_container(container))
    damaged[-5] ^= 1
    salvaged = codec.salvage(bytes(damaged))
    assert list(salvaged.damaged) == [0]
    assert (salvaged.picture.samples == 128 * 257).all()


def test_tiles_without_loss_that_are_no_files_are_damage(codec: Codec, wide: np.ndarray) -> None:
    container = read_container(codec.compress(Picture(np.full((64, 64, 3), 5000, np.uint16))))
    wrong = dataclasses.replace(container, tiles=(Tile(1, b"PNG"),))
    with pytest.raises(DamagedFileError, match="damaged"):
        codec.decompress(write_container(wrong))


def test_a_model_without_the_bits_says_so(wide: np.ndarray) -> None:
    codec = Codec(backend="torch")
    layer = codec.torch.synthesis.patches.data
    assert with_16_bit_samples(dataclasses.replace(layer, shift=layer.shift - 4)) is None
    codec.torch.synthesis.patches_16_bit = None
    with pytest.raises(UnsupportedPictureError, match="8 bits only"):
        codec.compress(Picture(wide), check=True)
