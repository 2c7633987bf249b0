"""What ``--effort`` costs and gains: real files of a folder at each effort, bits at equal SSIMULACRA2 and PSNR, and time, against effort 0.

    python bench/studies/effort.py pictures/ --efforts 0,1,3,5 -q 5,15,25,40,50,60,75,90 --limit 8

Gain: BD-rate of the mean curve (geometric mean of bytes, mean of quality over the pictures), over scores 30 to 90 and over the wide
window of 27.5 to 39.5 dB. Time: median over all files of encoding time over that of effort 0 for the same picture and quality.
"""

from __future__ import annotations

import math
import statistics
import time
from pathlib import Path

import click
import numpy as np
import torch

from vaecodec.api import MAX_EFFORT, Codec
from vaecodec.evaluation import EYE_WINDOWS, psnr, ssimulacra2
from vaecodec.evaluation.bd_rate import FEWEST_POINTS, WINDOWS, bd_rate
from vaecodec.picture import Picture, read_picture
from vaecodec.picture_files import find_plain_pictures


def measure(
    codec: Codec, pictures: list[Picture], quality: float, effort: int
) -> list[tuple[float, float, float, float]]:
    """Bits per pixel, SSIMULACRA2, PSNR and seconds of every picture."""
    rows = []
    for picture in pictures:
        start = time.perf_counter()
        encoded = codec.encode(picture, quality=quality, effort=effort)
        seconds = time.perf_counter() - start
        bpp = 8 * len(encoded.data) / (picture.width * picture.height)
        score = ssimulacra2(encoded.source, encoded.samples)
        assert score is not None
        rows.append((bpp, score, psnr(encoded.source, encoded.samples), seconds))
    return rows


@click.command(help=(__doc__ or "").split("\n")[0])
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--efforts", default="0,1,3,5", show_default=True)
@click.option("-q", "--qualities", default="5,15,25,40,50,60,75,90", show_default=True)
@click.option("--limit", default=0, help="Take so many pictures, spread over the folder; 0: all.")
@click.option("--side", default=0, help="Take the middle of each, so many pixels square; 0: the whole picture.")
@click.option("--threads", default=0, help="Threads; 0: all cores.")
@click.option("--model", default="psnr", show_default=True)
def main(folder: Path, efforts: str, qualities: str, limit: int, side: int, threads: int, model: str) -> None:
    """Prints a table: effort, gain, change of bytes and PSNR at equal quality, time."""
    if threads:
        torch.set_num_threads(threads)
    steps, levels = [int(e) for e in efforts.split(",")], [float(q) for q in qualities.split(",")]
    if 0 not in steps or not all(0 <= e <= MAX_EFFORT for e in steps) or len(levels) < FEWEST_POINTS:
        raise click.UsageError(f"--efforts must hold 0 and be up to {MAX_EFFORT}; -q needs {FEWEST_POINTS} or more")
    paths = find_plain_pictures(folder)
    if limit:
        paths = paths[:: max(1, len(paths) // limit)][:limit]
    pictures = [read_picture(path) for path in paths]
    if side:
        pictures = [Picture(_middle(picture.samples, side)) for picture in pictures]
    codec = Codec(model)
    codec.encode(pictures[0], quality=levels[0], effort=1)
    rows = {(e, q): measure(codec, pictures, q, e) for e in sorted(steps) for q in levels}
    curves = {}
    for effort in sorted(steps):
        means = [np.mean([(math.log(rate), score, d) for rate, score, d, _ in rows[effort, q]], axis=0) for q in levels]
        curves[effort] = [[(math.exp(m[0]), float(m[column])) for m in means] for column in (1, 2)]
    print(
        f"{len(pictures)} pictures, qualities {qualities}, {torch.get_num_threads()} threads, model {codec.model.id_hex}\n"
    )
    print(
        "| effort | bits at equal SSIMULACRA2 | at equal PSNR | bytes at equal quality | score at equal quality | time | seconds, median |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for effort in sorted(steps):
        windows = (EYE_WINDOWS["eye"], WINDOWS["wide"])
        gains = [bd_rate(a, b, w).percent for a, b, w in zip(curves[0], curves[effort], windows, strict=True)]
        pairs = [pair for q in levels for pair in zip(rows[effort, q], rows[0, q], strict=True)]
        share = math.exp(statistics.fmean(math.log(a[0] / b[0]) for a, b in pairs))
        times = statistics.median(a[3] / b[3] for a, b in pairs)
        print(
            f"| {effort} | {gains[0]:+.2f} % | {gains[1]:+.2f} % | {100 * (share - 1):+.2f} % "
            f"| {statistics.fmean(a[1] - b[1] for a, b in pairs):+.2f} | ×{times:.1f} | {statistics.median(a[3] for a, _ in pairs):.2f} |"
        )


def _middle(samples: np.ndarray, side: int) -> np.ndarray:
    top, left = max(0, (samples.shape[0] - side) // 2), max(0, (samples.shape[1] - side) // 2)
    return np.ascontiguousarray(samples[top : top + side, left : left + side])


if __name__ == "__main__":
    main()
