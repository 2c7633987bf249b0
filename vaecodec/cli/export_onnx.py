"""``vaecodec export-onnx``: the decoding half of a model for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from vaecodec.cli import options


@click.command("export-onnx")
@click.argument("model", metavar="MODEL")
@click.option("-o", "--output", required=True, metavar="DIR", help="Folder for the files; it is made if need be.")
@options.force
@options.quiet
def command(model: str, output: str, force: bool, quiet: bool) -> None:
    """Write what decodes a model's files as ONNX graphs and tables.

    MODEL is an installed model, or a weights file. What is in the files, docs/onnx.md says.
    """
    from vaecodec.api import export_onnx

    files = export_onnx(model, Path(output), overwrite=force)
    if not quiet:
        size = sum(path.stat().st_size for path in files)
        click.echo(f"{output}: {len(files)} files, {size:,} bytes")
