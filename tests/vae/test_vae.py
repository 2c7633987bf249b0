"""Float models, and the exact ones that are made of them."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from blobs import blobs

from vaecodec.errors import DamagedWeightsError
from vaecodec.exact.arithmetic import Arithmetic
from vaecodec.vae.exact import ExactVae, build_vae
from vaecodec.vae.export import latent_tables, make_weights
from vaecodec.vae.networks import (
    Terms,
    VaeModel,
    gaussian_kl,
    join_positions,
    loss_of,
    split_positions,
)
from vaecodec.vae.pixels import PixelTables, beta_binomial, nodes
from vaecodec.vae.settings import (
    LATENT_UNIT,
    LEVELS_PER_NAT,
    PRESETS,
    PRIOR_LEVEL,
    VaeSettings,
)
from vaecodec.vae.weights import load_vae, save_vae

CPU = torch.device("cpu")
DENSE = VaeSettings(12, 10, 1, widths=(24, 16), latents=4, likelihood="tables")
CONTEXT = replace(PRESETS["lossless"], height=13, width=10, widths=(16, 24), latents=3)
ITEMS = torch.from_numpy(blobs(300))


def test_the_kl_is_that_of_the_integral() -> None:
    mean, log_sigma = torch.tensor([0.7]), torch.tensor([-0.9])
    z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    sigma = math.exp(-0.9)
    q = torch.exp(-0.5 * ((z - 0.7) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
    difference = -0.5 * ((z - 0.7) / sigma) ** 2 - math.log(sigma) + 0.5 * z**2
    numerical = float((q * difference).sum() * (z[1] - z[0]))
    assert float(gaussian_kl(mean, log_sigma)) == pytest.approx(numerical, rel=1e-5)


def test_free_bits_cost_nothing_and_beta_weighs_the_rest() -> None:
    kl = torch.tensor([[0.1, 2.0], [0.3, 4.0]])
    terms = Terms(torch.tensor([10.0, 20.0]), kl)
    assert float(loss_of(terms, 1.0, 0.0)) == pytest.approx(15 + 0.2 + 3)
    assert float(loss_of(terms, 2.0, 0.0)) == pytest.approx(15 + 2 * 3.2)
    half_a_nat = 0.5 / math.log(2)
    assert float(loss_of(terms, 2.0, half_a_nat)) == pytest.approx(15 + 2 * 3.5)


def test_every_likelihood_over_values_is_a_distribution() -> None:
    assert beta_binomial(256, 0.3, 2.0).sum() == pytest.approx(1, abs=1e-9)
    tables = PixelTables(learnt=True)
    values = torch.arange(256, dtype=torch.uint8)
    at_a_node = torch.tensor([3.0, 5.0]).expand(256, 2)
    assert float(torch.exp(-tables.cost(at_a_node, values)).sum().detach()) == pytest.approx(1, abs=1e-4)
    between = torch.tensor([3.5, 5.0]).expand(256, 2)
    # Rounded at random, the expected cost is the mean of the two tables'.
    upper = tables.cost(torch.tensor([4.0, 5.0]).expand(256, 2), values)
    assert torch.allclose(tables.cost(between, values), (tables.cost(at_a_node, values) + upper) / 2, atol=1e-4)


def test_parameters_outside_of_the_grid_are_clamped_and_can_come_back() -> None:
    tables = PixelTables(learnt=False)
    for value, pushed_back in ((2, True), (0, False)):
        parameters = torch.tensor([[-3.0, 40.0]], requires_grad=True)
        assert nodes(parameters).item() == 13
        tables.cost(parameters, torch.tensor([value], dtype=torch.uint8)).sum().backward()
        # At the lowest mean, 0.23, a 2 asks for a higher one; black asks for a lower one still, and gets nothing. Light values are as
        # unlikely in the next table: which way they push is a matter of the last bit.
        assert parameters.grad is not None and (float(parameters.grad[0, 0]) < -0.1) == pushed_back
        assert pushed_back or float(parameters.grad[0, 0]) == 0


def test_positions_of_cells_are_split_and_joined() -> None:
    x = torch.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    cells = split_positions(x)
    assert torch.equal(cells[2], x[:, 1::2, ::2])
    assert torch.equal(join_positions(cells), x)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_has_a_finite_loss_and_gradients_everywhere(preset: str) -> None:
    torch.manual_seed(1)
    sizes = replace(PRESETS[preset], height=9, width=14, channels=3)
    if sizes.network == "convolutional":
        sizes = replace(sizes, widths=(8, 12))
    model = VaeModel(sizes)
    loss_of(model.terms(torch.from_numpy(blobs(6, 9, 14, 3))), 1.0, 0.0).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and bool(torch.isfinite(parameter.grad).all()), name


def test_pixels_of_a_step_do_not_see_later_ones() -> None:
    torch.manual_seed(1)
    model = VaeModel(CONTEXT).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    z, items = torch.zeros(1, 3), torch.from_numpy(blobs(1, 13, 10))
    changed = items.clone()
    changed[0, 1, 1] ^= 255  # position 3 of its cell: step 1
    cells, other = (split_positions(torch.nn.functional.pad(x, (0, 0, 0, 2, 0, 3))) for x in (items, changed))
    f = g = model.from_latents(z)
    _, first = model.context_step(0, f, None)
    f, _ = model.context_step(0, f, None)
    g, again = model.context_step(0, g, None)
    assert torch.equal(first, again)
    f, second = model.context_step(1, f, cells[0])
    g, second_again = model.context_step(1, g, other[0])
    assert torch.equal(second, second_again)
    _, third = model.context_step(2, f, cells[3])
    _, third_changed = model.context_step(2, g, other[3])
    assert not torch.equal(third, third_changed)


@pytest.mark.parametrize(
    "sizes", [DENSE, CONTEXT, replace(DENSE, likelihood="bernoulli"), replace(DENSE, likelihood="squared")]
)
def test_the_exact_model_is_close_to_the_float_one(sizes: VaeSettings) -> None:
    torch.manual_seed(2)
    model = VaeModel(sizes).eval()
    items = torch.from_numpy(blobs(200, sizes.height, sizes.width))
    weights = make_weights(model, items, {})
    vae = ExactVae(build_vae(weights.data, CPU))
    with torch.no_grad():
        mean, log_sigma = model.encode(items)
        posterior = vae.encode(items.numpy())
        assert np.abs(posterior.mean - mean.numpy() * LATENT_UNIT).max() < 3
        assert log_sigma is not None and posterior.index is not None
        assert np.abs(posterior.index - (log_sigma.numpy() * LEVELS_PER_NAT + PRIOR_LEVEL)).max() < 1.1
        if not sizes.context:
            decoded = vae.decode(posterior.mean).astype(np.float64)
            close = model.decode(torch.from_numpy(posterior.mean / LATENT_UNIT).float()).numpy()
            assert np.abs(decoded - close).mean() < 2


def test_every_arithmetic_gives_the_same_integers() -> None:
    torch.manual_seed(3)
    items = torch.from_numpy(blobs(40, 13, 10))
    weights = make_weights(VaeModel(CONTEXT).eval(), items, {})
    given = []
    for arithmetic in Arithmetic:
        vae = ExactVae(build_vae(weights.data, CPU, arithmetic))
        posterior = vae.encode(items.numpy())
        steps, indices = vae.begin(posterior.mean), []
        for values in steps.split(items.numpy()):
            indices.append(steps.next())
            steps.put(values)
        assert np.array_equal(steps.items(), items.numpy())
        given.append((posterior.mean, posterior.index, *indices))
    for other in given[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(given[0], other, strict=True))
    # 13 × 10 is seen as 16 × 12: what lies beyond has no table.
    assert (given[0][2][:, 7:] == 0).all() and (given[0][2][:, :6, :5] > 0).all()


def test_an_autoencoder_comes_out_standardised_and_says_the_same() -> None:
    torch.manual_seed(4)
    model = VaeModel(replace(DENSE, variational=False, likelihood="bernoulli")).eval()
    with torch.no_grad():
        before = model.decode(model.encode(ITEMS)[0])
        weights = make_weights(model, ITEMS, {})
        latents = model.encode(ITEMS)[0]
        assert torch.allclose(latents.std(0), torch.ones(4), atol=0.05)
        assert torch.allclose(latents.mean(0), torch.zeros(4), atol=0.05)
        assert torch.allclose(model.decode(latents), before, atol=0.05)
    assert (weights.data.tables["width"] > 0).all()


def test_the_prior_is_the_table_of_its_level() -> None:
    half_widths, counts = latent_tables()
    starts = np.cumsum(2 * half_widths + 2) - (2 * half_widths + 2)
    L, start = half_widths[PRIOR_LEVEL - 1], starts[PRIOR_LEVEL - 1]
    table = counts[start : start + 2 * L + 1] / 2**24
    points = np.arange(-L, L + 1)
    assert np.sqrt((table * points**2).sum()) / LATENT_UNIT == pytest.approx(1, abs=2e-3)


def test_weights_files_are_read_back_and_checked(tmp_path: Path) -> None:
    weights = make_weights(VaeModel(CONTEXT).eval(), torch.from_numpy(blobs(20, 13, 10)), {"made": "in a test"})
    path = tmp_path / "a.safetensors"
    save_vae(weights, path)
    again = load_vae(path)
    assert again.model_id() == weights.model_id() and again.settings == CONTEXT and again.card == {"made": "in a test"}
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedWeightsError):
        load_vae(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"latents": 0},
        {"widths": ()},
        {"network": "deep"},
        {"context": True},
        {"likelihood": "gamma"},
        {"height": 10**6},
    ],
)
def test_impossible_sizes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        VaeSettings.from_dict(VaeSettings().to_dict() | wrong)
