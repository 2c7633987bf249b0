"""Trains the image model on one GPU, many times faster than the trainer's own loop: the whole step is one CUDA graph.

    python -m bench.studies.train_on_gpu DATA VAL -o mine.checkpoint --init START.checkpoint --minutes 11
    python -m vaecodec.training.export_checkpoint mine.checkpoint DATA -o mine.safetensors

A step of the image model is two thousand small kernels; started one by one they take longer to start than to run. A graph starts them at
once, so nothing in a step may ask the GPU for a number. All pictures lie in one buffer of 4-byte pixels, each also at 0.8 and 0.62 of its
size; a crop, flipped and turned, is one gather from it. Lettering and graphics are drawn by other processes beforehand. A part of the
crops gets other colours: channels exchanged, mixed, or nearly one colour. The learning rate follows the clock. On a processor it runs too,
without the graph: to try it.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vaecodec.models.device import pick_device
from vaecodec.models.image import ImageModel
from vaecodec.models.perceptual import Distortion
from vaecodec.models.precision import has_fast_bfloat16
from vaecodec.models.settings import PRESETS
from vaecodec.picture_files import find_plain_pictures
from vaecodec.training.checkpoints import save_checkpoint
from vaecodec.training.graphics import draw_graphics
from vaecodec.training.grow import grow, lay_out_qualities
from vaecodec.training.image import fixed_crops, read_average, validate
from vaecodec.training.klt import linear_path
from vaecodec.training.losses import distortion_of, losses
from vaecodec.training.pictures import load_rgb
from vaecodec.training.run import learning_rate_factor
from vaecodec.training.settings import TrainSettings

SCALES = (1.0, 0.8, 0.62)
"""Of the copies of each picture; the first is drawn as often as both others together, twice over."""
VALIDATIONS = 6
STEPS_AHEAD = 3
"""Steps that are queued on the GPU before the processor waits."""

Floats = npt.NDArray[np.floating[Any]]


def drawn_graphics(seed: int, side: int) -> npt.NDArray[np.uint8]:
    """Eight crops of lettering and graphics: uint8 [8, side, side, 3]."""
    generator = torch.Generator().manual_seed(seed)
    return np.stack([draw_graphics(side, generator).numpy() for _ in range(8)])


class Crops:
    """All pictures in one buffer on a device, and crops from it by one gather."""

    def __init__(self, side: int, device: torch.device) -> None:
        self.side, self.device = side, device
        self._parts: list[Tensor] = []
        self._used = 0
        self._places: list[tuple[int, int, int, float]] = []
        self._graphics: list[int] = []

    def _put(self, picture: Tensor) -> int:
        rgb = picture.to(self.device).reshape(-1, 3)
        self._parts.append(F.pad(rgb, (0, 1)).contiguous().view(torch.int32).reshape(-1))
        start, self._used = self._used, self._used + len(rgb)
        return start

    def add(self, picture: Tensor) -> None:
        """Takes a picture, uint8 [H, W, 3], and its smaller copies that have both sides of a crop."""
        H, W = picture.shape[:2]
        sizes = [(round(H * scale), round(W * scale)) for scale in SCALES]
        sizes = [size for size in sizes if min(size) >= self.side]
        planes = picture.to(self.device).permute(2, 0, 1)[None].float()
        for number, (h, w) in enumerate(sizes):
            copy = planes if number == 0 else F.interpolate(planes, (h, w), mode="bilinear", antialias=True)
            start = self._put(copy[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8))
            share = 1.0 if len(sizes) == 1 else 2 / 3 if number == 0 else 1 / 3 / (len(sizes) - 1)
            self._places.append((start, h, w, math.sqrt(H * W) * share))

    def add_graphics(self, crops: npt.NDArray[np.uint8]) -> None:
        """Takes crops that are drawn as they are: uint8 [N, side, side, 3]."""
        self._graphics += [self._put(torch.from_numpy(crop)) for crop in crops]

    def finish(self) -> None:
        """Makes the buffer of what was taken."""
        self.buffer = torch.cat(self._parts)
        self._parts.clear()
        start, height, width, weight = zip(*self._places, strict=True)
        self._start, self._height, self._width = (np.array(v, np.int64) for v in (start, height, width))
        self._weight = np.array(weight) / sum(weight)

    def draw(self, count: int, graphics: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Where crops lie in the buffer: the first pixel, the step to the next row, the step to the next column, [count, 3]."""
        chosen = rng.choice(len(self._weight), count, p=self._weight)
        last, width = self.side - 1, self._width[chosen]
        top = rng.integers(0, self._height[chosen] - last)
        first, down, right = (
            self._start[chosen] + top * width + rng.integers(0, width - last),
            width,
            np.ones_like(width),
        )
        upside, mirrored = rng.random((2, count)) < 0.5
        first, down = np.where(upside, first + last * down, first), np.where(upside, -down, down)
        first, right = np.where(mirrored, first + last * right, first), np.where(mirrored, -right, right)
        turn = rng.random(count) < 0.5
        down, right = np.where(turn, right, down), np.where(turn, down, right)
        if self._graphics:
            is_drawn, which = rng.random(count) < graphics, rng.choice(self._graphics, count)
            first, down, right = (
                np.where(is_drawn, one, other) for one, other in ((which, first), (self.side, down), (1, right))
            )
        return np.stack([first, down, right], 1)

    def at(self, places: Tensor, colours: Tensor) -> Tensor:
        """Crops, [B, side, side, 3] of whole numbers 0..255, float32.

        Args:
            places: int64 [B, 3], see :meth:`draw`.
            colours: [B, 3, 3], what a crop's colours are multiplied by.
        """
        steps = torch.arange(self.side, device=self.device)
        index = places[:, :1, None] + places[:, 1:2, None] * steps[:, None] + places[:, 2:, None] * steps
        rgb = self.buffer[index].view(torch.uint8).view(*index.shape, 4)[..., :3].float()
        return torch.einsum("bhwc,bdc->bhwd", rgb, colours).round().clamp(0, 255)


def colour_changes(count: int, share: float, rng: np.random.Generator) -> Floats:
    """Matrices for colours, [count, 3, 3]: the identity but for a share that exchanges channels, mixes them, or leaves nearly one colour."""
    matrices = np.tile(np.eye(3), (count, 1, 1))
    for number in np.flatnonzero(rng.random(count) < share):
        kind = rng.random()
        if kind < 0.35:
            matrices[number] = np.eye(3)[rng.permutation(3)]
        elif kind < 0.7:
            tint = rng.uniform(0.25, 1.0, 3)
            tint /= tint.max()
            keep = rng.uniform(0, 0.4) * (rng.random() < 0.5)
            one_colour = np.outer(tint, (0.299, 0.587, 0.114))
            matrices[number] = (1 - keep) * one_colour + keep * tint.mean() * np.eye(3)
        else:
            mixed = np.eye(3) + rng.normal(0, 0.25, (3, 3))
            matrices[number] = mixed / mixed.sum(1, keepdims=True).clip(0.5)
    return matrices


def load(data: Sequence[Path], crops: Crops, graphics: int, seed: int) -> None:
    """Decodes pictures and draws graphics, in as many processes as there are processors."""
    with multiprocessing.get_context("spawn").Pool() as pool:
        batches = [(seed * 10**6 + number, crops.side) for number in range(math.ceil(graphics / 8))]
        drawn = pool.starmap_async(drawn_graphics, batches, chunksize=16)
        for picture in pool.imap_unordered(load_rgb, data):
            if min(picture.shape[:2]) >= crops.side:
                crops.add(picture)
        for batch in drawn.get():
            crops.add_graphics(batch)
    crops.finish()


# One long function on purpose: a run reads from top to bottom.
@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.argument("validation", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Checkpoint to write.")
@click.option("--init", type=click.Path(path_type=Path), required=True, help="Checkpoint or weights to start from.")
@click.option("--preset", type=click.Choice(list(PRESETS)), default="eye", show_default=True)
@click.option("--minutes", default=11.0, show_default=True)
@click.option("--batch", default=24, show_default=True)
@click.option("--crop", default=256, show_default=True)
@click.option("--lr", default=2.5e-3, show_default=True)
@click.option("--lr-linear", default=1.5e-4, show_default=True)
@click.option("--warmup", default=400, show_default=True)
@click.option("--final-lr", default=0.01, show_default=True)
@click.option("--ema", default=0.999, show_default=True)
@click.option("--tilt", default=1.2, show_default=True)
@click.option("--graphics", default=0.18, show_default=True, help="Part of the crops that are lettering and graphics.")
@click.option("--drawn", default=16_000, show_default=True, help="Crops of graphics to draw beforehand.")
@click.option("--colours", default=0.1, show_default=True, help="Part of the crops that get other colours.")
@click.option("--seed", default=77, show_default=True)
@click.option("--device", default="auto", show_default=True)
def main(data: Path, validation: Path, out: Path, init: Path, device: str, **options: Any) -> None:
    """Trains on the pictures in DATA, judges on those in VALIDATION."""
    o, where = options, pick_device(device)
    on_gpu = where.type == "cuda"
    rng = np.random.default_rng(o["seed"])
    torch.manual_seed(o["seed"])
    shared = {name: o[name] for name in ("minutes", "lr", "lr_linear", "warmup", "final_lr", "ema", "tilt", "graphics", "preset", "batch", "crop", "seed")}  # fmt: skip
    settings = TrainSettings(data=str(data), out=str(out), validation=str(validation), init=str(init), **shared)
    distortion = Distortion.of(distortion_of(asdict(settings)))

    paths = find_plain_pictures(data)
    fixed = {
        name: fixed_crops(pictures, 12, o["crop"]).to(where)
        for name, pictures in (("validation", find_plain_pictures(validation)), ("train", paths))
    }
    crops = Crops(o["crop"], where)
    load(paths, crops, o["drawn"], o["seed"])

    start, sizes = read_average(init)
    model = ImageModel(PRESETS[o["preset"]])
    grow(model, start if sizes is None else lay_out_qualities(start, sizes, model.settings))
    model.to(where).train()
    average = ImageModel(model.settings).to(where)
    average.load_state_dict(model.state_dict())
    slow = linear_path(model)
    taken = {id(p) for p in slow}
    parameters: list[Tensor] = list(model.parameters())
    shadow: list[Tensor] = list(average.parameters())
    rates = [torch.zeros((), device=where) for _ in range(2)]
    optimiser = torch.optim.AdamW(
        [{"params": [p for p in parameters if id(p) not in taken], "lr": rates[0]}, {"params": slow, "lr": rates[1]}],
        betas=(0.9, 0.98), weight_decay=0.0, fused=on_gpu, capturable=on_gpu,
    )  # fmt: skip
    # Set to 1 by a step without finite gradients: the optimiser then leaves everything as it is.
    skip = torch.zeros((), device=where)
    if on_gpu:
        optimiser.found_inf = skip  # type: ignore[attr-defined]
    half = has_fast_bfloat16(where)

    places = torch.zeros(o["batch"], 3, dtype=torch.int64, device=where)
    colours = torch.zeros(o["batch"], 3, 3, device=where)
    qualities = torch.zeros(o["batch"], device=where)
    last_loss = torch.zeros((), device=where)

    def fill() -> None:
        """New crops, colours and qualities for the next step."""
        even = (np.arange(o["batch"]) + rng.random(o["batch"])) / o["batch"]
        drawn = (
            crops.draw(o["batch"], o["graphics"], rng), colour_changes(o["batch"], o["colours"], rng), even ** o["tilt"]
        )  # fmt: skip
        for target, values in zip((places, colours, qualities), drawn, strict=True):
            source = torch.from_numpy(values).to(target.dtype)
            target.copy_(source.pin_memory() if on_gpu else source, non_blocking=True)

    def step() -> None:
        with torch.autocast(where.type, torch.bfloat16, enabled=half):
            parts = losses(model, crops.at(places, colours), qualities, distortion, quantise=False)
        loss = parts.loss.mean()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(parameters, settings.clip, foreach=True)
        skip.copy_(~torch.isfinite(norm))
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(shadow, parameters, 1 - o["ema"])
        last_loss.copy_(loss.detach())

    run_step = step
    if on_gpu:
        run_step = captured(step, fill, model, average, optimiser)
    history: list[dict[str, float]] = []
    began = time.perf_counter()
    done, steps, waiting = 0.0, 0, list[torch.cuda.Event]()
    for steps in itertools.count():
        done = (time.perf_counter() - began) / (60 * o["minutes"])
        if done >= 1 or len(history) <= VALIDATIONS * done:
            history.append({"step": steps, "minutes": done * o["minutes"]})
            for name, x in fixed.items():
                history[-1] |= {f"{name}_{key}": value for key, value in validate(average, x, distortion).items()}
            click.echo(f"step {steps} {history[-1]['minutes']:.1f} min: " + "  ".join(f"{name} {history[-1][f'{name}_loss']:.4f}" for name in fixed) + f"  step's loss {float(last_loss):.3f}")  # fmt: skip
            save_checkpoint(
                {
                    "average": {name: value.cpu() for name, value in average.state_dict().items()},
                    "sizes": model.settings.to_dict(), "step": steps, "minutes": done * o["minutes"],
                    "history": history, "settings": asdict(replace(settings, device=where.type)),
                }, out,
            )  # fmt: skip
        if done >= 1:
            break
        factor = learning_rate_factor(steps, o["warmup"], done, o["final_lr"])
        for rate, highest in zip(rates, (o["lr"], o["lr_linear"]), strict=True):
            rate.fill_(highest * factor)
        fill()
        if not on_gpu:
            optimiser.zero_grad(set_to_none=True)
        run_step()
        if on_gpu:
            waiting.append(torch.cuda.Event())  # type: ignore[no-untyped-call]
            waiting[-1].record()
            if len(waiting) > STEPS_AHEAD:
                waiting.pop(0).synchronize()


def captured(step: Any, fill: Any, model: ImageModel, average: ImageModel, optimiser: torch.optim.Optimizer) -> Any:
    """The step as a CUDA graph; parameters and the optimiser's state are as they were before it was tried."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            fill()
            optimiser.zero_grad(set_to_none=True)
            step()
    torch.cuda.current_stream().wait_stream(side)
    model.load_state_dict(before)
    average.load_state_dict(before)
    for state in optimiser.state.values():
        for value in _tensors(state.values()):
            value.zero_()
    # Gradients are made in the graph's own memory.
    optimiser.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def _tensors(values: Any) -> Iterator[Tensor]:
    return (value for value in values if isinstance(value, Tensor))


if __name__ == "__main__":
    main()
