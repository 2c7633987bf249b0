"""Large pictures go through tile by tile: the same bytes, the same samples, little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from vaecodec import api
from vaecodec.api import Codec, Tiling
from vaecodec.bitstream.container import (
    KIND_PICTURE,
    TILE_LATENTS,
    Container,
    Header,
    Tile,
    read_container,
    write_container,
)
from vaecodec.cli import main
from vaecodec.errors import DamagedFileError, LimitError, UsageError
from vaecodec.picture import Picture, PictureRows, read_picture

SMALL_TILES = Tiling(1, 7)


@pytest.fixture(scope="module")
def picture(photograph: np.ndarray) -> np.ndarray:
    """Neither side is a multiple of a tile or of 16."""
    return photograph[:330, 40:470]


def rows_of(samples: np.ndarray, cuts: int = 37) -> PictureRows:
    height, width, channels = samples.shape
    blocks = (samples[top : top + cuts] for top in range(0, height, cuts))
    return PictureRows(width, height, channels, 8 * samples.dtype.itemsize, blocks)


@pytest.mark.parametrize("kind", ["RGB", "grey", "16 bits"])
def test_by_rows_the_file_is_the_same_byte_for_byte(codec: Codec, picture: np.ndarray, kind: str) -> None:
    samples = {"RGB": picture, "grey": picture[:, :, 1:2], "16 bits": picture.astype(np.uint16) * 257}[kind]
    by_rows = codec.encode_rows(rows_of(samples), quality=40, check=True, tiling=SMALL_TILES)
    whole = codec.encode(Picture(samples), quality=40, check=True, tiling=SMALL_TILES)
    assert by_rows.data == whole.data
    assert by_rows.estimated_bits == pytest.approx(whole.estimated_bits)
    back = codec.decode_rows(by_rows.data)
    blocks = list(back.blocks)
    assert [len(block) for block in blocks] == [128, 128, 74]
    np.testing.assert_array_equal(np.concatenate(blocks), whole.samples)
    np.testing.assert_array_equal(codec.decompress(by_rows.data).samples, whole.samples)


def test_a_target_needs_the_whole_picture(codec: Codec, picture: np.ndarray) -> None:
    with pytest.raises(UsageError, match="whole picture"):
        codec.encode_rows(rows_of(picture), psnr=40)


def test_flat_tiles_are_stored_without_loss_by_rows_too(codec: Codec, picture: np.ndarray) -> None:
    samples = picture.copy()
    squares = np.random.default_rng(1).integers(0, 2, (25, 25), dtype=np.uint8) * 255
    samples[:200, :200] = squares.repeat(8, axis=0).repeat(8, axis=1)[:, :, np.newaxis]
    data = codec.encode_rows(rows_of(samples), quality=40, tiling=SMALL_TILES).data
    assert any(tile.mode != TILE_LATENTS for tile in read_container(data).tiles)
    assert any(tile.mode == TILE_LATENTS for tile in read_container(data).tiles)
    decoded = codec.decode_rows(data).picture().samples
    np.testing.assert_array_equal(decoded[:128, :128], samples[:128, :128])


def test_a_wrong_checksum_is_said_at_the_last_row(codec: Codec, picture: np.ndarray) -> None:
    container = read_container(codec.encode(Picture(picture), quality=40, check=True, tiling=SMALL_TILES).data)
    assert container.check is not None
    wrong = Container(container.header, container.tiles, check=container.check ^ 1)
    blocks = iter(codec.decode_rows(write_container(wrong)).blocks)
    for _ in range(3):
        next(blocks)
    with pytest.raises(DamagedFileError, match="checksum"):
        next(blocks)


def test_transparency_is_not_decoded_by_rows(codec: Codec, picture: np.ndarray) -> None:
    alpha = np.arange(64, dtype=np.uint8).repeat(64).reshape(64, 64)
    data = codec.compress(Picture(picture[:64, :64], alpha=alpha))
    with pytest.raises(UsageError, match="transparency"):
        codec.decode_rows(data)


def test_memory_does_not_grow_with_the_height(codec: Codec, photograph: np.ndarray) -> None:
    band = np.ascontiguousarray(photograph[:64, :256])

    def numpy_memory(repeats: int) -> int:
        def blocks() -> Iterator[np.ndarray]:
            for _ in range(repeats):
                yield band.copy()

        rows = PictureRows(256, 64 * repeats, 3, 8, blocks())
        tracemalloc.start()
        data = codec.encode_rows(rows, quality=0, tiling=Tiling(1, 6)).data
        for _ in codec.decode_rows(data).blocks:
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    numpy_memory(2)
    # From 8 bands on a row of tiles has its whole halo, four bands. Tiles and their payloads take a little.
    assert numpy_memory(20) - numpy_memory(8) < 12 * band.nbytes / 3


def test_a_tile_that_would_take_too_much_memory_is_refused(codec: Codec) -> None:
    header = Header(KIND_PICTURE, codec.model.id, 1 << 13, 1 << 12, 3, 8, 0, 0)
    with pytest.raises(LimitError, match="tile"):
        write_container(Container(header, (Tile(TILE_LATENTS, b""),)))


def test_the_backend_is_the_one_that_was_asked_for(
    tmp_path: Path, codec: Codec, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.vaec").write_bytes(codec.compress(picture[:64, :64]))
    asked = []
    find = api.find_codec_for
    monkeypatch.setattr(api, "find_codec_for", lambda data, access: asked.append(access.backend) or find(data))
    for large in (1 << 23, 1000):
        monkeypatch.setattr("vaecodec.picture.LARGE_PIXELS", large)
        assert main(["decompress", "-t", str(tmp_path / "a.vaec"), "--backend", "torch", "--quiet"]) == 0
    assert asked == ["torch", "torch"]


def test_the_commands_take_large_tiff_and_give_it_back(
    tmp_path: Path,
    codec: Codec,
    picture: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("vaecodec.picture.LARGE_PIXELS", 1000)
    tifffile.imwrite(
        tmp_path / "a.tif", picture, photometric="rgb", tile=(64, 64), iccprofile=b"p" * 200, metadata=None
    )
    assert main(["compress", str(tmp_path / "a.tif"), "-q", "40", "--check"]) == 0
    assert "PSNR n/a" in capsys.readouterr().out
    assert codec.decompress((tmp_path / "a.vaec").read_bytes()).icc == b"p" * 200
    tiled = codec.compress(Picture(picture, icc=b"p" * 200), quality=40, check=True, tiling=SMALL_TILES)
    (tmp_path / "a.vaec").write_bytes(tiled)
    expected = codec.decompress(tiled)
    assert expected.icc == b"p" * 200
    for name in ("b.png", "b.tif", "b.npy"):
        assert main(["decompress", str(tmp_path / "a.vaec"), "-o", str(tmp_path / name), "--quiet"]) == 0
        np.testing.assert_array_equal(read_picture(tmp_path / name).samples, expected.samples)
    assert main(["decompress", "-t", str(tmp_path / "a.vaec")]) == 0
    assert "samples match their checksum" in capsys.readouterr().out
    assert main(["compress", str(tmp_path / "b.npy"), "-o", str(tmp_path / "c.vaec"), "--limit", "2000"]) == 5
    assert not (tmp_path / "c.vaec").exists()
