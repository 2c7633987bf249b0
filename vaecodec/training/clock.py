"""How long a run computes: the clock, and the learning rate over time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch


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
