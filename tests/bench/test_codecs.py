from __future__ import annotations

import numpy as np
import pytest

from bench.measure.codecs import PEERS, OurSettings, build_codec, model_label, settings_of
from vaecodec.errors import UsageError
from vaecodec.evaluation import FEWEST_POINTS, psnr

from .conftest import photograph

OURS = OurSettings("psnr")


@pytest.mark.parametrize("key", PEERS)
def test_every_peer_gives_back_the_picture_that_it_was_given(key: str) -> None:
    peer = PEERS[key]
    if missing := peer.missing():
        pytest.skip(f"needs {missing}")
    codec, samples = build_codec(key, OURS), photograph()
    best = codec.decode(codec.encode(samples, codec.settings[-1]).data)
    assert best.shape == samples.shape and best.dtype == np.uint8
    if peer.lossless:
        assert np.array_equal(best, samples)
        return
    smallest = codec.encode(samples, codec.settings[0]).data
    assert psnr(samples, codec.decode(smallest)) < psnr(samples, best)
    assert psnr(samples, best) > 30


@pytest.mark.parametrize("key", [key for key, peer in PEERS.items() if not peer.lossless and peer.missing() is None])
def test_every_lossy_peer_has_points_enough_for_a_bd_rate_in_ascending_order(key: str) -> None:
    settings = settings_of(key, OURS)
    assert len(settings) >= FEWEST_POINTS
    assert list(settings) == sorted(settings)


def test_jpeg_is_measured_at_the_qualities_of_the_protocol() -> None:
    assert settings_of("jpeg", OURS) == tuple(range(5, 96, 6))


def test_what_is_not_known_is_refused_with_what_is() -> None:
    with pytest.raises(UsageError, match="vaecodec, vaecodec-effort3, jpeg"):
        build_codec("gif", OURS)


def test_rows_name_weights_without_the_folder_that_they_lie_in() -> None:
    assert model_label("/home/someone/psnr.safetensors") == "psnr"
    assert model_label("psnr") == "psnr"
