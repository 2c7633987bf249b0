"""``vaecodec export-onnx``: the decoding half of a model for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from vaecodec.cli import options
from vaecodec.cli.help import Command


@click.command(
    "export-onnx",
    cls=Command,
    short_help="Write a model's decoder as ONNX graphs and tables.",
    examples="""
vaecodec export-onnx psnr -o decoder/
""",
    example_mark="needs onnx",
)
@options.argument("model", metavar="MODEL")
@options.path_option(
    "-o", "--output", required=True, metavar="DIR", help="Folder for the files; it is made if need be."
)
@options.force
@options.quiet
def command(model: str, output: str, force: bool, quiet: bool) -> None:
    """Write what decodes a model's files as ONNX graphs and tables.

    MODEL is an installed model, or a weights file. docs/onnx.md describes the files. Needs vaecodec[onnx].
    """
    from vaecodec.api import export_onnx

    files = export_onnx(model, Path(output), overwrite=force)
    if not quiet:
        size = sum(path.stat().st_size for path in files)
        click.echo(f"{output}: {len(files)} files, {size:,} bytes")
