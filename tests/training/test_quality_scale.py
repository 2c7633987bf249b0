from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from bench.studies.quality_scale import ANCHORS, places_of_scores
from vaecodec.models.image import ImageModel
from vaecodec.models.settings import ImageSettings, log_lambdas
from vaecodec.training.grow import lay_out_qualities
from vaecodec.training.quality_scale import lay_out

TINY = ImageSettings(
    features=24, latents=16, analysis_blocks8=1, analysis_blocks16=1, prior_width=16, prior_blocks=1, hyper_latents=4, anchors=5, hidden8=48, hidden16=32,
)  # fmt: skip


def model_with_tables() -> ImageModel:
    torch.manual_seed(3)
    model = ImageModel(TINY).eval()
    with torch.no_grad():
        for table in (model.log_gain, model.log_inverse_gain, model.synthesis_vector, model.prior_vector):
            table.add_(0.1 * torch.randn_like(table))
    return model


def test_a_quality_reads_what_its_place_read_before() -> None:
    model = model_with_tables()
    places = [0.0, 0.05, 0.3, 0.9, 1.0]
    laid_out = lay_out(model, places)
    even, at = torch.linspace(0, 1, 5), torch.tensor(places)
    x = torch.randint(0, 256, (5, 64, 64, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.allclose(laid_out.lambda_at(even), model.lambda_at(at), rtol=1e-5)
        before, after = model(x, at, quantise=True), laid_out(x, even, quantise=True)
    assert torch.allclose(before.x_hat, after.x_hat, atol=1e-3)
    assert torch.allclose(before.bits_y, after.bits_y, rtol=1e-4)


def test_places_are_where_the_scores_are_the_qualities() -> None:
    measured = [i / 10 for i in range(11)]
    scores = [-10 + 110 * place**0.7 for place in measured]
    places = places_of_scores(measured, scores)
    assert len(places) == ANCHORS and places[0] == 0 and places[-1] == pytest.approx(1)
    for i, place in enumerate(places):
        if 20 <= 100 * i / (ANCHORS - 1) <= 92:
            assert -10 + 110 * place**0.7 == pytest.approx(100 * i / (ANCHORS - 1), abs=0.7)
    assert all(a < b for a, b in itertools.pairwise(places))


def test_another_range_of_lambda_keeps_what_is_read_at_the_same_lambda() -> None:
    model = model_with_tables()
    wider = replace(TINY, lambda_min=0.0005, lambda_max=4.0, anchors=9)
    state = lay_out_qualities(model.state_dict(), TINY, wider)
    other = ImageModel(wider).eval()
    other.load_state_dict({**other.state_dict(), **state, "log_lambda": torch.tensor(log_lambdas(wider))})
    lam = torch.tensor(log_lambdas(wider))[4].exp()
    place = (lam / TINY.lambda_min).log() / torch.tensor(TINY.lambda_max / TINY.lambda_min).log()
    assert torch.allclose(other.log_gain[4], model.at_quality(model.log_gain, place[None])[0], atol=1e-5)
    # Beyond the old range steps go on as √λ.
    gained = other.log_gain[-1] - model.log_gain[-1]
    assert torch.allclose(gained, torch.full_like(gained, 0.5 * torch.tensor(4.0 / 0.6).log().item()), atol=1e-5)
