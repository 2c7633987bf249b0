"""``vaecodec info``: what a file says about itself."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from vaecodec.cli import options
from vaecodec.cli.failures import for_each
from vaecodec.cli.help import Command
from vaecodec.cli.progress import Progress

_WORDS = {None: "none", True: "yes", False: "no"}


@click.command(
    "info",
    cls=Command,
    short_help="Show what is in a file, without decoding its picture.",
    sections={
        "What is shown": ("latents", "as_json"),
        "How": ("models", "device", "backend"),
    },
    examples="""
vaecodec info holiday.vaec
vaecodec info holiday.vaec --latents --json
""",
)
@options.argument("file", metavar="FILE")
@options.option("--latents", is_flag=True, help="Decode the integers too and print their digest.")
@options.models
@options.device
@options.backend
@options.as_json
def command(file: str, latents: bool, models: tuple[str, ...], device: str, backend: str, as_json: bool) -> None:
    """Show what is in a file, without decoding its picture.

    FILE is a .vaec file, or - for a pipe.
    """
    from vaecodec.api import info
    from vaecodec.cli.arrays import is_array_file
    from vaecodec.cli.files import read_input
    from vaecodec.errors import UsageError

    def show(source: str) -> None:
        data = read_input(source)
        if is_array_file(data):
            if latents:
                raise UsageError(f"{source}: holds an array, which has no digest of latents: leave --latents out")
            from vaecodec.vae.arrays import array_info

            facts = array_info(data, models=models)
        else:
            facts = info(data, latents=latents, models=models, device=device, backend=backend)
        if as_json:
            click.echo(json.dumps(facts))
            return
        lines = list(_flat(facts))
        width = max((len(name) for name, _ in lines), default=0)
        for name, value in lines:
            click.echo(f"{name + ':':<{width + 2}}{value}")

    for_each([file], show, progress=Progress(1))


def _flat(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yields names and values; the names of nested ones are joined by dots."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(inner, (dict, list)) for inner in value):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{name}[{index}]")
    elif isinstance(value, (list, tuple)):
        yield name, ", ".join(map(str, value)) or "none"
    else:
        yield name, _word(value)


def _word(value: object) -> str:
    """A value for people: numbers with two decimals at most."""
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
