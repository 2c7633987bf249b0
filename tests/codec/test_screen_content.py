"""Text and flat graphics: never both larger and worse than PNG."""

from __future__ import annotations

import io
import time
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data as pictures_of_skimage

from vaecodec.api import Codec, info
from vaecodec.bitstream.container import TILE_LATENTS, read_container
from vaecodec.codec.rectangle import Rectangle
from vaecodec.codec.stored import ScreenPicture, read_stored_tile
from vaecodec.evaluation import psnr
from vaecodec.metrics.ssimulacra2 import Reference, ssimulacra2
from vaecodec.models.distortion import Price
from vaecodec.models.tunes import TUNES
from vaecodec.picture import Picture, looks_like_screen_content


def screenshot(width: int, height: int) -> np.ndarray:
    """Rendered text, uint8 [H, W, 3]."""
    image = Image.new("RGB", (width, height), (250, 250, 245))
    draw = ImageDraw.Draw(image)
    random = np.random.default_rng(0)
    letters = list("abcdefgh ijklmnop qrstuvw xyz ,.")
    for top in range(4, height, 14):
        draw.text(
            (5, top), "".join(random.choice(letters, width // 7)), fill=tuple(random.integers(0, 120, 3).tolist())
        )
    return np.asarray(image)


def png_size(samples: np.ndarray) -> int:
    buffer = io.BytesIO()
    Image.fromarray(samples.squeeze()).save(buffer, "PNG", optimize=True)
    return len(buffer.getvalue())


def modes(data: bytes) -> list[int]:
    return [tile.mode for tile in read_container(data).tiles]


@pytest.mark.parametrize("quality", [0, 40, 70, 100])
@pytest.mark.parametrize("channels", [1, 3])
def test_no_screenshot_comes_out_both_larger_and_worse_than_png(codec: Codec, quality: float, channels: int) -> None:
    screens = [
        screenshot(500, 300),
        screenshot(90, 60),
        np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 300, 3)),
        np.full((300, 300, 3), 17, np.uint8),
        np.indices((280, 270)).sum(0).repeat(3).reshape(280, 270, 3).astype(np.uint8) % 2 * 255,
    ]
    for samples in screens:
        samples = np.ascontiguousarray(samples[:, :, :channels])
        encoded = codec.encode(Picture(samples), quality=quality)
        assert np.array_equal(codec.decompress(encoded.data).samples, encoded.samples)
        # Header, checksums and the picture's size: where PNG itself takes no more than that, nothing can be won.
        assert len(encoded.data) < png_size(samples) + 60
        assert len(encoded.data) < png_size(samples) or np.array_equal(encoded.samples, samples)


def test_text_beside_a_photograph_is_exact_and_the_photograph_is_not_stored(
    photograph: np.ndarray,
) -> None:
    codec = Codec("psnr")
    samples = screenshot(768, 512).copy()
    samples[:, 512:] = photograph[:, 128:384]
    encoded = codec.encode(Picture(samples), quality=70, check=True)
    assert modes(encoded.data) == [TILE_LATENTS] and read_container(encoded.data).overlay is not None
    # Letters in a block at the photograph's edge may be coded with it.
    assert np.array_equal(encoded.samples[:, :496], samples[:, :496])
    assert (encoded.samples[:, 496:512] == samples[:, 496:512]).mean() > 0.95
    assert psnr(samples[:, 512:], encoded.samples[:, 512:]) > 33
    assert np.array_equal(codec.decompress(encoded.data).samples, encoded.samples)
    assert len(encoded.data) < 0.3 * png_size(samples)


def test_photographs_are_latents_in_one_tile(codec: Codec, photograph: np.ndarray) -> None:
    from skimage import data

    for samples in (photograph, data.chelsea(), data.coffee(), data.camera()[:, :, None]):
        assert modes(codec.compress(samples)) == [TILE_LATENTS]


def seconds(codec: Codec, samples: np.ndarray) -> float:
    """Processor time of encoding, the least of three."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        codec.compress(samples)
        taken.append(time.process_time() - start)
    return min(taken)


def test_flat_pictures_take_no_longer_than_photographs(codec: Codec, photograph: np.ndarray) -> None:
    """About 1.3 and 0.01 times; the bounds leave room for a busy machine."""
    photo = seconds(codec, np.ascontiguousarray(np.tile(photograph, (2, 3, 1))[:720, :1280]))
    assert seconds(codec, screenshot(1280, 720)) < 2.5 * photo
    for shape in ((1, 20_000, 3), (20_000, 1, 3)):
        assert seconds(codec, np.full(shape, 200, np.uint8)) < 0.3 * photo


def test_screen_content_is_told_from_photographs(photograph: np.ndarray) -> None:
    assert looks_like_screen_content(screenshot(256, 256))
    assert looks_like_screen_content(screenshot(256, 256)[:, :, :1])
    assert looks_like_screen_content(np.zeros((256, 256, 3), np.uint8))
    assert looks_like_screen_content(np.random.default_rng(1).integers(0, 4, (64, 64, 1), dtype=np.uint8))
    assert not looks_like_screen_content(photograph[:256, :256])
    assert not looks_like_screen_content(photograph[:1, :1])
    # A sky: neighbours are equal or nearly so.
    sky = (np.add.outer(np.arange(256) // 4, np.arange(256) // 5)[:, :, None] % 256).astype(np.uint8)
    assert not looks_like_screen_content(sky)


def test_what_costs_less_is_chosen_for_screen_content() -> None:
    samples = screenshot(256, 256)
    screen = ScreenPicture(Reference(samples))
    exact = 8.0 * len(screen.exact.payload)
    costs = []
    for lam in (0.0005, 0.002, 0.01, 0.1, 1.0):
        tile, cost, *_ = screen.at(Price(TUNES["eye"].distortion, lam))
        assert len(tile.payload) <= len(screen.exact.payload) and cost <= exact
        changed = read_stored_tile(tile, Rectangle(0, 0, 256, 256), 3, 8)
        price = Price(TUNES["eye"].distortion, lam)
        worth = price.lam * price.judge(Reference(samples), changed).distortion * 256 * 256
        assert cost == pytest.approx(8.0 * len(tile.payload) + worth)
        costs.append(cost)
    assert costs == sorted(costs) and costs[0] < exact == costs[-1]


def test_a_page_never_scores_below_its_quality_where_a_library_stores_it() -> None:
    samples = screenshot(256, 256)
    screen = ScreenPicture(Reference(samples))
    colours = []
    for least in (-np.inf, 30, 50, 70, 90, 101):
        tile, _, too_poor, _ = screen.at(Price(TUNES["eye"].distortion, 0.0005, least))
        changed = read_stored_tile(tile, Rectangle(0, 0, 256, 256), 3, 8)
        found = ssimulacra2(samples, changed)
        assert found is not None and found >= min(least, 100) and not too_poor
        colours.append(len(np.unique(changed.reshape(-1, 3), axis=0)))
    assert colours == sorted(colours) and colours[0] < colours[2] < colours[-1] == len(
        np.unique(samples.reshape(-1, 3), axis=0)
    )


def test_a_page_at_any_quality_scores_at_least_that(codec: Codec) -> None:
    samples = screenshot(300, 200)
    for quality in (1, 10, 25, 40, 60):
        score = ssimulacra2(samples, codec.encode(Picture(samples), quality=quality).samples)
        assert score is not None and score >= quality


def test_a_photograph_in_a_black_frame_is_latents_without_a_seam(codec: Codec) -> None:
    astronaut = pictures_of_skimage.astronaut()
    framed = np.zeros((512, 1024, 3), np.uint8)
    framed[:, 60:572] = astronaut
    data = codec.compress(framed, quality=90)
    decoded = codec.decompress(data).samples
    # By itself the photograph takes as much; without loss the whole takes five times that.
    assert len(data) < 1.2 * len(codec.compress(astronaut, quality=90))
    assert ssimulacra2(framed, decoded) > 88
    assert int(decoded[:, 600:].max()) <= 4


@pytest.mark.parametrize("quality", [30, 60, 75])
@pytest.mark.parametrize("ground", [0, 255])
def test_a_photograph_that_is_hard_to_code_is_latents_between_bars(codec: Codec, quality: float, ground: int) -> None:
    """It scores less than its quality, with bars as without; without loss it takes many times as much."""
    coffee = np.ascontiguousarray(pictures_of_skimage.coffee()[:384, :512])
    barred = np.full((528, 512, 3), ground, np.uint8)
    barred[72:456] = coffee
    alone = codec.encode(Picture(coffee), quality=quality)
    score = ssimulacra2(coffee, alone.samples)
    assert score is not None and score < quality - 1
    data = codec.compress(barred, quality=quality)
    assert set(modes(data)) == {TILE_LATENTS}
    # The edges of the bars cost 9 to 15 %: they lie in the middle of cells.
    assert len(data) < 1.2 * len(alone.data)


def test_size_and_score_of_a_photograph_beside_text_rise_with_quality(codec: Codec) -> None:
    """One quality between others may not make it many times as large."""
    samples = np.full((480, 900, 3), 255, np.uint8)
    samples[40:440, 20:620] = pictures_of_skimage.coffee()[:400, :600]
    samples[:, 640:] = screenshot(260, 480)
    encoded = [codec.encode(Picture(samples), quality=quality) for quality in (10, 30, 40, 50, 60, 75, 90)]
    sizes = [len(e.data) for e in encoded]
    scores = [ssimulacra2(samples, e.samples) for e in encoded]
    assert sizes == sorted(sizes) and scores == sorted(scores, key=float)
    assert max(after / before for before, after in pairwise(sizes)) < 3


def test_fewer_colours_are_not_said_to_be_without_loss(codec: Codec) -> None:
    samples = screenshot(500, 300)
    reduced, exact = codec.encode(Picture(samples), quality=10), codec.encode(Picture(samples), lossless=True)
    assert TILE_LATENTS not in modes(reduced.data) and not np.array_equal(reduced.samples, samples)
    assert (info(reduced.data)["lossless"], info(exact.data)["lossless"]) == (False, True)
