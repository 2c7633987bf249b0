"""A larger model that starts where a smaller one stands: its weights, and new latents that code what it leaves out.

Blocks and hidden units that the smaller model has not got start at zero and change nothing. New latents begin as the linear
transform that codes the smaller model's error best: the KLT of 16×16 patches of the error for the synthesis, and for the analysis the
least-squares prediction of those coefficients from its own features.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from vaecodec.errors import UsageError
from vaecodec.exact.steps import STEPS
from vaecodec.models.image import SAMPLE_MIDDLE, SAMPLE_SCALE, ImageModel
from vaecodec.models.layers import space_to_depth
from vaecodec.models.settings import PATCH, ImageSettings

QUALITIES = (0.5, 0.75, 1.0)
"""At which the errors are looked at: there new latents are of use."""
QUALITY_TABLES = (
    "log_gain", "log_inverse_gain", "analysis_vector", "synthesis_vector", "prior_vector", "log_sigma_z",
)  # fmt: skip
"""Parameters with a row for each anchor."""
RIDGE = 1e-2
"""Of both least squares, as a part of the mean moment: with 1e-3 the synthesis leaves the range where it is nearly linear."""


def grow(model: ImageModel, small: Mapping[str, Tensor]) -> int:
    """Puts the parameters of a smaller model into ``model``, whose own new ones stay as they are where they change nothing.

    Latents are in four groups, so new ones come at the end of each group. Their columns and rows are zero until :func:`fit_new_latents`.

    Args:
        model: changed in place; as deep and as wide as the smaller one at least, with the same features, prior and anchors.
        small: state of the smaller model.

    Returns:
        How many latents are new.

    Raises:
        UsageError: the smaller model is not smaller in some part, or differs where it must not.
    """
    small = {name: value for name, value in small.items() if name != "log_lambda"}
    if model.settings.features4 and "g_s.quads.weight" not in small:
        # The smaller model draws patches at 1/8: what does so here is set, and then kept.
        model.g_s.draw_patches(small.pop("g_s.patches.weight"), small.pop("g_s.patches.bias"))
        state = model.state_dict()
        small |= {name: state[name] for name in state if re.match(r"g_s\.(quads|patches)\.", name)}
    state = model.state_dict()
    missing = [
        name
        for name in state
        if name not in small and name != "log_lambda" and not re.search(r"\.blocks\d*\.\d+\.", name)
    ]
    if missing:
        raise UsageError(f"{missing[0]} is missing: a whole model is needed, not a half of it")
    old = small["g_a.log_scale"].shape[0]
    new = model.settings.latents - old
    if old % STEPS or new < 0:
        raise UsageError(f"a model of {old} latents cannot grow to one of {model.settings.latents}")
    for name, value in small.items():
        if name not in state:
            raise UsageError(f"{name} of the smaller model is missing in the larger one")
        target = state[name]
        if target.shape != value.shape:
            fresh = torch.zeros_like(target)
            if name == "channel_std":
                fresh += 1
            places = [
                _places(a, b, old, model.settings.latents, name) for a, b in zip(value.shape, target.shape, strict=True)
            ]
            fresh[torch.meshgrid(*places, indexing="ij")] = value.to(fresh)
            if name in ("log_gain", "log_inverse_gain"):
                fresh[:, new_latents(model, new)] = value.mean(1, keepdim=True).to(fresh)
            if name.endswith("depthwise.weight"):
                centre = target.shape[-1] // 2
                fresh[new_latents(model, new), 0, centre, centre] = 1.0
            if name.endswith("expand.weight"):
                # New hidden units read something; what they give is multiplied by zero.
                fresh[value.shape[0] :] = target[value.shape[0] :]
            value = fresh
        state[name] = value
    model.load_state_dict(state)
    return new


def lay_out_qualities(small: Mapping[str, Tensor], old: ImageSettings, new: ImageSettings) -> dict[str, Tensor]:
    """Reads the tables over quality of a model where those of another range of λ or with other anchors have the same λ.

    Beyond the old range gains go on as high-rate theory has them (∝ √λ), all other tables stay as they are at its end.
    """

    def log_lambdas(s: ImageSettings) -> Tensor:
        return torch.linspace(math.log(s.lambda_min), math.log(s.lambda_max), s.anchors)

    state = dict(small)
    if (old.lambda_min, old.lambda_max, old.anchors) == (new.lambda_min, new.lambda_max, new.anchors):
        return state
    have, want = log_lambdas(old), log_lambdas(new)
    place = (want - have[0]) / (have[1] - have[0])
    inside = place.clamp(0, old.anchors - 1)
    left = inside.floor().clamp_max(old.anchors - 2).long()
    beyond = (place - inside) * (have[1] - have[0])
    for name in QUALITY_TABLES:
        table = small[name].float()
        laid = torch.lerp(table[left], table[left + 1], (inside - left)[:, None])
        slope = {"log_gain": 0.5, "log_inverse_gain": -0.5}.get(name, 0.0)
        state[name] = laid + slope * beyond[:, None]
    return state


def new_latents(model: ImageModel, new: int) -> Tensor:
    """Indices of the last ``new`` latents, the first of them in group 0, the next in group 1, and so on."""
    group = model.settings.latents // STEPS
    first = group - new // STEPS
    return (torch.arange(STEPS)[None] * group + torch.arange(first, group)[:, None]).reshape(-1)


def _places(small: int, large: int, old: int, latents: int, name: str) -> Tensor:
    """Where the entries of one dimension of a smaller tensor go in the larger one."""
    if small == large:
        return torch.arange(small)
    grown = latents // STEPS - old // STEPS
    for groups in (1, 2, STEPS):
        # A group of latents; means and then deviations of one; all four groups.
        if (small, large) == (groups * old // STEPS, groups * latents // STEPS):
            index = torch.arange(small)
            return index + index // (old // STEPS) * grown
    if "expand" in name or "project" in name:
        return torch.arange(small)
    raise UsageError(f"{name} differs in a dimension that cannot grow, {small} and {large}")


@torch.no_grad()
def fit_new_latents(model: ImageModel, crops: Tensor, new: int) -> None:
    """Gives the new latents the linear transform that codes the model's error best.

    Args:
        model: grown; changed in place.
        crops: uint8 [N, H, W, 3] of the training set, H and W multiples of 64.
        new: how many latents are new, a multiple of 4.
    """
    training = model.training
    model.eval()
    features, errors, inner = _errors(model, crops)
    _, vectors = torch.linalg.eigh(errors.T @ errors / len(errors))
    basis = vectors.flip(1)[:, :new]  # [768 samples of a patch, new]
    # Analysis: the coefficients of the error, predicted from the features. Half whitened, as all latents are.
    design = torch.cat([features, torch.ones(len(features), 1, dtype=features.dtype)], 1)
    solution = torch.linalg.solve(_ridge(design.T @ design), design.T @ (errors @ basis))
    half = (design @ solution).std(0).clamp_min(1e-6).sqrt()
    # Synthesis: features whose patches are the basis, through the last layer's inverse; small in units of what features are.
    last = model.g_s.patch_matrix().double()
    known = last * inner.square().mean(0)
    inverse = known.T @ torch.linalg.inv(_ridge(known @ last.T))
    patches = basis.T.reshape(new, 4, -1) @ inverse.T  # [new, 4 positions, features]
    patches = (patches / model.synthesis_vector.mean(0).exp()).reshape(new, -1)

    index = new_latents(model, new)
    model.g_a.pairs.weight[index] = (solution[:-1] / half).T.float()
    model.g_a.pairs.bias[index] = (solution[-1] / half).float()
    model.g_a.log_scale[index] = half.log().float()
    model.g_s.pairs.weight[:, index] = (patches * half[:, None]).T.float()
    model.g_s.log_scale[index] = -half.log().float()
    model.channel_std[index] = (half**2 * SAMPLE_SCALE).float()
    model.train(training)


def _errors(model: ImageModel, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the analysis knows, what the model leaves out, and what its last layer sees, without quantisation.

    Returns:
        For every 16×16 patch the features of the analysis, float64 [N, 4·C1], and the error in (x − 128)/64, [N, 768]; the inputs of the
        synthesis's last layer, [4·N, C1].
    """
    features, errors, inner = [], [], []
    seen = model.g_s.leaving8.register_forward_pre_hook(lambda _, inputs: inner.append(inputs[0].flatten(0, 2)))
    for quality in QUALITIES:
        for x in torch.split(crops, 8):
            q = torch.full((len(x),), quality)
            samples = (x.float() - SAMPLE_MIDDLE) / SAMPLE_SCALE
            f = model.g_a.patches(space_to_depth(samples, PATCH))
            f = model.g_a.blocks8(f * model.at_quality(model.analysis_vector, q).exp()[:, None, None])
            features.append(space_to_depth(f, 2).flatten(0, 2))
            error = (x.float() - model.synthesise(model.analyse(x, q), q)) / SAMPLE_SCALE
            errors.append(space_to_depth(space_to_depth(error, PATCH), 2).flatten(0, 2))
    seen.remove()
    return torch.cat(features).double(), torch.cat(errors).double(), torch.cat(inner).double()


def _ridge(moments: Tensor) -> Tensor:
    return moments + RIDGE * moments.diagonal().mean() * torch.eye(len(moments), dtype=moments.dtype)
