"""Arrays to files and back: without loss by bits-back coding, lossy in steps of the posterior's width; and what is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from blobs import blobs

from vaecodec.bitstream.container import read_container, write_container
from vaecodec.cli.arrays import is_array_file
from vaecodec.errors import (
    DamagedFileError,
    FileFormatError,
    ItemsError,
    LimitError,
    UnknownModelError,
    UsageError,
)
from vaecodec.exact.arithmetic import Arithmetic
from vaecodec.vae.arrays import ArrayCodec, array_info, find_array_codec_for
from vaecodec.vae.bits_back import Batches
from vaecodec.vae.export import export_vae
from vaecodec.vae.networks import VaeModel
from vaecodec.vae.settings import PRESETS, VaeSettings

SIZES = {
    "context": replace(PRESETS["lossless"], height=12, width=10, widths=(16, 24), latents=3),
    "flat": VaeSettings(12, 10, 1, widths=(24, 16), latents=4, likelihood="tables"),
    "beta": VaeSettings(12, 10, 1, widths=(24, 16), latents=4, likelihood="beta-binomial"),
    "bernoulli": VaeSettings(12, 10, 1, widths=(24, 16), latents=4, likelihood="bernoulli"),
    "squared": VaeSettings(12, 10, 1, widths=(24, 16), latents=4, likelihood="squared", variational=False),
    "colour": replace(PRESETS["lossless"], height=7, width=9, channels=3, widths=(8, 12), latents=2),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights of every kind, after a few steps of training, so that the posterior differs from item to item."""
    folder, paths = tmp_path_factory.mktemp("families"), {}
    for name, sizes in SIZES.items():
        torch.manual_seed(1)
        model, items = VaeModel(sizes), torch.from_numpy(blobs(256, *sizes.shape))
        optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
        for _ in range(120 if sizes.network == "dense" else 25):
            terms = model.terms(items[torch.randint(len(items), (32,))])
            optimiser.zero_grad()
            (terms.reconstruction.mean() + terms.kl.sum(1).mean()).backward()
            optimiser.step()
        paths[name] = folder / f"{name}.safetensors"
        export_vae(model, items, paths[name], card={})
    return paths


@pytest.mark.parametrize("name", ["context", "flat", "beta", "colour"])
def test_arrays_come_back_bit_for_bit_and_take_what_the_model_says(files: dict[str, Path], name: str) -> None:
    codec = ArrayCodec(files[name])
    array = blobs(700, *codec.settings.shape, seed=8)
    encoded = codec.compress_lossless(array)
    assert np.array_equal(codec.decompress(encoded.data), array)
    # All of it: the container's bytes, the seeded bits and what is rounded to words.
    assert encoded.bits < 8 * len(encoded.data) < encoded.bits + encoded.initial_bits + 8 * 100
    assert encoded.bits < 0.7 * 8 * array.size
    assert encoded.data == ArrayCodec(files[name]).compress_lossless(array).data


def test_files_do_not_depend_on_the_arithmetic(files: dict[str, Path]) -> None:
    array = blobs(60, 12, 10)
    data = {ArrayCodec(files["context"], arithmetic=a).compress_lossless(array).data for a in Arithmetic}
    assert len(data) == 1
    assert np.array_equal(ArrayCodec(files["context"], arithmetic=Arithmetic.INT64).decompress(data.pop()), array)


def test_shapes_come_back_as_they_were(files: dict[str, Path]) -> None:
    codec = ArrayCodec(files["flat"])
    for shape in ((5, 12, 10), (5, 120), (5, 12, 10, 1), (1, 12, 10)):
        array = np.resize(blobs(5), shape)
        assert codec.decompress(codec.compress_lossless(array).data).shape == shape


def test_items_that_bring_fewer_bits_than_their_latents_take_start_with_more(files: dict[str, Path]) -> None:
    codec = ArrayCodec(files["flat"])
    array = np.zeros((300, 12, 10), np.uint8)
    encoded = codec.compress_lossless(array)
    assert np.array_equal(codec.decompress(encoded.data), array)


def test_batches_double_up_to_the_largest() -> None:
    assert list(Batches(4, 16).spans(50)) == [(0, 4), (4, 12), (12, 28), (28, 44), (44, 50)]
    assert list(Batches(4, 16).spans(3)) == [(0, 3)]


@pytest.mark.parametrize("name", ["bernoulli", "squared", "flat"])
def test_lossy_files_get_better_and_larger_with_quality(files: dict[str, Path], name: str) -> None:
    codec, array = ArrayCodec(files[name]), blobs(400, seed=9)
    sizes, errors = [], []
    for quality in (0, 50, 90):
        encoded = codec.compress_lossy(array, quality=quality)
        assert np.array_equal(codec.decompress(encoded.data), encoded.items)
        sizes.append(len(encoded.data))
        errors.append(float(np.mean((encoded.items.astype(float) - array) ** 2)))
    assert sizes == sorted(sizes) and sizes[0] < sizes[2]
    assert errors[2] < errors[0]
    exact = codec.decode(codec.encode(array))
    assert np.mean((exact.astype(float) - array) ** 2) == pytest.approx(errors[2], rel=0.05, abs=1)


def test_new_items_are_drawn_and_lines_between_two_start_and_end_there(files: dict[str, Path]) -> None:
    for name in ("context", "flat", "squared"):
        codec = ArrayCodec(files[name])
        drawn = codec.sample(9, seed=4)
        assert drawn.shape == (9, 12, 10, 1) and drawn.dtype == np.uint8
        assert np.array_equal(drawn, codec.sample(9, seed=4)) and not np.array_equal(drawn, codec.sample(9, seed=5))
    codec = ArrayCodec(files["bernoulli"])
    pair = blobs(2, seed=5)
    line = codec.interpolate(pair, 5)
    assert np.array_equal(line[[0, 4]], codec.decode(codec.encode(pair)))
    with pytest.raises(UsageError):
        codec.interpolate(pair[:1], 5)
    with pytest.raises(UsageError):
        codec.decode(np.zeros((3, 5)))


def test_a_file_says_what_is_in_it(files: dict[str, Path]) -> None:
    data = ArrayCodec(files["context"]).compress_lossless(blobs(20)).data
    facts = array_info(data, models=[files["context"]])
    assert facts["kind"] == "lossless array" and facts["shape"] == [20, 12, 10, 1] and facts["model"] == "context"
    assert is_array_file(data) and not is_array_file(b"\x89VAEC\x01") and not is_array_file(b"")
    lossy = ArrayCodec(files["flat"]).compress_lossy(blobs(20), quality=25).data
    assert array_info(lossy)["quality"] == 25 and array_info(lossy)["model"] is None
    assert find_array_codec_for(data, models=list(files.values())).name == "context"
    with pytest.raises(UnknownModelError, match="model id"):
        find_array_codec_for(data)


def test_what_a_model_cannot_do_is_refused_in_one_line(files: dict[str, Path]) -> None:
    array = blobs(4)
    with pytest.raises(UsageError, match="cannot code without loss"):
        ArrayCodec(files["bernoulli"]).compress_lossless(array)
    with pytest.raises(UsageError, match="use --lossless"):
        ArrayCodec(files["context"]).compress_lossy(array)
    codec = ArrayCodec(files["flat"])
    with pytest.raises(ItemsError, match=r"items are 28 × 28 × 1, model flat was trained on 12 × 10 × 1"):
        codec.compress_lossless(np.zeros((3, 28, 28), np.uint8))
    with pytest.raises(ItemsError, match="float64, uint8 is needed"):
        codec.compress_lossless(array / 255)
    with pytest.raises(UsageError, match="out of range"):
        codec.compress_lossy(array, quality=101)
    with pytest.raises(UnknownModelError, match="was made by model"):
        codec.decompress(ArrayCodec(files["beta"]).compress_lossless(array).data)
    with pytest.raises(LimitError):
        from vaecodec.bitstream.container import Limits

        codec.decompress(codec.compress_lossless(array).data, limits=Limits(max_pixels=100))


def test_damage_is_found_with_and_without_wrong_checksums(files: dict[str, Path]) -> None:
    codec = ArrayCodec(files["context"])
    data = codec.compress_lossless(blobs(30)).data
    for position in range(6, len(data), 41):
        broken = bytearray(data)
        broken[position] ^= 16
        with pytest.raises((FileFormatError, UnknownModelError)):
            codec.decompress(bytes(broken))
    container = read_container(data)
    payload = bytearray(container.tiles[0].payload)
    for position in (0, len(payload) // 2, len(payload) - 8):
        broken = bytearray(payload)
        broken[position] ^= 16
        tile = replace(container.tiles[0], payload=bytes(broken))
        with pytest.raises(DamagedFileError):
            codec.decompress(write_container(replace(container, tiles=(tile,))))
    assert container.array is not None
    for wrong in (b"", b"\x01", container.array[:-1], container.array + b"\0", b"\x01\x05" + container.array[2:],
                  b"\x01\x02\x1e\x00" + container.array[6:]):  # fmt: skip
        with pytest.raises(DamagedFileError):
            codec.decompress(write_container(replace(container, array=wrong)))
    with pytest.raises(FileFormatError, match="type 2"):
        codec.decompress(write_container(replace(container, array=b"\x02" + container.array[1:])))
