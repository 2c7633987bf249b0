"""Settings of a trainer as a dataclass: every field is an option with its help, here and in ``vaecodec train``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from vaecodec.errors import UsageError


def setting(default: Any, help: str) -> Any:
    """A field of the settings, with the sentence that ``--help`` prints."""
    return field(default=default, metadata={"help": help})


@dataclass
class RunSettings:
    """What every run depends on; trainers add their own, and other defaults. ``data`` and ``out`` have no default."""

    data: str = setting(MISSING, "what to train on")
    out: str = setting(MISSING, "weights file to write (.safetensors)")
    validation: str = setting("", "what to validate on; empty: a part of DATA is held out")
    steps: int = setting(0, "stop after this many steps")
    minutes: float = setting(0.0, "stop after this many minutes of processor time (wall clock on a GPU)")
    lr: float = setting(2e-3, "highest learning rate (AdamW)")
    warmup: int = setting(100, "steps of linear warm-up")
    final_lr: float = setting(0.02, "learning rate at the end of the cosine, as a part of the highest")
    ema: float = setting(0.999, "decay of the moving average that is validated and shipped")
    clip: float = setting(1.0, "largest norm of the gradient")
    seed: int = setting(1, "seed of weights, batches and noise")
    threads: int = setting(1, "threads; two that share cores with other work are slower than one")
    resume: str = setting("", "checkpoint to go on from (OUT with the suffix .checkpoint)")
    save_every: float = setting(5.0, "minutes of wall clock between checkpoints")
    validate_every: int = setting(1000, "steps between validations")

    def check_length(self) -> None:
        """Raises UsageError unless either steps or minutes are given."""
        if bool(self.steps) == bool(self.minutes):
            raise UsageError("say how long to train: either --steps or --minutes")


def parse_settings(settings: type[Any], prog: str, description: str, arguments: Sequence[str] | None) -> Any:
    """A command line -> settings; ``data`` is its argument, ``out`` is -o, every other field an option."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    for f in fields(settings):
        text = f.metadata["help"]
        if f.name == "data":
            parser.add_argument("data", help=text)
        elif f.name == "out":
            parser.add_argument("-o", "--out", required=True, help=text)
        else:
            kind = type(f.default)
            parser.add_argument(
                "--" + f.name.replace("_", "-"), type=kind, default=f.default, help=f"{text} [%(default)s]"
            )
    return settings(**vars(parser.parse_args(arguments)))
