"""Options that several commands have, so that they are the same everywhere."""

from __future__ import annotations

import click

inputs = click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
output = click.option("-o", "--output", metavar="OUT", help="File, folder, or - for a pipe.")
force = click.option("-f", "--force", is_flag=True, help="Overwrite outputs that exist.")
recursive = click.option("-r", "--recursive", is_flag=True, help="Go through folders; OUT gets the same tree.")
jobs = click.option(
    "-j", "--jobs", type=click.IntRange(1, 1024), default=1, metavar="N", help="Work on N files at a time.  [1]"
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
quiet = click.option("--quiet", is_flag=True, help="Print nothing but errors.")
device = click.option(
    "--device", default="auto", metavar="DEVICE", help="auto, cpu or cuda. The picture is the same on each.  [auto]"
)
model = click.option("--model", metavar="NAME|FILE", help="An installed model, or a weights file.")
models = click.option(
    "--model", "models", multiple=True, metavar="FILE", help="A weights file to look in too; may be repeated."
)
