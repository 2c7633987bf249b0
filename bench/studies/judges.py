"""Ours against AVIF by metrics that nothing here was trained for: Butteraugli and ColorVideoVDP, from real files.

    python -m bench.studies.judges KODAK --every 4 --results kodak.jsonl

Butteraugli is the 3-norm of ``butteraugli_main`` (Debian's libjxl-devtools), ColorVideoVDP the package cvvdp with the display ``standard_4k``.
AVIF as in ``against_avif``. BD-rate of mean bits per pixel over mean quality, over the range that both share; negative: ours needs fewer bits.
``--results`` keeps what is measured: the same command goes on where it was stopped, and other weights begin anew.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

import vaecodec
from bench.measure.rate import rgb_samples
from vaecodec.errors import MissingExtraError, UsageError
from vaecodec.evaluation import AVIF, CodecAdapter, VaecodecAdapter, bd_rate, bits_per_pixel
from vaecodec.evaluation.tables import bd_rate_cell, text_table
from vaecodec.picture_files import find_plain_pictures

QUALITIES = (20.0, 30.0, 42.0, 54.0, 65.0, 75.0, 83.0, 89.0, 93.0)
AVIF_QUALITIES = (12.0, 22.0, 34.0, 46.0, 58.0, 70.0, 80.0, 88.0, 94.0)
PROGRAM = "butteraugli_main"

Samples = npt.NDArray[np.uint8]
Judge = Callable[[Samples, Samples], float]
"""The original and another picture, [H, W, 3] -> quality: the larger the better."""


def butteraugli(original: Samples, decoded: Samples) -> float:
    """Minus the 3-norm of the distance."""
    with TemporaryDirectory() as folder:
        paths = [f"{folder}/{name}.png" for name in ("original", "decoded")]
        for path, samples in zip(paths, (original, decoded), strict=True):
            Image.fromarray(samples).save(path, compress_level=1)
        told = subprocess.run([PROGRAM, *paths], capture_output=True, text=True, check=True).stdout
    (norm,) = [line.split(":")[1] for line in told.splitlines() if line.startswith("3-norm:")]
    return -float(norm)


def colour_video_vdp() -> Judge:
    """Just objectionable differences, 10 at most.

    Raises:
        MissingExtraError: the package is not there.
    """
    try:
        import pycvvdp
    except ImportError as error:
        raise MissingExtraError("ColorVideoVDP needs the package cvvdp: pip install cvvdp") from error
    metric = pycvvdp.cvvdp(display_name="standard_4k", device=torch.device("cpu"))
    return lambda original, decoded: float(metric.predict(decoded, original, dim_order="HWC")[0])


def judges() -> dict[str, Judge]:
    """Both, by name.

    Raises:
        MissingExtraError: one is not there.
    """
    if shutil.which(PROGRAM) is None:
        raise MissingExtraError(f"Butteraugli needs {PROGRAM}: apt-get install libjxl-devtools")
    return {"Butteraugli": butteraugli, "ColorVideoVDP": colour_video_vdp()}


@click.command(help=(__doc__ or "").split("\n")[0])
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--every", default=1, show_default=True, help="Take every so many pictures, from the first on.")
@click.option("--model", default="eye", show_default=True)
@click.option("--results", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(folder: Path, every: int, model: str, results: Path) -> None:
    """Measures what is missing, then prints the set and every picture, the worst first."""
    codec = vaecodec.Codec(model, threads=1)
    weights = codec.model.weights.model_id().hex()
    ways: dict[str, tuple[CodecAdapter, Sequence[float]]] = {
        "vaecodec": (VaecodecAdapter(codec, QUALITIES), QUALITIES),
        "avif": (AVIF, AVIF_QUALITIES),
    }
    known = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    rows = {_key(row): row for row in known if row["weights"] in (weights, None)}
    paths, metrics = find_plain_pictures(folder)[::every], judges()
    with results.open("a") as file:
        for path in paths:
            samples = rgb_samples(path)
            for way, (adapter, settings) in ways.items():
                for setting in settings:
                    row: dict[str, Any] = {
                        "picture": path.name, "codec": way, "setting": setting,
                        "weights": weights if way == "vaecodec" else None,
                    }  # fmt: skip
                    if _key(row) in rows:
                        continue
                    data = adapter.encode(samples, setting).data
                    decoded = adapter.decode(data)
                    row["bpp"] = bits_per_pixel(len(data), samples.shape[1], samples.shape[0])
                    row |= {name: judge(samples, decoded) for name, judge in metrics.items()}
                    rows[_key(row)] = row
                    file.write(json.dumps(row) + "\n")
                    file.flush()
    table = [_cells(f"{folder.name} ({len(paths)})", [path.name for path in paths], rows, ways)]
    single = [_cells(path.name, [path.name], rows, ways) for path in paths]
    table += sorted(single, key=lambda cells: -float((cells[1] or "-999").split()[0]))
    click.echo(text_table(("against AVIF", *metrics), table))


def _key(row: dict[str, Any]) -> tuple[str, str, float]:
    return row["picture"], row["codec"], row["setting"]


def _cells(
    title: str,
    pictures: Sequence[str],
    rows: dict[tuple[str, str, float], dict[str, Any]],
    ways: dict[str, tuple[CodecAdapter, Sequence[float]]],
) -> tuple[str | None, ...]:
    """A row of the table: BD-rate by each judge over the means of some pictures."""
    cells: list[str | None] = []
    for judge in ("Butteraugli", "ColorVideoVDP"):
        curves = []
        for way in ("avif", "vaecodec"):
            points = [
                [float(np.mean([rows[name, way, setting][what] for name in pictures])) for what in ("bpp", judge)]
                for setting in ways[way][1]
            ]
            curves.append(_rising(points))
        try:
            cells.append(bd_rate_cell(bd_rate(curves[0], curves[1])))
        except UsageError:
            cells.append(None)
    return title, *cells


def _rising(points: Sequence[Sequence[float]]) -> list[tuple[float, float | None]]:
    """Without what costs more and looks no better: near its end ColorVideoVDP says 9.94 of everything."""
    kept: list[tuple[float, float | None]] = []
    best = -math.inf
    for rate, quality in points:
        if quality > best:
            kept.append((rate, quality))
            best = quality
    return kept


if __name__ == "__main__":
    main()
