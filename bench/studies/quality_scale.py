"""Where quality must be read so that q is about the SSIMULACRA2 score that pictures have at q.

    python -m vaecodec.training.export_checkpoint RUN.best photos/ -o plain.safetensors       # qualities as they were trained
    python bench/studies/quality_scale.py plain.safetensors VALIDATION -o scale.json                  # scores of real files, turned round
    python -m vaecodec.training.export_checkpoint RUN.best photos/ -o eye.safetensors --scale scale.json

Training draws λ evenly on a logarithmic scale, which is no scale that people know.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from scipy.interpolate import PchipInterpolator

import vaecodec
from vaecodec.evaluation.peers import VaecodecAdapter
from vaecodec.metrics.ssimulacra2 import ssimulacra2
from vaecodec.picture import read_picture
from vaecodec.picture_files import find_plain_pictures

ANCHORS = 21
"""Of the finished model: every fifth quality has a row of its own, linear between them."""
LINEAR = (20.0, 92.0)
"""Between these q is the score; below and above, a straight line to what the ends of the range have."""
MEASURED = 13
"""Qualities at which files are written and measured, evenly spaced."""


def places_of_scores(measured: Sequence[float], scores: Sequence[float]) -> list[float]:
    """Turns scores at places round.

    Args:
        measured: places, 0 to 1, ascending, first 0 and last 1.
        scores: mean scores there, ascending.

    Returns:
        ANCHORS places, one for each quality 0, 5 … 100.
    """
    low, high = LINEAR
    quality = np.linspace(0, 100, ANCHORS)
    wanted = np.where(quality < low, scores[0] + (low - scores[0]) * quality / low, quality)
    wanted = np.where(quality > high, high + (scores[-1] - high) * (quality - high) / (100 - high), wanted)
    places = PchipInterpolator(scores, measured)(np.clip(wanted, scores[0], scores[-1]))
    return [float(place) for place in places]


@click.command(help=(__doc__ or "").split("\n")[0])
@click.argument("weights", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="JSON file for export_checkpoint --scale."
)
@click.option("--most", default=0, help="Use this many pictures, spread over the folder; 0: all.")
def main(weights: Path, folder: Path, out: Path, most: int) -> None:
    paths = find_plain_pictures(folder)
    if most:
        paths = paths[:: max(1, len(paths) // most)][:most]
    codec = VaecodecAdapter(vaecodec.Codec(weights), ())
    pictures = [read_picture(path).samples for path in paths]
    places = np.linspace(0, 1, MEASURED).tolist()
    scores = []
    for place in places:
        found = []
        for samples in pictures:
            score = ssimulacra2(samples, codec.decode(codec.encode(samples, 100 * place).data))
            assert score is not None
            found.append(score)
        scores.append(float(np.mean(found)))
        click.echo(f"place {place:.3f}: score {scores[-1]:.2f}")
    out.write_text(json.dumps({"places": places_of_scores(places, scores), "scores": scores}) + "\n")


if __name__ == "__main__":
    main()
