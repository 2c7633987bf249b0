"""``vaecodec train``: a model of one's own, from a folder of pictures.

The options are the fields of the trainer's settings, read from the dataclass itself, so that there is one list of them.
"""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

import click

# The fields that DIR and -o fill.
_DATA, _OUT = "data", "out"


class _TrainCommand(click.Command):
    """Finds its options when they are needed: the trainer imports torch."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if not self.params:
            from vaecodec.training.image import TrainSettings

            self.params = _parameters(TrainSettings)
        return super().get_params(ctx)


@click.command("train", cls=_TrainCommand)
def command(**settings: Any) -> None:
    """Train a model on the pictures in DIR and write its weights."""
    from vaecodec.training.image import TrainSettings, train

    train(TrainSettings(**settings))


def _parameters(settings: type[Any]) -> list[click.Parameter]:
    """Returns a parameter for every field of a dataclass: its name, type, default and ``metadata["help"]``."""
    types = get_type_hints(settings)
    parameters: list[click.Parameter] = []
    for field in dataclasses.fields(settings):
        text = field.metadata.get("help", "")
        if field.name == _DATA:
            parameters.append(click.Argument([field.name], metavar="DIR"))
            continue
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        default: Any = None
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        names = ["-o", "--out"] if field.name == _OUT else ["--" + field.name.replace("_", "-")]
        options: dict[str, Any] = {"required": required, "help": text, "show_default": default not in (None, "")}
        if types[field.name] is bool:
            names[-1] += f"/--no-{names[-1].removeprefix('--')}"
        else:
            options["type"] = types[field.name]
        if not required:
            options["default"] = default
        parameters.append(click.Option([*names, field.name], **options))
    return parameters
