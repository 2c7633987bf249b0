"""The shipped models of digits: what they take without loss, what they show, and how much room they take themselves."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from vaecodec.vae.arrays import ArrayCodec, codec_for_items
from vaecodec.vae.cards import vae_cards
from vaecodec.vae.items import read_items

MNIST = Path(os.environ.get("VAECODEC_DATA", Path(__file__).parents[3] / "shared" / "data")) / "mnist"
TEST_SET = MNIST / "t10k-images-idx3-ubyte.gz"
SHAPE = (28, 28, 1)


def test_shipped_models_are_small_and_one_is_there_for_each_use() -> None:
    cards = {card.name: card for card in vae_cards()}
    assert set(cards) == {"digits", "digits-lossless", "digits-plane"}
    assert sum(card.size for card in cards.values()) < 2.5 * 2**20
    assert codec_for_items(SHAPE, lossless=True).name == "digits-lossless"
    assert codec_for_items(SHAPE, lossless=False).name == "digits"
    assert cards["digits-plane"].settings.latents == 2


def test_what_the_plane_decodes_to_is_not_all_alike() -> None:
    drawn = ArrayCodec("digits-plane").sample(64).astype(int)
    assert drawn.std(axis=0).max() > 60
    # Black around, as digits are.
    assert drawn[:, 0].max() < 30 and drawn.max(axis=(1, 2, 3)).mean() > 150


@pytest.mark.skipif(not TEST_SET.exists(), reason="no MNIST: set VAECODEC_DATA to the folder that has mnist/")
def test_digits_without_loss_stay_under_the_published_figures() -> None:
    items = read_items(TEST_SET).values[:600, :, :, 0]
    encoded = ArrayCodec("digits-lossless").compress_lossless(items)
    # BB-ANS takes 1.41 of all 10,000; the first 600 are as hard, and the initial bits weigh more on them.
    assert 8 * len(encoded.data) / items.size < 1.27
    assert 8 * len(encoded.data) < 1.01 * encoded.bits
    assert np.array_equal(ArrayCodec("digits-lossless").decompress(encoded.data), items)
