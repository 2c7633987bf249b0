"""Options that several commands have, so that they are the same everywhere."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import click

from vaecodec.cli.help import Option, complete_path


class Number(click.FloatRange):
    """A number in a range, refused in words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, as a float."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            raise _refusal(value, "number", self.min, self.max, error) from error


class Count(click.IntRange):
    """A whole number in a range, refused in words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, as an int."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            raise _refusal(value, "whole number", self.min, self.max, error) from error


def _refusal(
    value: Any, kind: str, low: float | None, high: float | None, error: click.BadParameter
) -> click.BadParameter:
    span = f"from {low:g} to {high:g}" if high is not None else f"of at least {low:g}"
    return click.BadParameter(f"{value!r} is not a {kind} {span}", ctx=error.ctx, param=error.param)


class PathName(click.types.StringParamType):
    """The name of a file or folder. An empty one would be the current folder."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name as it is."""
        if not value:
            self.fail("an empty name (a variable of the shell that is not set?)", param, ctx)
        return super().convert(value, param, ctx)


option = partial(click.option, cls=Option)
"""An option, its default shown in the one style."""
argument = partial(click.argument, type=PathName(), shell_complete=complete_path)
"""An argument that is a path."""
path_option = partial(option, type=PathName(), shell_complete=complete_path)
"""An option that is a path."""

inputs = argument("inputs", nargs=-1, required=True, metavar="INPUT...")
_STANDARD_OUTPUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def _output(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Standard output by its other names, which open it anew where they can."""
    return "-" if value in _STANDARD_OUTPUT else value


output = path_option(
    "-o",
    "--output",
    metavar="OUT",
    callback=_output,
    help="A file, a folder (out/ is made if need be), or - for a pipe.",
)
force = option("-f", "--force", is_flag=True, help="Overwrite outputs that exist.")
recursive = option("-r", "--recursive", is_flag=True, help="Go through folders; OUT gets the same tree.")
jobs = option("-j", "--jobs", type=Count(1, 1024), default=1, metavar="N", help="Work on N files at a time.")
_threads = partial(option, "--threads", type=Count(1, 256), metavar="N")
threads = _threads(
    show_default="the processors, shared out over -j",
    help="Compute each file with at most N threads; the output is identical.",
)
threads_without_jobs = _threads(show_default="the processors", help="Compute with at most N threads.")


def _pixels(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Reads a number of pixels, of thousands of thousands with MP, of a thousand of those with GP."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(|mp|gp)\s*", value.lower())
    pixels = 0 if found is None else round(float(found[1]) * {"": 1, "mp": 10**6, "gp": 10**9}[found[2]])
    if pixels == 0:
        raise click.BadParameter(f"{value!r} is not a number of pixels such as 300MP, 1GP or 500000")
    return pixels


limit = option(
    "--limit",
    callback=_pixels,
    metavar="PIXELS",
    show_default="1GP; what Pillow decodes 178MP",
    help="Refuse pictures of more pixels: 20MP, 1.5GP.",
)
as_json = option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")
quiet = option("--quiet", is_flag=True, help="Print nothing but errors.")
device = option(
    "--device", default="auto", metavar="DEVICE", help="auto, cpu or cuda; the decoded picture is the same on each."
)
backend = option(
    "--backend",
    type=click.Choice(["auto", "native", "torch"]),
    default="auto",
    metavar="NAME",
    help="native, torch or auto; the output is identical. auto is native, or torch with --device cuda.",
)
model = path_option("--model", metavar="NAME|FILE", show_default="eye", help="An installed model, or a weights file.")
models = path_option(
    "--model", "models", multiple=True, metavar="FILE", help="A weights file to look in too; may be repeated."
)
