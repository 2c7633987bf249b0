"""``vaecodec train``: a model of one's own, from a folder of pictures, or with ``--family`` from an array of small items.

The options are the fields of the trainer's settings, read from the dataclass itself, so that there is one list of them. There
are two trainers; which one is asked for decides which options there are, so ``--family`` is looked for first.
"""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

import click

from vaecodec.cli.help import Command, Option, complete_path
from vaecodec.cli.options import PathName

# The fields that DIR and -o fill.
_DATA, _OUT = "data", "out"
_FAMILY = "--family"

_IMAGE_SECTIONS = {
    "Data and weights": ("out", "validation", "init", "resume", "save_every"),
    "What is trained": ("preset", "quality", "tilt", "tune", "squared", "power", "colour", "contrast", "graphics"),
    "How long": ("minutes", "steps"),
    "Optimiser": ("batch", "crop", "lr", "lr_linear", "warmup", "final_lr", "ema", "clip", "seed"),
    "Validation": ("validate_every", "validation_pictures"),
    "Machine": ("device", "threads"),
}
_VAE_SECTIONS = {
    "Data and weights": ("out", "validation", "limit", "resume", "save_every"),
    "What is trained": (
        "family",
        "preset",
        "latents",
        "widths",
        "likelihood",
        "noise",
        "beta",
        "beta_warmup",
        "free_bits",
    ),
    "How long": ("minutes", "steps", "patience"),
    "Optimiser": ("batch", "lr", "warmup", "final_lr", "ema", "clip", "seed"),
    "Validation": ("validate_every", "validation_items"),
    "Machine": ("threads",),
}


class _TrainCommand(Command):
    """Finds its options when they are needed: there are two trainers."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = any(argument == _FAMILY or argument.startswith(f"{_FAMILY}=") for argument in args)
        self.params = _vae_parameters() if named else _image_parameters()
        self.sections = _VAE_SECTIONS if named else _IMAGE_SECTIONS
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if not self.params:
            self.params = _image_parameters()
        return super().get_params(ctx)


@click.command(
    "train",
    cls=_TrainCommand,
    short_help="Train a model on your pictures.",
    examples="""
vaecodec train photos/ -o mine.safetensors --minutes 480
vaecodec train photos/ -o mine.safetensors --resume mine.checkpoint
vaecodec train --family vae items.npy -o small.safetensors --minutes 5
""",
    example_mark="not run: trains for a night",
)
def command(**settings: Any) -> None:
    """Train a model on the pictures in DIR and write its weights.

    With --family vae or --family ae, an autoencoder of small items: DIR is an IDX, .npy or .npz file or a folder of small
    pictures, and "vaecodec train --family vae --help" lists the options.
    """
    if "family" in settings:
        from vaecodec.vae.train_settings import VaeTrainSettings
        from vaecodec.vae.training import train_vae

        train_vae(VaeTrainSettings(**settings))
        return
    from vaecodec.training.image import train
    from vaecodec.training.settings import TrainSettings

    train(TrainSettings(**settings))


def _image_parameters() -> list[click.Parameter]:
    from vaecodec.training.settings import TrainSettings

    return _parameters(TrainSettings)


def _vae_parameters() -> list[click.Parameter]:
    from vaecodec.vae.train_settings import VaeTrainSettings

    return _parameters(VaeTrainSettings)


def _parameters(settings: type[Any]) -> list[click.Parameter]:
    """Returns a parameter for every field of a dataclass: its name, type, default and ``metadata["help"]``."""
    types = get_type_hints(settings)
    parameters: list[click.Parameter] = []
    for field in dataclasses.fields(settings):
        text = field.metadata.get("help", "")
        if field.name == _DATA:
            parameters.append(
                click.Argument([field.name], metavar="DIR", type=PathName(), shell_complete=complete_path)
            )
            continue
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        default: Any = None
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        names = ["-o", "--out"] if field.name == _OUT else ["--" + field.name.replace("_", "-")]
        options: dict[str, Any] = {"required": required, "help": text[:1].upper() + text[1:] + "."}
        if types[field.name] is bool:
            names[-1] += f"/--no-{names[-1].removeprefix('--')}"
        else:
            options["type"] = types[field.name]
        if not required:
            options["default"] = default
        parameters.append(Option([*names, field.name], **options))
    return parameters
