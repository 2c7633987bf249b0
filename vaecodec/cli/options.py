"""Options that several commands have, so that they are the same everywhere."""

from __future__ import annotations

import re

import click

inputs = click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
output = click.option("-o", "--output", metavar="OUT", help="File, folder, or - for a pipe.")
force = click.option("-f", "--force", is_flag=True, help="Overwrite outputs that exist.")
recursive = click.option("-r", "--recursive", is_flag=True, help="Go through folders; OUT gets the same tree.")
jobs = click.option(
    "-j", "--jobs", type=click.IntRange(1, 1024), default=1, metavar="N", help="Work on N files at a time.  [1]"
)


def _pixels(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Reads a number of pixels, of thousands of thousands with MP, of a thousand of those with GP."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*([0-9]{1,12})\s*(|mp|gp)\s*", value.lower())
    if found is None or int(found[1]) == 0:
        raise click.BadParameter(f"{value!r} is not a number of pixels such as 300MP, 1GP or 500000")
    return int(found[1]) * {"": 1, "mp": 10**6, "gp": 10**9}[found[2]]


limit = click.option(
    "--limit", callback=_pixels, metavar="PIXELS", help="Take pictures of at most so many pixels: 20MP, 1GP."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")
quiet = click.option("--quiet", is_flag=True, help="Print nothing but errors.")
device = click.option(
    "--device", default="auto", metavar="DEVICE", help="auto, cpu or cuda. The picture is the same on each.  [auto]"
)
backend = click.option(
    "--backend",
    type=click.Choice(["auto", "native", "torch"]),
    default="auto",
    help="Compute backend; the output is identical. auto is native, or torch with --device cuda.  [auto]",
)
model = click.option("--model", metavar="NAME|FILE", help="An installed model, or a weights file.")
models = click.option(
    "--model", "models", multiple=True, metavar="FILE", help="A weights file to look in too; may be repeated."
)
