"""Trains the image model: a folder of pictures in, a weights file out.

    vaecodec train photos/ -o mine.safetensors --minutes 480          # one processor, over night
    torchrun --nproc-per-node 4 -m vaecodec.training.image photos/ -o mine.safetensors --steps 200000

Reads from top to bottom: settings, data, model, optimiser, the loop, validation, checkpoints. Needs torch, numpy, Pillow
and safetensors only, so it runs from a plain copy of the source tree. In steps (``--steps``) a run that is interrupted
and resumed equals one that was not, bit for bit, on one device; in minutes the learning rate follows the clock.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor, nn

from vaecodec.errors import UsageError
from vaecodec.models.device import pick_device
from vaecodec.models.image import ImageModel
from vaecodec.models.memory import keep_all_freed_memory
from vaecodec.models.perceptual import Distortion
from vaecodec.models.precision import has_fast_bfloat16
from vaecodec.models.settings import PRESETS, ImageSettings
from vaecodec.models.tunes import TUNES
from vaecodec.models.weights import FORMAT, load_weights
from vaecodec.picture_files import find_plain_pictures
from vaecodec.training.checkpoints import read_checkpoint, unpack, update_ema
from vaecodec.training.from_weights import floats_of
from vaecodec.training.graphics import draw_graphics
from vaecodec.training.grow import fit_new_latents, grow, lay_out_qualities
from vaecodec.training.klt import initialise_with_klt, linear_path
from vaecodec.training.losses import distortion_of, losses
from vaecodec.training.options import parse_settings
from vaecodec.training.pictures import CropSampler, calibration_crops, load_rgb
from vaecodec.training.run import Clock, ProgressLine, Run, learning_rate_factor, resume_run, save_run, step_or_skip
from vaecodec.training.settings import TrainSettings

VALIDATION_QUALITIES = (0.0, 0.25, 0.5, 0.75, 1.0)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of ``python -m vaecodec.training.image``: one option for every field of the settings."""
    train(parse_settings(TrainSettings, "vaecodec.training.image", __doc__.split("\n")[0], arguments))


@torch.no_grad()
def validate(
    model: ImageModel, crops: Tensor, distortion: Distortion, qualities: Sequence[float] = VALIDATION_QUALITIES
) -> dict[str, float]:
    """The loss with real rounding on fixed crops at fixed qualities (0..1), and rate and PSNR at each."""
    model.eval()
    row: dict[str, float] = {}
    total = 0.0
    for quality in qualities:
        parts = []
        for x in torch.split(crops, 4):
            q = torch.full((len(x),), quality, device=x.device)
            parts.append(losses(model, x, q, distortion, quantise=True))
        mean_loss = float(torch.cat([p.loss for p in parts]).mean())
        total += mean_loss / len(qualities)
        name = f"q{round(100 * quality)}"
        row[f"bpp_{name}"] = float(torch.cat([p.bpp for p in parts]).mean())
        row[f"z_{name}"] = float(torch.cat([p.bpp_z for p in parts]).mean())
        row[f"score_{name}"] = float(torch.cat([p.score for p in parts]).mean())
        row[f"psnr_{name}"] = float((10 * torch.log10(255.0**2 / torch.cat([p.mse for p in parts]))).mean())
    model.train()
    return {"loss": total, **row}


def resume_random_numbers(
    state: Mapping[str, Any], generator: torch.Generator, device: torch.device, other: int | None
) -> None:
    """Random numbers go on where the checkpoint left those of the process that wrote it.

    ``other`` is None for that process; for any other it is a seed of its own: it draws crops that nobody else draws.
    """
    if other is not None:
        fresh = other + 1_000_003 * (1 + int(state["step"]))
        generator.manual_seed(fresh)
        torch.manual_seed(fresh)
        return
    generator.set_state(state["generator"].cpu())
    torch.set_rng_state(state["noise"].cpu())
    if device.type == "cuda" and "noise_cuda" in state:
        torch.cuda.set_rng_state(state["noise_cuda"].cpu(), device)


def average_gradients(parameters: Sequence[nn.Parameter], world: int) -> None:
    """The mean over all processes: one flat message."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= world
    for g, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        g.copy_(part.view_as(g))


def fixed_crops(paths: Sequence[Path], count: int, size: int) -> Tensor:
    """The middle of ``count`` pictures spread over the list: uint8 [N, size, size, 3]."""
    crops = []
    for path in paths:
        picture = load_rgb(path)
        H, W = picture.shape[:2]
        if min(H, W) >= size:
            crops.append(picture[(H - size) // 2 :][:size, (W - size) // 2 :][:, :size])
    if not crops:
        raise UsageError(f"no picture for validation has both sides of at least {size} pixels: lower --crop")
    return torch.stack(crops[:: max(1, len(crops) // count)][:count])


# One long function on purpose: a run reads from top to bottom.
def train(settings: TrainSettings) -> None:
    """Runs the training that the settings describe; writes OUT, OUT.checkpoint, OUT.csv and OUT.png as it goes."""
    s = settings
    s.check_length()
    if s.crop % 64 or s.preset not in PRESETS:
        raise UsageError(f"--crop must be a multiple of 64 and --preset one of {', '.join(PRESETS)}")
    if s.tilt <= 0:
        raise UsageError("--tilt is above 0")
    if s.tune not in TUNES:
        raise UsageError(f"--tune is one of {', '.join(TUNES)}")
    if s.quality > 100:
        raise UsageError("--quality is 0 to 100, or below 0 for all of them")
    distortion = Distortion.of(distortion_of(asdict(s)))
    qualities = VALIDATION_QUALITIES if s.quality < 0 else (s.quality / 100,)
    torch.set_num_threads(s.threads)
    keep_all_freed_memory()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    device = pick_device(s.device)
    if world > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    out = Path(s.out)

    # Data: everything decoded once, held on the device.
    paths = find_plain_pictures(Path(s.data))
    if not paths:
        raise UsageError(f"{s.data}: no pictures here")
    held_out = find_plain_pictures(Path(s.validation)) if s.validation else paths[10::20]
    paths = [p for p in paths if p not in set(held_out)]
    if not paths or not held_out:
        raise UsageError(f"{s.data}: too few pictures to hold some out; give --validation")
    sampler = CropSampler([load_rgb(p) for p in paths], smallest=s.crop, device=device)
    fixed = {
        "validation": fixed_crops(held_out, s.validation_pictures, s.crop).to(device),
        "train": fixed_crops(paths, s.validation_pictures, s.crop).to(device),
    }

    # Model, its moving average, optimiser.
    torch.manual_seed(s.seed)
    model = ImageModel(PRESETS[s.preset])
    crops = sampler.draw(256, s.crop, torch.Generator().manual_seed(s.seed)).cpu()
    klt = initialise_with_klt(model, crops)
    if s.init:
        start, sizes = read_average(Path(s.init))
        if sizes:
            start = lay_out_qualities(start, sizes, model.settings)
        new = grow(model, start)
        if new:
            fit_new_latents(model, crops[:96], new)
    model.to(device)
    average = ImageModel(model.settings).to(device)
    average.load_state_dict(model.state_dict())
    slow = linear_path(model)
    taken = {id(p) for p in slow}
    rest = [p for p in model.parameters() if id(p) not in taken]
    optimiser = torch.optim.AdamW(
        [{"params": rest, "lr": s.lr}, {"params": slow, "lr": s.lr_linear}],
        betas=(0.9, 0.98), weight_decay=0.0, fused=True,
    )  # fmt: skip

    # Random numbers: crops and qualities from one generator of this process, noise from torch's own.
    generator = torch.Generator().manual_seed(s.seed * 1000 + rank)
    torch.manual_seed(s.seed * 1000 + rank)
    run = Run(Clock(device))
    if s.resume:
        state = read_checkpoint(Path(s.resume), device)
        state["model"].setdefault("log_lambda", model.log_lambda)
        state["average"].setdefault("log_lambda", model.log_lambda)
        run = resume_run(state, device, model=model, average=average, optimiser=optimiser)
        resume_random_numbers(state, generator, device, s.seed * 1000 + rank if rank else None)

    def save(suffix: str) -> None:
        noise = {"noise_cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
        save_run(
            out.with_suffix(suffix), run, s, model=model, average=average, optimiser=optimiser, generator=generator,
            noise=torch.get_rng_state(), sizes=model.settings.to_dict(), discarded=klt["discarded"], **noise,
        )  # fmt: skip

    half = has_fast_bfloat16(device)
    parameters = list(model.parameters())
    recent: list[float] = []
    line = ProgressLine(run)
    while True:
        # How far the run is: the learning rate warms up over steps, then follows a cosine over steps or time.
        done = run.done(s)
        if world > 1 and not s.steps:
            shared = torch.tensor([done], device=device)
            dist.broadcast(shared, 0)
            done = float(shared)
        finished = done >= 1
        factor = learning_rate_factor(run.step, s.warmup, done, s.final_lr)
        for group, rate in zip(optimiser.param_groups, (s.lr, s.lr_linear), strict=True):
            group["lr"] = rate * factor

        if rank == 0 and (finished or run.is_to_validate(s)):
            row, better = run.note({n: validate(average, x, distortion, qualities) for n, x in fixed.items()}, out)
            if better:
                save(".best")
            print(
                f"\nstep {run.step} {row['minutes']:.1f} min: validation {row['validation_loss']:.4f} "
                f"train {row['train_loss']:.4f} | "
                + "  ".join(
                    f"q{q} {row[f'validation_bpp_q{q}']:.3f} ({row[f'validation_z_q{q}']:.3f}) "
                    f"{row[f'validation_psnr_q{q}']:.2f} {row[f'validation_score_q{q}']:.1f}"
                    for q in (round(100 * quality) for quality in qualities)
                ),
                file=sys.stderr, flush=True,
            )  # fmt: skip
        if rank == 0 and (run.is_to_save(s) or finished):
            save(".checkpoint")
        if finished:
            break

        x = sampler.draw(s.batch, s.crop, generator)
        for i in (torch.rand(s.batch, generator=generator) < s.graphics).nonzero().flatten().tolist():
            x[i] = draw_graphics(s.crop, generator).to(device)
        # Qualities are spread evenly over the batch, one at random in each of its parts.
        q = ((torch.arange(s.batch) + torch.rand(s.batch, generator=generator)) / s.batch).to(device)
        q = q**s.tilt
        if s.quality >= 0:
            q = torch.full_like(q, s.quality / 100)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            parts = losses(model, x, q, distortion, quantise=False)
        loss = parts.loss.mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if world > 1:
            average_gradients(parameters, world)
        norm = step_or_skip(run, optimiser, parameters, s.clip)
        update_ema(average, model, run.step, s.ema)

        recent.append(float(loss.detach()))
        if rank == 0 and line.is_due():
            text = (
                f"loss {sum(recent) / len(recent):.4f}  rate {float(parts.bpp.detach().mean()):.3f} bpp  distortion "
                f"{float(parts.mse.detach().mean()):.1f} MSE  {line.steps_per_second() * s.batch * world:.1f} pictures/s"
            )
            line.show(done, text, norm)
            recent = []
    if rank == 0:
        print(file=sys.stderr)
        finish(s, out, average)
    if world > 1:
        dist.destroy_process_group()


def finish(s: TrainSettings, out: Path, average: ImageModel) -> None:
    """Takes the best moving average and makes the exact weights file of it."""
    from vaecodec.models.export import export_weights

    best = read_checkpoint(out.with_suffix(".best"), torch.device("cpu"))
    model = average.cpu()
    model.load_state_dict(best["average"])
    card = {"steps": best["step"], "minutes": round(best["minutes"], 1)}
    crops = calibration_crops(Path(s.data))
    export_weights(model, crops, out, tune=s.tune, trained_for=distortion_of(asdict(s)), card=card)


def read_average(path: Path) -> tuple[dict[str, Tensor], ImageSettings | None]:
    """The moving average of a checkpoint, or of the file that ``export_checkpoint --average`` wrote, or floats of weights; and the sizes."""
    if path.suffix != ".safetensors":
        checkpoint = read_checkpoint(path, torch.device("cpu"))
        return checkpoint["average"], ImageSettings.from_dict(checkpoint["sizes"])
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    if metadata.get("format") == FORMAT:
        return floats_of(load_weights(path))
    sizes = metadata.get("sizes")
    state = unpack(safetensors.torch.load_file(path))
    return state, None if sizes is None else ImageSettings.from_dict(json.loads(sizes))


if __name__ == "__main__":
    try:
        main()
    except UsageError as error:
        sys.exit(f"vaecodec: {error}")
