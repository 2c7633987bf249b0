"""``vaecodec evaluate``: the rate–distortion curve of a model over a folder of pictures, beside JPEG's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaecodec.cli import options
from vaecodec.cli.failures import exit_code, say
from vaecodec.cli.help import Command
from vaecodec.cli.progress import Progress

if TYPE_CHECKING:
    from vaecodec.evaluation import CodecAdapter, CurvePoint, Measurement

# Enough points for a BD-rate in every window.
DEFAULT_QUALITIES = tuple(float(quality) for quality in range(0, 101, 10))


def _qualities(_: click.Context, __: click.Parameter, value: str | None) -> tuple[float, ...]:
    """Reads numbers from 0 to 100, separated by commas; returns them in ascending order, each once."""
    if value is None:
        return DEFAULT_QUALITIES
    try:
        qualities = sorted({float(part) for part in value.split(",")})
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 10,30,50") from error
    if not all(0 <= quality <= 100 for quality in qualities):
        raise click.BadParameter(f"{value!r} is not all in the range from 0 to 100")
    return tuple(qualities)


@click.command(
    "evaluate",
    cls=Command,
    short_help="Measure rate and quality on a folder, beside JPEG.",
    sections={
        "What is measured": ("qualities", "check", "model", "device", "threads"),
        "What is written": ("plot", "csv_file", "force"),
        "What is printed": ("as_json", "quiet"),
    },
    examples="""
vaecodec evaluate photos/ -q 20,50,80
vaecodec evaluate photos/ --plot curves.png --csv rows.csv
vaecodec evaluate photos/ --check
""",
)
@options.argument("folder", metavar="DIR")
@options.option(
    "-q",
    "--quality",
    "qualities",
    callback=_qualities,
    metavar="LIST",
    show_default="0,10,...,100",
    help="Qualities, such as 10,30,50.",
)
@options.option(
    "--check", is_flag=True, help="Exit code 1 unless more quality is more bytes and a higher score on every picture."
)
@options.model
@options.device
@options.threads_without_jobs
@options.path_option("--plot", metavar="PNG", help="Draw the curves.")
@options.path_option("--csv", "csv_file", metavar="FILE", help="Write one row per picture and quality.")
@options.force
@options.as_json
@options.quiet
def command(
    folder: str,
    qualities: tuple[float, ...],
    check: bool,
    model: str | None,
    device: str,
    threads: int | None,
    plot: str | None,
    csv_file: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure rate and quality over the pictures in DIR, from real files, and compare with JPEG 4:2:0."""
    from vaecodec.api import DEFAULT_MODEL, Codec
    from vaecodec.cli.files import check_target, write_output
    from vaecodec.errors import PictureError
    from vaecodec.evaluation import JPEG, VaecodecAdapter, curve, falls, find_pictures
    from vaecodec.evaluation.curves import rows_as_csv

    paths = find_pictures(folder)
    if plot is not None:
        from vaecodec.evaluation.plots import check_plots

        check_plots()
    for target in (plot, csv_file):
        if target is not None:
            check_target(target, force=force)
    codec = Codec(DEFAULT_MODEL if model is None else model, device=device, threads=threads)
    ours = VaecodecAdapter(codec, qualities)
    rows, codes = _measured(paths, (ours, JPEG), quiet=quiet)
    if not rows[ours.name]:
        raise PictureError(f"{folder}: no picture in it could be read")

    curves = {name: curve(measured) for name, measured in rows.items()}
    count = len(paths) - len(codes)
    found = falls(rows[ours.name]) if check else None
    if as_json or not quiet:
        _print(curves, ours.name, count, found, as_json=as_json)
    if csv_file is not None:
        text = rows_as_csv([row for measured in rows.values() for row in measured])
        write_output(csv_file, text.encode(errors="surrogateescape"), source="-", force=force)
    if plot is not None:
        from vaecodec.evaluation.plots import curve_plot

        title = f"mean of {count} pictures of {Path(folder).resolve().name}"
        write_output(plot, curve_plot(curves, title), source="-", force=force)
    if codes or found:
        raise click.exceptions.Exit(1)


def _measured(
    paths: Sequence[Path], codecs: Sequence[CodecAdapter], *, quiet: bool
) -> tuple[dict[str, list[Measurement]], list[int]]:
    """Rows of every codec, and the exit codes of pictures that could not be read."""
    from vaecodec.errors import PictureError
    from vaecodec.evaluation import measure_pictures
    from vaecodec.picture import read_picture

    progress = Progress(len(paths), quiet=quiet)
    codes: list[int] = []

    def pictures() -> Iterator[tuple[str, Any]]:
        for index, path in enumerate(paths):
            progress.show(index, path.name)
            try:
                yield path.name, read_picture(path).samples
            except (PictureError, OSError) as error:
                progress.clear()
                say(error)
                codes.append(exit_code(error))

    with_ms_ssim = _ms_ssim_is_there()
    if not with_ms_ssim and not quiet:
        say("warning: no MS-SSIM: pip install 'vaecodec[metrics]'")
    with progress.ticking():
        rows = measure_pictures(codecs, pictures(), with_ms_ssim=with_ms_ssim)
    return rows, codes


def _print(
    curves: Mapping[str, list[CurvePoint]], name: str, count: int, falls: Sequence[str] | None, *, as_json: bool
) -> None:
    """Curves, how one of them compares with JPEG's, and where it falls, if that was looked for."""
    from vaecodec.errors import MissingExtraError, UsageError
    from vaecodec.evaluation import JPEG, bd_rates
    from vaecodec.evaluation.curves import json_ready
    from vaecodec.evaluation.tables import bd_rate_cell, curve_table, text_table

    comparison, reason = None, None
    try:
        comparison = bd_rates(curves[JPEG.name], curves[name])
    except (UsageError, MissingExtraError) as error:
        reason = str(error)
    if as_json:
        facts = {
            "pictures": count,
            "curves": {codec: [json_ready(point) for point in points] for codec, points in curves.items()},
            "bd_rate": None if comparison is None else {w: json_ready(result) for w, result in comparison.items()},
            "bd_rate_note": reason,
        } | ({} if falls is None else {"falls": falls})
        click.echo(json.dumps(facts))
        return
    for codec, points in curves.items():
        click.echo(f"{codec}, mean of {count} pictures\n{curve_table(points)}\n")
    if comparison is None:
        click.echo(f"BD-rate against JPEG 4:2:0: n/a: {reason}")
    else:
        header = ("BD-rate against JPEG 4:2:0", *comparison)
        click.echo(text_table(header, [(name, *map(bd_rate_cell, comparison.values()))]))
    if falls is not None:
        click.echo("\n".join(["", *(falls or ["bytes and score rise at every step on every picture"])]))


def _ms_ssim_is_there() -> bool:
    from importlib.util import find_spec

    return find_spec("pytorch_msssim") is not None
