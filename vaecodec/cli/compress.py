"""``vaecodec compress``: pictures to files."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaecodec.cli import options
from vaecodec.cli.failures import for_each
from vaecodec.cli.progress import Progress

if TYPE_CHECKING:
    from vaecodec.api import Encoded
    from vaecodec.picture import Picture

EXTENSION = ".vaec"


@click.command("compress")
@options.inputs
@options.output
@click.option("-q", "--quality", type=click.FloatRange(0, 100), help="0 (smallest) to 100 (best).")
@options.model
@options.device
@click.option("--check", is_flag=True, help="Add a checksum of the decoded samples, for decompress -t.")
@click.option("--strip", is_flag=True, help="Drop metadata; turn the picture upright and convert it to sRGB.")
@click.option("--first-frame", is_flag=True, help="Of animations and documents take the first frame or page.")
@options.force
@options.as_json
@options.quiet
def command(
    inputs: tuple[str, ...],
    output: str | None,
    quality: float | None,
    model: str | None,
    device: str,
    check: bool,
    strip: bool,
    first_frame: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compress pictures: a.png becomes a.vaec, and a.png is kept.

    INPUT is a file, or - for a pipe.
    """
    from vaecodec.cli.files import PIPE, check_target, plan_outputs, read_input, write_output

    plan = plan_outputs(inputs, output, lambda path: path.stem + EXTENSION, force=force)

    from vaecodec.api import DEFAULT_MODEL, DEFAULT_QUALITY, Codec
    from vaecodec.picture import read_picture, strip_metadata

    codec = Codec(DEFAULT_MODEL if model is None else model, device=device)

    def compress_one(source: str) -> None:
        start = time.perf_counter()
        target = plan[source]
        check_target(target, force=force)
        if source == PIPE:
            data = read_input(source)
            picture, source_size = read_picture(data, first_frame=first_frame), len(data)
        else:
            picture, source_size = read_picture(source, first_frame=first_frame), Path(source).stat().st_size
        if strip:
            picture = strip_metadata(picture)
        encoded = codec.encode(picture, quality=DEFAULT_QUALITY if quality is None else quality, check=check)
        write_output(target, encoded.data, source=source, force=force)
        seconds = time.perf_counter() - start
        if as_json or not quiet:
            progress.clear()
            report = _report(picture, encoded) | {"source_bytes": source_size, "seconds": seconds}
            line = (
                json.dumps({"input": source, "output": target} | report) if as_json else _line(source, target, report)
            )
            # With the file itself on standard output, the report goes where it does not get into it.
            click.echo(line, err=target == PIPE)

    progress = Progress(len(inputs), quiet=quiet)
    for_each(inputs, compress_one, progress=progress)


def _report(picture: Picture, encoded: Encoded) -> dict[str, Any]:
    """Measures the file that was written; figures that are not to be had are None, and a note says why."""
    from vaecodec.errors import MissingExtraError
    from vaecodec.evaluation import MS_SSIM_SHORTEST_SIDE, bits_per_pixel, ms_ssim, psnr

    quality = psnr(encoded.source, encoded.samples)
    note = None
    try:
        similarity = ms_ssim(encoded.source, encoded.samples)
        if similarity is None:
            note = f"shorter side under {MS_SSIM_SHORTEST_SIDE}"
    except MissingExtraError:
        similarity, note = None, "needs pip install 'vaecodec[metrics]'"
    return {
        "width": picture.width,
        "height": picture.height,
        "quality": encoded.quality,
        "bytes": len(encoded.data),
        "bpp": bits_per_pixel(len(encoded.data), picture.width, picture.height),
        "estimate_bpp": encoded.estimated_bits / (picture.width * picture.height),
        # JSON has no infinity; a picture that came out without any error has no PSNR.
        "psnr": quality if math.isfinite(quality) else None,
        "ms_ssim": similarity,
        "ms_ssim_note": note,
        "stage_seconds": dict(encoded.seconds),
    }


def _line(source: str, target: str, report: dict[str, Any]) -> str:
    psnr = "no error" if report["psnr"] is None else f"PSNR {report['psnr']:.2f} dB"
    note = report["ms_ssim_note"]
    similarity = f"MS-SSIM n/a ({note})" if note else f"MS-SSIM {report['ms_ssim']:.4f}"
    share = 100 * report["bytes"] / report["source_bytes"]
    return (
        f"{source} -> {target}: {report['bytes']:,} bytes, {report['bpp']:.3f} bpp, {psnr}, {similarity}, "
        f"{share:.1f} % of the source file, {report['seconds']:.2f} s"
    )
