"""Trains a model of the VAE family: an array of small items in, a weights file out.

    vaecodec train --family vae train-images-idx3-ubyte.gz -o mine.safetensors --minutes 5
    vaecodec train --family vae train-images-idx3-ubyte.gz -o map.safetensors --preset textbook --minutes 3

Reads from top to bottom: settings, data, model, the loop, validation, stopping. Steps that are interrupted and resumed equal those
that were not, bit for bit; in minutes the learning rate follows the clock.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaecodec.errors import UsageError
from vaecodec.models.precision import has_fast_bfloat16
from vaecodec.training.checkpoints import read_checkpoint, update_ema
from vaecodec.training.options import parse_settings
from vaecodec.training.run import Clock, ProgressLine, Run, learning_rate_factor, resume_run, save_run, step_or_skip
from vaecodec.vae.items import Values, read_items
from vaecodec.vae.networks import VaeModel, loss_of
from vaecodec.vae.settings import ACTIVE_BITS, PRESETS, VaeSettings
from vaecodec.vae.train_settings import VaeTrainSettings

KINDS = ("vae", "ae")
_VALIDATION_BATCH = 500


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of ``python -m vaecodec.vae.training``."""
    train_vae(parse_settings(VaeTrainSettings, "vaecodec.vae.training", __doc__.split("\n")[0], arguments))


def model_settings(s: VaeTrainSettings, shape: tuple[int, int, int]) -> VaeSettings:
    """Sizes of the model for items of this shape.

    Raises:
        UsageError: settings that no model has.
    """
    if s.preset not in PRESETS or s.family not in KINDS:
        raise UsageError(f"--preset is one of {', '.join(PRESETS)}, --family one of {', '.join(KINDS)}")
    changes: dict[str, Any] = dict(zip(("height", "width", "channels"), shape, strict=True))
    changes["variational"] = s.family == "vae"
    if s.latents:
        changes["latents"] = s.latents
    if s.likelihood:
        changes["likelihood"] = s.likelihood
    try:
        if s.widths:
            changes["widths"] = tuple(int(part) for part in s.widths.split(","))
        sizes = replace(PRESETS[s.preset], **changes)
        sizes.check()
    except ValueError as error:
        raise UsageError(f"these settings make no model: {error}") from error
    return sizes


def split_items(s: VaeTrainSettings) -> tuple[Values, Values]:
    """Items to train on and items to validate on: uint8 [N, H, W, C] each."""
    values = read_items(s.data).values
    if s.validation:
        held_out = read_items(s.validation).values
        if held_out.shape[1:] != values.shape[1:]:
            raise UsageError(f"{s.validation}: items of {held_out.shape[1:]}, those to train on are {values.shape[1:]}")
    else:
        if len(values) < 12:
            raise UsageError(f"{s.data}: {len(values)} items are too few to hold some out; give --validation")
        held_out = values[11::12]
        values = np.delete(values, np.s_[11::12], axis=0)
    return values[: s.limit] if s.limit else values, held_out


@torch.no_grad()
def validate(model: VaeModel, items: Tensor, beta: float, seed: int) -> dict[str, float]:
    """The loss on fixed items with fixed noise, in bits per dimension, its parts, and how many dimensions are in use."""
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    reconstruction, kl = [], []
    for x in torch.split(items, _VALIDATION_BATCH):
        terms = model.terms(x, generator)
        reconstruction.append(terms.reconstruction)
        kl.append(terms.kl)
    model.train()
    bits = math.log(2) * model.settings.size
    mean_kl = torch.cat(kl).mean(0)
    distortion, rate = float(torch.cat(reconstruction).mean()) / bits, float(mean_kl.sum()) / bits
    return {
        "loss": distortion + beta * rate,
        "bits_per_dimension": distortion + rate,
        "reconstruction": distortion,
        "kl": rate,
        "active_units": float((mean_kl / math.log(2) > ACTIVE_BITS).sum()),
    }


@torch.no_grad()
def kl_per_dimension(model: VaeModel, items: Tensor) -> list[float]:
    """Mean KL of every dimension over items, in bits."""
    parts = []
    for x in torch.split(items, _VALIDATION_BATCH):
        parts.append(model.terms(x, torch.Generator().manual_seed(1)).kl)
    return [float(value) / math.log(2) for value in torch.cat(parts).mean(0)]


# One long function on purpose: a run reads from top to bottom.
def train_vae(settings: VaeTrainSettings) -> None:
    """Runs the training that the settings describe; writes OUT, OUT.checkpoint, OUT.csv and OUT.png as it goes."""
    s = settings
    s.check_length()
    torch.set_num_threads(s.threads)
    out, device = Path(s.out), torch.device("cpu")

    # Data: all of it in memory, as uint8.
    values, held_out = split_items(s)
    items = torch.from_numpy(np.ascontiguousarray(values))
    fixed = {
        "validation": torch.from_numpy(held_out[: s.validation_items].copy()),
        "train": items[:: max(1, len(items) // s.validation_items)][: s.validation_items],
    }

    # Model, its moving average, optimiser.
    torch.manual_seed(s.seed)
    sizes = model_settings(s, (items.shape[1], items.shape[2], items.shape[3]))
    model, average = VaeModel(sizes, s.noise), VaeModel(sizes, s.noise)
    average.load_state_dict(model.state_dict())
    optimiser = torch.optim.AdamW(model.parameters(), lr=s.lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True)

    generator = torch.Generator().manual_seed(s.seed)
    run, worse = Run(Clock(device)), 0
    order = torch.randperm(len(items), generator=generator)
    if s.resume:
        state = read_checkpoint(Path(s.resume), device)
        if state["sizes"] != sizes.to_dict():
            raise UsageError(f"{s.resume}: a checkpoint of a model of other sizes")
        run = resume_run(state, device, model=model, average=average, optimiser=optimiser)
        generator.set_state(state["generator"])
        order, worse = state["order"], state["worse"]

    def save(suffix: str) -> None:
        save_run(
            out.with_suffix(suffix), run, s, model=model, average=average, optimiser=optimiser, generator=generator,
            order=order, worse=worse, sizes=sizes.to_dict(),
        )  # fmt: skip

    half = has_fast_bfloat16(device)
    per_epoch = max(1, len(items) // s.batch)
    line = ProgressLine(run)
    while True:
        done = run.done(s)
        finished = done >= 1
        for group in optimiser.param_groups:
            group["lr"] = s.lr * learning_rate_factor(run.step, s.warmup, done, s.final_lr)

        if finished or run.is_to_validate(s):
            row, better = run.note({n: validate(average, x, s.beta, s.seed) for n, x in fixed.items()}, out)
            worse = 0 if better else worse + 1
            if better:
                save(".best")
            print(
                f"\nstep {run.step} {row['minutes']:.1f} min: validation {row['validation_bits_per_dimension']:.4f} bits per "
                f"dimension (KL {row['validation_kl']:.4f}), train {row['train_bits_per_dimension']:.4f}, "
                f"{row['validation_active_units']:.0f} of {sizes.latents} dimensions active",
                file=sys.stderr, flush=True,
            )  # fmt: skip
            if s.patience and worse >= s.patience:
                print(f"stopped: no better validation for {worse} of them", file=sys.stderr, flush=True)
                finished = True
        if run.is_to_save(s) or finished:
            save(".checkpoint")
        if finished:
            break

        at = run.step % per_epoch
        if at == 0 and run.step:
            order = torch.randperm(len(items), generator=generator)
        x = items[order[at * s.batch : (at + 1) * s.batch]]
        beta = s.beta * min(1.0, (run.step + 1) / s.beta_warmup) if s.beta_warmup else s.beta
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            terms = model.terms(x, generator)
        # Per value of an item, so that learning rate and clipping mean the same for items of every size.
        loss = loss_of(terms, beta, s.free_bits) / sizes.size
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = step_or_skip(run, optimiser, [*model.parameters()], s.clip)
        update_ema(average, model, run.step, s.ema)
        if line.is_due():
            line.show(done, f"loss {float(loss.detach()):.4f} nats per dimension", norm)
    print(file=sys.stderr)
    finish(s, out, items, fixed["validation"])


def finish(s: VaeTrainSettings, out: Path, items: Tensor, held_out: Tensor) -> None:
    """Takes the best moving average and makes the exact weights file of it."""
    from vaecodec.vae.export import export_vae

    best = read_checkpoint(out.with_suffix(".best"), torch.device("cpu"))
    model = VaeModel(VaeSettings.from_dict(best["sizes"]), s.noise)
    model.load_state_dict(best["average"])
    model.eval()
    bits = kl_per_dimension(model, held_out)
    if model.settings.variational:
        active = sum(value > ACTIVE_BITS for value in bits)
        print(f"KL per dimension, bits: {' '.join(f'{value:.2f}' for value in bits)}; {active} active", file=sys.stderr)
    card = {
        "steps": best["step"], "minutes": round(best["minutes"], 1), "beta": s.beta, "family": s.family,
        "preset": s.preset, "kl_bits": [round(value, 3) for value in bits],
        "validation_bits_per_dimension": round(best["history"][-1]["validation_bits_per_dimension"], 4),
    }  # fmt: skip
    export_vae(model, items, out, card=card)


if __name__ == "__main__":
    try:
        main()
    except UsageError as error:
        sys.exit(f"vaecodec: {error}")
