from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from vaecodec.api import Codec
from vaecodec.models.export import export_weights
from vaecodec.models.image import ImageModel
from vaecodec.models.settings import ImageSettings
from vaecodec.models.weights import Weights, load_weights
from vaecodec.training.klt import initialise_with_klt

TINY = ImageSettings(
    features=24, latents=16, analysis_blocks16=1, prior_width=16, prior_blocks=1, hyper_latents=4, anchors=3, hidden8=48, hidden16=32,
    kernel8=3, kernel16=3, prior_kernel=3,
)  # fmt: skip
FINER = replace(TINY, features4=56, synthesis_blocks4=2, hidden4=24)
"""The synthesis goes on at 1/4."""

# Processes that tests start take the installed package, with its built core, not the source tree that they are started in.
os.environ["PYTHONSAFEPATH"] = "1"


def smooth_noise(count: int, size: int) -> torch.Tensor:
    """Pictures with some structure: sums of sines and edges, uint8 [count, size, size, 3]."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:size, :size] / 16
    pictures = []
    for _ in range(count):
        a, b, c = rng.normal(size=(3, 3)) * 2
        waves = 40 * np.sin(a[:, None, None] * x + b[:, None, None] * y) + 40 * np.sign(
            np.sin(c[:, None, None] * x - y)
        )
        pictures.append((128 + waves + rng.normal(size=(3, size, size)) * 4).clip(0, 255).transpose(1, 2, 0))
    return torch.from_numpy(np.stack(pictures).astype(np.uint8))


@pytest.fixture(scope="session")
def codec() -> Codec:
    """The shipped weights."""
    return Codec()


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    """A real photograph, uint8 [512, 512, 3], from scikit-image's wheel."""
    from skimage import data

    return data.astronaut()


@pytest.fixture(scope="session")
def crops() -> torch.Tensor:
    return smooth_noise(8, 128)


@pytest.fixture(scope="session", params=[TINY, FINER], ids=["to 1/8", "to 1/4"])
def tiny_model(crops: torch.Tensor, request: pytest.FixtureRequest) -> ImageModel:
    """A small model whose blocks do something: KLT, then random numbers where zeros were."""
    torch.manual_seed(1)
    model = ImageModel(request.param)
    initialise_with_klt(model, crops)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("project.weight"):
                parameter.normal_(std=0.02)
    return model.eval()


@pytest.fixture(scope="session")
def tiny_weights(tiny_model: ImageModel, crops: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Weights:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    export_weights(tiny_model, crops, path, card={"made": "in a test"})
    return load_weights(path)
