from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vaecodec.exact.steps import coded_group
from vaecodec.models.cost import macs_per_pixel
from vaecodec.models.image import ImageModel, gaussian_bits
from vaecodec.models.layers import DepthwiseConv, depth_to_space, join_cells, space_to_depth, split_cells
from vaecodec.models.settings import FAST, LARGE, PRESETS, ImageSettings


def test_rearrangements_are_inverses() -> None:
    x = torch.randn(2, 8, 12, 5)
    assert torch.equal(depth_to_space(space_to_depth(x, 4), 4), x)
    assert torch.equal(join_cells(split_cells(x), 2, 8, 12), x)


def test_every_position_codes_every_group_once_and_each_step_all_four_groups() -> None:
    steps = [coded_group(k) for k in range(4)]
    assert all(sorted(step) == [0, 1, 2, 3] for step in steps)
    assert all(sorted(step[p] for step in steps) == [0, 1, 2, 3] for p in range(4))


def test_groups_split_and_join_to_the_same_latents(tiny_model: ImageModel) -> None:
    v = torch.randn(3, 4, 6, tiny_model.settings.latents)
    assert torch.equal(tiny_model.join_groups(tiny_model.split_groups(v), 3, 4, 6), v)


def test_the_5x5_gradient_in_four_pieces_is_the_gradient() -> None:
    torch.manual_seed(0)
    layer = DepthwiseConv(8, 5)
    x, g = torch.randn(2, 9, 12, 8, requires_grad=True), torch.randn(2, 9, 12, 8)
    in_pieces = torch.autograd.grad((layer.train()(x) * g).sum(), [x, layer.weight, layer.bias])
    whole = torch.autograd.grad((layer.eval()(x) * g).sum(), [x, layer.weight, layer.bias])
    for a, b in zip(in_pieces, whole, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-4)


def test_the_untrained_model_is_a_transform_codec(crops: torch.Tensor) -> None:
    from vaecodec.training.klt import initialise_with_klt

    model = ImageModel(ImageSettings(prior_width=16, prior_blocks=1, hyper_latents=4)).eval()
    discarded = initialise_with_klt(model, crops)["discarded"]
    with torch.no_grad():
        v = model.analyse(crops, torch.full((len(crops),), 0.7))
        mse = ((model.synthesise(v, torch.full((len(crops),), 0.7)) - crops) ** 2).mean()
    # Without quantisation only the energy outside the kept channels is lost.
    assert float(mse) == pytest.approx(discarded, rel=0.05, abs=0.05)


def test_quality_is_interpolated_between_anchors(tiny_model: ImageModel) -> None:
    table = torch.tensor([[0.0], [1.0], [4.0]])
    got = tiny_model.at_quality(table, torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    assert got[:, 0].tolist() == [0.0, 0.5, 1.0, 2.5, 4.0]


def test_rates_are_those_of_the_gaussian() -> None:
    sigma = torch.tensor([0.5, 2.0, 50.0])
    values = torch.arange(-400, 401)[:, None].float()
    p = 2.0 ** -gaussian_bits(values, sigma)
    # The floor of the probability adds a little in the tails.
    assert torch.allclose(p.sum(0), torch.ones(3), atol=4e-3)


@pytest.mark.parametrize("name", PRESETS)
def test_costs_are_what_the_flop_counter_counts(name: str) -> None:
    settings = PRESETS[name]
    model, side = ImageModel(settings).eval(), 128
    x, q = torch.zeros(1, side, side, 3), torch.tensor([0.5])
    counted = {}
    with torch.no_grad():
        with FlopCounterMode(display=False) as flops:
            v = model.analyse(x, q)
            model.h_a(v)
        counted["analysis"] = flops.get_total_flops() / 2 / side**2 / 1000
        with FlopCounterMode(display=False) as flops:
            model.synthesise(v, q)
        counted["synthesis"] = flops.get_total_flops() / 2 / side**2 / 1000
        with FlopCounterMode(display=False) as flops:
            model(x, q, quantise=True)
        counted["prior"] = flops.get_total_flops() / 2 / side**2 / 1000 - counted["analysis"] - counted["synthesis"]
    assert macs_per_pixel(settings) == pytest.approx(counted, rel=1e-3)


def test_presets_keep_their_promises() -> None:
    for settings, most in ((FAST, 10), (LARGE, 25)):
        macs = macs_per_pixel(settings)
        assert macs["synthesis"] + macs["prior"] <= most
