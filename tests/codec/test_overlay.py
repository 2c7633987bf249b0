"""Photographs with text or graphics beside them: latents, and the rest over them."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from skimage import data as pictures_of_skimage

from vaecodec.api import Codec, Tiling, info
from vaecodec.bitstream.container import (
    TILE_JPEG_XL,
    TILE_LATENTS,
    TILE_PNG,
    TILE_WEBP,
    Container,
    Limits,
    Tile,
    read_container,
    write_container,
)
from vaecodec.errors import DamagedFileError, LimitError
from vaecodec.metrics.ssimulacra2 import ssimulacra2
from vaecodec.picture import Picture
from vaecodec.picture.blocks import BLOCK
from vaecodec.picture.screen_content import photographic_blocks, photographic_pixels
from vaecodec.picture.transparency import fill_hidden

TOP, LEFT = 88, 72
"""Of the photograph in a page: between the edges of cells, and multiples of 8, for it was a JPEG once, and scores less where its blocks of
8 pixels lie across cells."""


def letters(height: int, width: int) -> np.ndarray:
    """What looks like lines of text, uint8 [height, width, 3], the same on every machine."""
    rng, page = np.random.default_rng(5), np.full((height, width, 3), 246, np.uint8)
    for top in range(4, height - 12, 18):
        for left in range(4, width - 8, 9):
            glyph = rng.integers(0, 4, (10, 6))
            page[top : top + 10, left : left + 6] -= ((glyph > 1) * 70 * glyph).astype(np.uint8)[:, :, None]
    return page


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A cat, uint8 [300, 451, 3]."""
    return np.ascontiguousarray(pictures_of_skimage.chelsea())


@pytest.fixture(scope="module")
def page(photo: np.ndarray) -> np.ndarray:
    """A screenshot with a bar, a photograph and text, uint8 [700, 600, 3]."""
    samples = np.full((700, 600, 3), 246, np.uint8)
    samples[:56] = (38, 70, 140)
    samples[TOP : TOP + 300, LEFT : LEFT + 451] = photo
    samples[420:, 30:570] = letters(280, 540)
    return samples


def in_the_photo(samples: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(samples[TOP : TOP + 300, LEFT : LEFT + 451])


@pytest.mark.parametrize("quality", [30, 50, 60, 75, 90])
def test_a_screenshot_takes_what_its_parts_take_and_its_photograph_looks_as_by_itself(
    codec: Codec, page: np.ndarray, photo: np.ndarray, quality: float
) -> None:
    encoded, alone = codec.encode(Picture(page), quality=quality), codec.encode(Picture(photo), quality=quality)
    text = page.copy()
    text[TOP : TOP + 300, LEFT : LEFT + 451] = 246
    assert np.array_equal(codec.decompress(encoded.data).samples, encoded.samples)
    assert len(encoded.data) < 1.15 * (len(alone.data) + len(codec.compress(text, quality=quality)))
    inside = ssimulacra2(photo, in_the_photo(encoded.samples))
    by_itself = ssimulacra2(photo, alone.samples)
    assert inside is not None and by_itself is not None and inside > by_itself - 3


def test_size_and_score_rise_with_quality(codec: Codec, photo: np.ndarray) -> None:
    samples = np.full((300, 902, 3), 246, np.uint8)
    samples[:, :451] = photo
    samples[:, 451:] = letters(300, 451)
    encoded = [codec.encode(Picture(samples), quality=quality) for quality in range(20, 100, 5)]
    sizes, scores = [len(e.data) for e in encoded], [ssimulacra2(samples, e.samples) for e in encoded]
    assert sizes == sorted(sizes)
    assert all(float(after or 0) > float(before or 0) - 0.3 for before, after in pairwise(scores))
    # From 90 to 95 a photograph by itself grows as much.
    assert max(after / before for before, after in pairwise(sizes)) < 1.9


def test_what_is_drawn_is_exact_at_high_qualities(codec: Codec, page: np.ndarray) -> None:
    decoded = codec.decompress(codec.compress(page, quality=85)).samples
    assert np.array_equal(decoded[416:], page[416:]) and np.array_equal(decoded[:64], page[:64])
    assert not np.array_equal(decoded, page)


@pytest.mark.parametrize("model", ["eye", "psnr"])
@pytest.mark.parametrize(
    "kind",
    [
        lambda page: Picture(page[:, :, :1]),
        lambda page: Picture(page, alpha=np.where(np.arange(600) < 300, 0, 200).astype(np.uint8)[None].repeat(700, 0)),
        lambda page: Picture(page[:, :, 1:2], alpha=np.where(np.arange(700) % 9 < 2, 0, 255).astype(np.uint8)[:, None].repeat(600, 1)),
    ],
    ids=["grey", "half transparent", "grey with clear lines"],
)  # fmt: skip
def test_grey_and_transparent_pictures_have_one_too(
    model: str, kind: Callable[[np.ndarray], Picture], page: np.ndarray
) -> None:
    codec, picture = Codec(model), kind(page)
    encoded = codec.encode(picture, quality=70, check=True)
    container = read_container(encoded.data)
    assert container.overlay is not None and [tile.mode for tile in container.tiles] == [TILE_LATENTS]
    decoded = codec.decompress(encoded.data)
    assert np.array_equal(decoded.samples, encoded.samples)
    # What nobody sees counts in no figure: it is smooth, and coded as well as the rest.
    error = np.abs(encoded.source.astype(int) - encoded.samples).mean()
    assert error < 3
    if picture.alpha is not None:
        assert np.array_equal(decoded.alpha, picture.alpha)
        image = np.asarray(Image.open(io.BytesIO(container.overlay.payload)).convert("RGBA"))
        assert not image[picture.alpha == 0, 3].any(), "what nobody sees is in no overlay"


def test_regions_rows_and_tiles_have_it(codec: Codec, page: np.ndarray) -> None:
    data = codec.encode(Picture(page), quality=70, tiling=Tiling(1000, 8, 8)).data
    overlay = read_container(data).overlay
    assert overlay is not None and info(data)["overlay_bytes"] == len(overlay.payload) and info(data)["tiles"] == 9
    whole = codec.decompress(data).samples
    assert np.array_equal(np.concatenate(list(codec.decode_rows(data).blocks)), whole)
    for left, top, width, height in ((0, 0, 600, 700), (70, 85, 31, 17), (599, 699, 1, 1), (200, 250, 300, 300)):
        part = codec.decompress_region(data, (left, top, width, height)).samples
        assert np.array_equal(part, whole[top : top + height, left : left + width])


def test_targets_are_met(codec: Codec, page: np.ndarray) -> None:
    assert len(codec.encode(Picture(page), target={"size": 15_000}).data) <= 15_000
    # Fewer bytes than letters in few colours take: latents alone, then.
    least = len(codec.compress(page, quality=0))
    small = codec.encode(Picture(page), target={"size": least // 2})
    assert 0.9 * (least // 2) < len(small.data) <= least // 2
    assert read_container(small.data).overlay is None
    encoded = codec.encode(Picture(page), target={"ssimulacra2": 75})
    score = ssimulacra2(page, encoded.samples)
    assert score is not None and 75 <= score < 77
    assert read_container(encoded.data).overlay is not None


def test_a_frame_of_one_colour_costs_next_to_nothing(codec: Codec, photo: np.ndarray) -> None:
    framed = np.zeros((300 + 2 * 256, 451 + 2 * 256, 3), np.uint8)
    framed[256:-256, 256:-256] = photo
    for quality in (50, 90, 98):
        # By itself it takes 2976, 25517 and 47901 bytes. Cells that nobody sees take some.
        assert len(codec.compress(framed, quality=quality)) < 1.25 * len(codec.compress(photo, quality=quality)) + 1800


def test_noise_textures_and_gradients_on_flat_ground_are_stored_where_that_is_better(codec: Codec) -> None:
    """They look like photographs by their neighbours, and latents keep little of them, or they take next to nothing without loss."""
    noise = np.random.default_rng(3).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    tiled = np.full((400, 400, 3), 250, np.uint8)
    tiled[100:292, 100:292] = np.tile(noise[:32, :32], (6, 6, 1))
    gradient = np.full((400, 400, 3), 250, np.uint8)
    gradient[100:300, 50:306] = np.arange(256, dtype=np.uint8)[:, None]
    for samples in (tiled, gradient):
        exact = len(codec.compress(samples, lossless=True))
        for quality in (30, 70, 95):
            assert len(codec.compress(samples, quality=quality)) < 1.5 * exact + 100
    beside = np.full((400, 400, 3), 250, np.uint8)
    beside[100:260, 100:260] = noise
    for quality in (30, 70, 90):
        encoded = codec.encode(Picture(beside), quality=quality)
        score = ssimulacra2(beside, encoded.samples)
        assert score is not None and score > quality - 20


def test_photographs_have_none(codec: Codec, photo: np.ndarray) -> None:
    for samples in (photo, pictures_of_skimage.astronaut(), pictures_of_skimage.coffee()):
        assert read_container(codec.compress(samples, quality=50)).overlay is None


def forged(page: np.ndarray, overlay: Tile, **changes: object) -> Container:
    whole = read_container(Codec().compress(page, quality=40))
    return Container(**(vars(whole) | {"overlay": overlay} | changes))


def saved(samples: np.ndarray, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(samples).save(file, kind, **({"lossless": True} | options))
    return file.getvalue()


def test_overlays_that_no_writer_makes_are_refused(codec: Codec, page: np.ndarray) -> None:
    clear = np.zeros((700, 600, 4), np.uint8)
    clear[9, 9] = (1, 2, 3, 255)
    for mode, kind in ((TILE_PNG, "PNG"), (TILE_WEBP, "WEBP")):
        data = write_container(forged(page, Tile(mode, saved(clear, kind))))
        assert (codec.decompress(data).samples[9, 9] == (1, 2, 3)).all()
    translucent = clear.copy()
    translucent[5, 5, 3] = 254
    for tile in (
        Tile(TILE_WEBP, saved(translucent, "WEBP")),
        Tile(TILE_PNG, saved(clear[1:], "PNG")),
        Tile(TILE_PNG, b"none"),
        Tile(TILE_WEBP, saved(clear, "WEBP", lossless=False)),
        Tile(TILE_WEBP, saved(clear, "WEBP", save_all=True, append_images=[Image.fromarray(255 - clear)])),
        Tile(TILE_PNG, saved(clear[:, :, 2:], "PNG")),
        Tile(TILE_PNG, imagecodecs.png_encode(clear.astype(np.uint16) * 257)),
    ):
        with pytest.raises(DamagedFileError, match="overlay"):
            codec.decompress(write_container(forged(page, tile)))
    good = Tile(TILE_PNG, saved(clear, "PNG"))
    deep = vars(read_container(codec.compress(page, quality=40)).header) | {"bit_depth": 16}
    for wrong in (
        forged(page, Tile(TILE_JPEG_XL, good.payload)),
        forged(page, Tile(TILE_PNG, b"")),
        forged(page, good, tiles=(Tile(TILE_PNG, b"stored"),)),
        forged(page, good, header=type(forged(page, good).header)(**deep)),
    ):
        with pytest.raises(ValueError, match="OVERLAY"):
            write_container(wrong)
    with pytest.raises(LimitError, match="overlay"):
        tiled = read_container(codec.compress(page, quality=40, tiling=Tiling(1000, 8, 8)))
        write_container(Container(**(vars(tiled) | {"overlay": good})), limits=Limits(max_tile_pixels=400_000))


def test_a_damaged_overlay_is_refused_and_not_left_out(codec: Codec, page: np.ndarray) -> None:
    data = codec.compress(page, quality=40)
    overlay = read_container(data).overlay
    assert overlay is not None
    start = data.index(overlay.payload)
    for at in range(start - 5, start + len(overlay.payload) + 4, 97):
        wrong = data[:at] + bytes((data[at] ^ 4,)) + data[at + 1 :]
        for read in (codec.decompress, codec.salvage, lambda d: codec.decompress_region(d, (0, 0, 5, 5))):
            with pytest.raises(DamagedFileError):
                read(wrong)


def test_photographs_are_found_between_text(page: np.ndarray, photo: np.ndarray) -> None:
    found = photographic_blocks(page)
    assert found.shape == (44, 38)
    assert found[TOP // BLOCK : -(-(TOP + 300) // BLOCK), LEFT // BLOCK : -(-(LEFT + 451) // BLOCK)].all()
    assert not found[26:].any() and not found[:5].any()
    assert not photographic_blocks(letters(300, 300)).any()
    assert photographic_blocks(photo).all()
    assert photographic_blocks(photo[:, :, :1]).all()
    assert not photographic_blocks(np.zeros((64, 80, 3), np.uint8)).any()
    for height, width in ((1, 1), (1, 400), (17, 3), (40, 40)):
        assert photographic_blocks(photo[:height, :width]).shape == (-(-height // BLOCK), -(-width // BLOCK))


def test_photographs_are_cut_out_to_the_pixel_where_the_ground_beside_them_has_one_colour(
    page: np.ndarray, photo: np.ndarray
) -> None:
    expected = np.zeros((700, 600), bool)
    expected[TOP : TOP + 300, LEFT : LEFT + 451] = True
    assert np.array_equal(photographic_pixels(page), expected)
    for top, left in ((0, 0), (37, 21), (64, 80)):
        framed = np.zeros((500, 600, 1), np.uint8)
        framed[top : top + 300, left : left + 451] = np.maximum(photo[:, :, :1], 1)
        expected = np.zeros((500, 600), bool)
        expected[top : top + 300, left : left + 451] = True
        assert np.array_equal(photographic_pixels(framed), expected)
    # Letters in the photograph's last blocks, below a line of ground.
    caption = np.full((420, 600, 3), 246, np.uint8)
    caption[16:316, 64:515] = photo
    caption[318:330, 80:500] = letters(20, 420)[4:16]
    found = photographic_pixels(caption)
    assert found[16:316, 64:515].all() and not found[317:].any()
    # Where no line of ground is between, blocks are left whole.
    beside = letters(300, 902)
    beside[:, :451] = photo
    found = photographic_pixels(beside)
    assert found[:, :451].all() and not found[:, 464:].any()
    assert photographic_pixels(photo).all()


def test_what_is_hidden_is_smooth_and_the_rest_as_it_was(page: np.ndarray) -> None:
    hidden = ~photographic_pixels(page)
    filled = fill_hidden(page, hidden)
    assert np.array_equal(filled[~hidden], page[~hidden])
    assert np.abs(np.diff(filled[440:].astype(int), axis=0)).max() <= 2
    assert np.array_equal(fill_hidden(page, np.zeros((700, 600), bool)), page)
