"""What every trainer's loop is made of: where a run is, its checkpoints, steps that are skipped, the line that shows progress.

The loops themselves are in ``training/image.py`` and ``vae/training.py``, each from top to bottom.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vaecodec.errors import UsageError
from vaecodec.training.checkpoints import save_checkpoint
from vaecodec.training.curves import write_history
from vaecodec.training.options import RunSettings

_MOST_SKIPPED = 100
"""So many steps may be without a finite gradient before their share counts: the first steps of a run are wild."""
_SHOWN_EVERY = 2.0
"""Seconds between two lines of progress."""


class Clock:
    """Processor time on a processor, wall clock on a GPU, in minutes; goes on from where a checkpoint left it."""

    def __init__(self, device: torch.device, before: float = 0.0) -> None:
        self.now: Callable[[], float] = time.process_time if device.type == "cpu" else time.perf_counter
        self.start = self.now() - before * 60

    def minutes(self) -> float:
        """Minutes used by this run, those before the checkpoint included."""
        return (self.now() - self.start) / 60


def learning_rate_factor(step: int, warmup: int, done: float, final: float) -> float:
    """Linear warm-up over steps, then a cosine from 1 to ``final`` as ``done`` goes from 0 to 1."""
    return min(1.0, (step + 1) / warmup) * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


@dataclass
class Run:
    """Where a run is; all of it is in its checkpoints.

    Attributes:
        clock: the time that it has used.
        step: steps taken, those included that were skipped.
        skipped: steps without a finite gradient.
        best: the lowest loss of a validation.
        history: a row for each validation.
    """

    clock: Clock
    step: int = 0
    skipped: int = 0
    best: float = math.inf
    history: list[dict[str, float]] = field(default_factory=list)
    saved_at: float = field(default_factory=time.perf_counter)

    def done(self, s: RunSettings) -> float:
        """How far it is, 0 to 1, by steps or by the clock."""
        return self.step / s.steps if s.steps else self.clock.minutes() / s.minutes

    def is_to_validate(self, s: RunSettings) -> bool:
        """Whether a validation is due that was not made before the checkpoint."""
        return self.step % s.validate_every == 0 and (not self.history or self.history[-1]["step"] < self.step)

    def is_to_save(self, s: RunSettings) -> bool:
        """Whether a checkpoint is due; then the time until the next one begins."""
        due = time.perf_counter() - self.saved_at > 60 * s.save_every
        if due:
            self.saved_at = time.perf_counter()
        return due

    def note(self, validations: dict[str, dict[str, float]], out: Path) -> tuple[dict[str, float], bool]:
        """Takes a validation into the history and writes that beside the output; returns its row, and whether it is the best one.

        Args:
            validations: figures, ``loss`` among them, for ``validation`` and ``train``.
            out: the weights file to be written.
        """
        row: dict[str, float] = {"step": self.step, "minutes": self.clock.minutes()}
        for name, figures in validations.items():
            row |= {f"{name}_{key}": value for key, value in figures.items()}
        self.history.append(row)
        write_history(out, self.history, "loss")
        better = row["validation_loss"] < self.best
        self.best = min(self.best, row["validation_loss"])
        return row, better


def save_run(
    path: Path,
    run: Run,
    s: RunSettings,
    *,
    model: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    **more: Any,
) -> None:
    """Writes a checkpoint: all that a run needs to go on, and ``more`` of what is the trainer's own."""
    state = {
        "model": model.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict(),
        "generator": generator.get_state(), "step": run.step, "skipped": run.skipped, "best": run.best,
        "history": run.history, "minutes": run.clock.minutes(), "settings": asdict(s),
    }  # fmt: skip
    save_checkpoint(state | more, path)


def resume_run(
    state: dict[str, Any],
    device: torch.device,
    *,
    model: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
) -> Run:
    """Goes on from a checkpoint, but for the random numbers."""
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    return Run(Clock(device, state["minutes"]), state["step"], state["skipped"], state["best"], state["history"])


def step_or_skip(run: Run, optimiser: torch.optim.Optimizer, parameters: Sequence[Tensor], clip: float) -> float:
    """One step along the gradients, none where they are not finite; returns their norm before it was clipped.

    Raises:
        UsageError: more than a tenth of all steps were skipped.
    """
    norm = torch.nn.utils.clip_grad_norm_(parameters, clip)
    if bool(torch.isfinite(norm)):
        optimiser.step()
    else:
        run.skipped += 1
        if run.skipped > _MOST_SKIPPED and run.skipped > run.step / 10:
            raise UsageError(f"more than a tenth of {run.step} steps had no finite gradient: lower the learning rate")
    run.step += 1
    return float(norm)


class ProgressLine:
    """One line on standard error, written over every two seconds; only on a terminal."""

    def __init__(self, run: Run) -> None:
        self._run, self._step, self._at = run, run.step, time.perf_counter()

    def is_due(self) -> bool:
        """Whether there is a terminal, and the last line is old."""
        return sys.stderr.isatty() and time.perf_counter() - self._at > _SHOWN_EVERY

    def steps_per_second(self) -> float:
        """Since the last line."""
        return (self._run.step - self._step) / (time.perf_counter() - self._at)

    def show(self, done: float, text: str, norm: float) -> None:
        """Shows how far the run is, 0 to 1, a text, and the norm of the gradient."""
        print(
            f"\r[{'#' * round(20 * done):<20}] {100 * done:5.1f} %  step {self._run.step}  {text}  gradient {norm:.3f}  "
            f"skipped {self._run.skipped} ",
            end="", file=sys.stderr, flush=True,
        )  # fmt: skip
        self._at, self._step = time.perf_counter(), self._run.step
