"""``vaecodec demo``: what this is, on one photograph."""

from __future__ import annotations

from pathlib import Path

import click

from vaecodec.cli import options
from vaecodec.cli.failures import shown
from vaecodec.cli.help import Command
from vaecodec.cli.progress import working


@click.command(
    "demo",
    cls=Command,
    short_help="Compress a photograph, beside JPEG and AVIF at equal bytes.",
    examples="""
vaecodec demo
vaecodec demo -o comparison/ --model psnr
""",
)
@options.path_option("-o", "--output", default="vaecodec-demo", metavar="DIR", help="Folder for the pictures.")
@options.model
@options.device
@options.force
@options.option("--show", is_flag=True, help="Open the picture in your viewer.")
def command(output: str, model: str | None, device: str, force: bool, show: bool) -> None:
    """Compress and restore a photograph, beside JPEG and AVIF at equal bytes."""
    from vaecodec.api import DEFAULT_MODEL, Codec
    from vaecodec.demo import demonstrate
    from vaecodec.errors import UsageError

    if Path(output).exists() and not Path(output).is_dir():
        raise UsageError(f"{shown(output)}: is a file: name a folder")
    codec = Codec(DEFAULT_MODEL if model is None else model, device=device)
    with working("a photograph, by three codecs"):
        result = demonstrate(codec, Path(output), overwrite=force)
    click.echo(f"{result.files[0]}: the original, JPEG, AVIF and ours at equal bytes\n")
    click.echo(result.table)
    click.echo(f"\n{output}: all {len(result.files)} files; JPEG and ours take no more bytes than AVIF")
    if show:
        click.launch(str(result.files[0]))
