"""Ours against AVIF by SSIMULACRA2 over folders of pictures, from real files: the mean, and every picture, the worst first.

    python -m bench.studies.against_avif KODAK VAL VAL-LARGE
    python bench/studies/pages.py -o pages/ && python -m bench.studies.against_avif pages/ -q 6,14,22,30,38,46,54,62,72

AVIF is Pillow's, speed 6, 4:4:4, tuned for the eye as its library does by default. BD-rate of mean bits per pixel over mean score, 30 to 90 and
50 to 85, and of PSNR over the range that both share; negative: ours needs fewer bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

import vaecodec
from bench.measure.rate import rgb_samples
from vaecodec.errors import UsageError
from vaecodec.evaluation import AVIF, EYE_WINDOWS, CodecAdapter, VaecodecAdapter, bd_rate, bits_per_pixel, psnr
from vaecodec.evaluation.tables import bd_rate_cell, text_table
from vaecodec.metrics import ssimulacra2
from vaecodec.picture_files import find_plain_pictures

QUALITIES = (15.0, 30.0, 42.0, 54.0, 65.0, 75.0, 83.0, 89.0, 93.0)
AVIF_QUALITIES = (10.0, 22.0, 34.0, 46.0, 58.0, 70.0, 80.0, 88.0, 94.0)

Row = tuple[float, float, float]
"""Bits per pixel, SSIMULACRA2, PSNR."""


def measure(codec: CodecAdapter, samples: np.ndarray, settings: Sequence[float]) -> list[Row]:
    """One picture at every setting."""
    rows = []
    for setting in settings:
        data = codec.encode(samples, setting).data
        decoded = codec.decode(data)
        score = ssimulacra2(samples, decoded)
        if score is None:
            raise UsageError("a picture is too small for SSIMULACRA2")
        rows.append(
            (bits_per_pixel(len(data), samples.shape[1], samples.shape[0]), score, min(psnr(samples, decoded), 99.0))
        )
    return rows


def rates(ours: Sequence[Row], theirs: Sequence[Row]) -> list[str | None]:
    """Cells: both windows of the score, then PSNR."""
    cells = []
    for column, window in ((1, EYE_WINDOWS["eye"]), (1, EYE_WINDOWS["eye, middle"]), (2, None)):
        curves = []
        for rows in (theirs, ours):
            kept: list[tuple[float, float | None]] = []
            for row in sorted(rows):
                if not kept or (row[column] > (kept[-1][1] or 0.0) and row[0] > kept[-1][0]):
                    kept.append((row[0], row[column]))
            curves.append(kept)
        try:
            cells.append(bd_rate_cell(bd_rate(curves[0], curves[1], window)))
        except UsageError:
            cells.append(None)
    return cells


@click.command(help=(__doc__ or "").split("\n")[0])
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", default="eye", show_default=True)
@click.option("-q", "--qualities", default=",".join(f"{q:g}" for q in QUALITIES), show_default=True, help="ours")
def main(folders: tuple[Path, ...], model: str, qualities: str) -> None:
    settings = tuple(float(quality) for quality in qualities.split(","))
    ours = VaecodecAdapter(vaecodec.Codec(model, threads=1), settings)
    for folder in folders:
        measured = {}
        for path in find_plain_pictures(folder):
            samples = rgb_samples(path)
            measured[path.name] = measure(ours, samples, settings), measure(AVIF, samples, AVIF_QUALITIES)
        means = [
            [tuple(float(v) for v in row) for row in np.mean([pair[side] for pair in measured.values()], axis=0)]
            for side in (0, 1)
        ]
        header = ("against AVIF", "SSIMULACRA2 30-90", "50-85", "PSNR")
        single = sorted(((name, rates(*pair)) for name, pair in measured.items()), key=lambda one: -_percent(one[1][0]))
        rows = [(f"{folder.name} ({len(measured)})", *rates(*means)), *((name, *cells) for name, cells in single)]  # type: ignore[arg-type]
        click.echo(text_table(header, rows) + "\n")


def _percent(cell: str | None) -> float:
    return float(cell.split()[0]) if cell else -999.0


if __name__ == "__main__":
    main()
