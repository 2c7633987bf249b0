"""``vaecodec thumbnail``: the small picture that file managers ask for."""

from __future__ import annotations

from pathlib import Path

import click

from vaecodec.cli import options
from vaecodec.cli.failures import for_each, shown
from vaecodec.cli.help import Command
from vaecodec.cli.progress import Progress


@click.command(
    "thumbnail",
    cls=Command,
    short_help="Write a small PNG of a file, as file managers ask for it.",
    examples="""
vaecodec thumbnail holiday.vaec small.png
vaecodec thumbnail -s 512 holiday.vaec larger.png
""",
)
@options.argument("file", metavar="FILE")
@options.argument("output", metavar="OUT")
@options.option(
    "-s", "--size", type=options.Count(1, 4096), default=256, metavar="PIXELS", help="The longer side at most."
)
def command(file: str, output: str, size: int) -> None:
    """Write a small PNG of a .vaec file. OUT is overwritten if it is a PNG or empty: file managers make it before they ask."""
    from vaecodec.cli.files import PIPE, check_replaceable, read_input, write_output
    from vaecodec.desktop import thumbnail
    from vaecodec.errors import UsageError
    from vaecodec.picture import OUTPUT_FORMATS

    others = {
        extension for name, written in OUTPUT_FORMATS.items() if name != "png" for extension in written.extensions
    }
    if Path(output).suffix.lower() in others:
        raise UsageError(f"{shown(output)}: thumbnails are PNG: name an output that ends in .png")
    check_replaceable(output)

    for_each(
        [file],
        lambda source: write_output(output, thumbnail(read_input(source), size), source=PIPE, force=True),
        progress=Progress(1),
    )
