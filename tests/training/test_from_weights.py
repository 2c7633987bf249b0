"""Training on from a weights file: its integers as floats again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from vaecodec.errors import UsageError
from vaecodec.models.export import export_weights
from vaecodec.models.image import ImageModel
from vaecodec.models.settings import ImageSettings
from vaecodec.models.weights import load_weights, save_weights
from vaecodec.training.from_weights import floats_of
from vaecodec.training.image import read_average

SIZES = ImageSettings(
    features=16, latents=16, analysis_blocks8=1, analysis_blocks16=1, hidden8=24, hidden16=32, prior_width=16, prior_blocks=1,
    hyper_latents=8, anchors=6,
)  # fmt: skip
FINER = dataclasses.replace(SIZES, features4=64, synthesis_blocks4=1, hidden4=32)


@pytest.fixture(scope="module", params=[SIZES, FINER], ids=["to 1/8", "to 1/4"])
def model_and_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageModel, Path]:
    torch.manual_seed(5)
    model = ImageModel(request.param)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    crops = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (8, 64, 64, 3)).astype(np.uint8))
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    export_weights(model, crops, path, card={}, tune="eye")
    return model, path


@torch.no_grad()
def test_floats_of_a_weights_file_compute_what_its_model_did(model_and_file: tuple[ImageModel, Path]) -> None:
    model, path = model_and_file
    state, sizes = read_average(path)
    assert sizes is not None
    again = ImageModel(sizes)
    again.load_state_dict(state)
    x = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8))
    for quality in (0.0, 0.37, 1.0):
        q = torch.full((2,), quality)
        before, after = model(x, q, quantise=True), again(x, q, quantise=True)
        assert (before.x_hat - after.x_hat).abs().mean() < 0.02 * (before.x_hat - 128).abs().mean() + 0.2
        torch.testing.assert_close(after.bits_y, before.bits_y, rtol=0.02, atol=4.0)
    for name in ("g_a.patches.weight", "g_s.blocks8.0.project.weight", "context.1.enter.weight", "h_a.down64.weight"):
        error = (state[name] - model.state_dict()[name]).abs().max()
        assert error < 0.04 * model.state_dict()[name].abs().max(), name


def test_scales_survive_the_file_and_are_no_part_of_the_id(
    model_and_file: tuple[ImageModel, Path], tmp_path: Path
) -> None:
    weights = load_weights(model_and_file[1])
    save_weights(weights, tmp_path / "again.safetensors")
    again = load_weights(tmp_path / "again.safetensors")
    assert dict(again.data.scales).keys() == dict(weights.data.scales).keys()
    bare = dataclasses.replace(weights, data=dataclasses.replace(weights.data, scales={}))
    assert bare.model_id() == weights.model_id()
    with pytest.raises(UsageError, match="start from a checkpoint"):
        floats_of(bare)
