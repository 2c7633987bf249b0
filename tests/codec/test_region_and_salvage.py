"""Parts of pictures, and what can be had of damaged ones."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from vaecodec.api import Codec, Tiling
from vaecodec.bitstream.container import TILE_LATENTS, Limits, read_container
from vaecodec.cli import main
from vaecodec.codec.decoder import Decoder
from vaecodec.codec.rectangle import Rectangle, tile_grid
from vaecodec.errors import DamagedFileError, UsageError
from vaecodec.picture import Picture, read_picture


def tiled(codec: Codec, picture: Picture, *, check: bool = False) -> bytes:
    """A file of tiles of 128 × 128; what is drawn is in tiles of its own, as where a picture is too large for an overlay."""
    with mock.patch("vaecodec.codec.stored.DEFAULT_LIMITS", Limits(max_tile_pixels=10_000)):
        return codec.encode(picture, quality=50, check=check, tiling=Tiling(1000, 7, 7)).data


@pytest.fixture(scope="module")
def picture(photograph: np.ndarray) -> Picture:
    """300 × 420 with fine stripes in a corner, which are stored without loss, metadata and alpha."""
    samples = photograph[:300, :420].copy()
    samples[:256, :256] = (np.arange(256) % 3 == 0)[:, None] * np.uint8(255)
    alpha = np.add.outer(np.arange(300), np.arange(420)).clip(0, 255).astype(np.uint8)
    return Picture(samples, icc=b"profile", alpha=alpha)


@pytest.fixture(scope="module")
def file(codec: Codec, picture: Picture) -> bytes:
    return tiled(codec, picture, check=True)


def broken(data: bytes, *tiles: int) -> bytes:
    """The file with the last byte of some tiles changed."""
    container = read_container(data)
    bad = bytearray(data)
    ends = (
        len(data)
        - sum(len(tile.payload) for tile in container.tiles)
        + np.cumsum([len(tile.payload) for tile in container.tiles])
    )
    for tile in tiles:
        bad[int(ends[tile]) - 1] ^= 1
    return bytes(bad)


@pytest.mark.parametrize(
    "region",
    [
        (0, 0, 420, 300),
        (0, 0, 1, 1),
        (419, 299, 1, 1),
        (130, 140, 20, 30),
        (100, 90, 200, 100),
        (250, 250, 40, 40),
        (17, 0, 1, 300),
    ],
)
def test_a_region_is_the_crop_of_the_whole(codec: Codec, file: bytes, region: tuple[int, int, int, int]) -> None:
    left, top, width, height = region
    whole, part = codec.decompress(file), codec.decompress_region(file, region)
    crop = np.s_[top : top + height, left : left + width]
    assert np.array_equal(np.asarray(part)[:, :, :3], whole.samples[crop])
    assert whole.alpha is not None
    assert part.alpha is None or np.array_equal(part.alpha, whole.alpha[crop])
    assert part.alpha is not None or (whole.alpha[crop] == 255).all()
    assert part.icc == whole.icc


def test_a_region_of_one_large_or_a_lossless_tile_is_the_crop_too(codec: Codec, photograph: np.ndarray) -> None:
    samples = photograph.copy()
    samples[:256, :256] = photograph[:256, :256] // 128 * 255
    for data in (
        codec.compress(photograph),
        codec.compress(samples, quality=90),
        codec.compress(samples[:100, :90, :1]),
    ):
        whole = codec.decompress(data).samples
        assert np.array_equal(codec.decompress_region(data, (33, 45, 50, 51)).samples, whole[45:96, 33:83])


def test_a_region_decodes_only_the_tiles_that_it_needs(codec: Codec, photograph: np.ndarray) -> None:
    container = codec.open(tiled(codec, Picture(photograph)))
    for region, needed in (((50, 50, 8, 8), [0]), ((130, 130, 8, 8), [0, 1, 4, 5])):
        decoder = Decoder(codec.model, container)
        part = decoder.samples(Rectangle(*region))
        assert decoder.decoded == needed
        assert np.array_equal(part, codec.decompress_region(container, region).samples)


@pytest.mark.parametrize("region", [(0, 0, 421, 1), (0, 0, 0, 1), (420, 0, 1, 1), (-1, 0, 2, 2), (5, 5, 1, -1)])
def test_a_region_outside_is_refused(codec: Codec, file: bytes, region: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError, match="420 × 300"):
        codec.decompress_region(file, region)


def test_a_damaged_tile_is_grey_and_named_and_the_others_are_there(codec: Codec, file: bytes) -> None:
    whole = codec.decompress(file)
    grid = tile_grid(420, 300, 7)
    salvaged = codec.salvage(broken(file, 5, 10))
    assert dict(salvaged.damaged) == {5: grid[5], 10: grid[10]}
    assert salvaged.tiles == 12
    for number, r in enumerate(grid):
        part = np.s_[r.top : r.top + r.height, r.left : r.left + r.width]
        if number in (5, 10):
            assert (salvaged.picture.samples[part] == 128).all()
        else:
            # Within a halo the latents of the damaged tile are missing; further away, and without loss, all is the same.
            same = (salvaged.picture.samples[part] == whole.samples[part]).all(axis=2).mean()
            assert same == 1 if number in (0, 1, 3, 4) else same > 0.1
    assert salvaged.picture.icc == whole.icc


def test_a_file_that_is_cut_off_gives_its_first_tiles(codec: Codec, file: bytes) -> None:
    last = len(read_container(file).tiles[-1].payload)
    salvaged = codec.salvage(file[: -last - 1])
    assert list(salvaged.damaged) == [10, 11]
    with pytest.raises(DamagedFileError):
        codec.salvage(file[:60])


def test_a_sound_file_is_salvaged_whole(codec: Codec, file: bytes) -> None:
    salvaged = codec.salvage(file)
    assert not salvaged.damaged
    assert np.array_equal(salvaged.picture.samples, codec.decompress(file).samples)


def test_damage_that_checksums_do_not_show_is_found_too(codec: Codec, photograph: np.ndarray) -> None:
    import dataclasses

    from vaecodec.bitstream.container import TILE_PNG, Tile, write_container

    container = read_container(tiled(codec, Picture(photograph[:128, :256])))
    bad = (Tile(TILE_LATENTS, container.tiles[0].payload + bytes(8)), Tile(TILE_PNG, b"no"))
    data = write_container(dataclasses.replace(container, tiles=bad))
    assert list(codec.salvage(data).damaged) == [0, 1]


def test_the_command_keeps_going_names_the_tile_and_ends_with_1(
    codec: Codec, file: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.vaec"
    path.write_bytes(broken(file, 5))
    assert main(["decompress", str(path)]) == 3
    assert "tile 5 of 12" in capfd.readouterr().err
    assert not (tmp_path / "a.png").exists()
    assert main(["decompress", str(path), "--keep-going"]) == 1
    err = capfd.readouterr().err
    assert err == f"vaecodec: {path}: of 12 tiles these are damaged and grey, counted from 0: 5 (128x128 at 128,128)\n"
    assert (read_picture(tmp_path / "a.png").samples[128:256, 128:256] == 128).all()
    assert main(["decompress", str(path), "--keep-going", "-t", "--json"]) == 1
    assert "128,128" in json.loads(capfd.readouterr().out)["damage"]
    path.write_bytes(file)
    assert main(["decompress", str(path), "--keep-going", "-f"]) == 0


def test_the_command_decodes_a_region(
    codec: Codec, file: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.vaec"
    path.write_bytes(file)
    assert main(["decompress", str(path), "--region", "120,130,50,60"]) == 0
    expected = codec.decompress_region(file, (120, 130, 50, 60))
    assert np.array_equal(np.asarray(read_picture(tmp_path / "a.png")), np.asarray(expected))
    for wrong in ("1,2,3", "a,b,c,d", "0,0,500,1", "-1,0,2,2"):
        capfd.readouterr()
        assert main(["decompress", str(path), "-f", "--region", wrong]) == 2
        assert capfd.readouterr().err.count("\n") == 1
    assert main(["decompress", str(path), "-t", "--region", "0,0,1,1"]) == 2


def test_the_limit_of_pixels_is_lowered_and_raised(
    codec: Codec, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    path = tmp_path / "a.png"
    read_picture(np.full((150, 100), 7, np.uint8)).to_pil().save(path)
    # More than Pillow takes by itself.
    assert main(["compress", str(path)]) == 5
    assert main(["compress", str(path), "--limit", "14999"]) == 5
    assert "pixels" in capfd.readouterr().err
    assert main(["compress", str(path), "--limit", "1MP"]) == 0
    assert main(["decompress", str(tmp_path / "a.vaec"), "-f", "--limit", "14999"]) == 5
    assert main(["decompress", str(tmp_path / "a.vaec"), "-t", "--limit", "15000"]) == 0
    for wrong in ("0", "many", "-5", "1kB"):
        assert main(["compress", str(path), "--limit", wrong]) == 2
