"""What encoding in integers costs: the exact encoding half against the float one that it was rounded from, before the same decoder.

    python -m bench.studies.integer_encoding mine.best mine.safetensors DATA VAL
    python -m bench.studies.integer_encoding eye.safetensors eye.safetensors DATA VAL

Both give latents and hyper-latents of whole pictures, which the exact prior codes and the exact synthesis decodes; bits by the frozen
tables. DATA are the pictures trained on: by them the export makes steps coarser that latents could not hold, and so does the float model
here. Where the checkpoint is gone, weights stand for it: their own integers over their scales, so that what rounding weights cost is left out.
Prints BD-rates of the mean curve (geometric mean of bits, mean of quality over the pictures) at equal SSIMULACRA2 and PSNR.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch

from vaecodec.backends.backend import Backend, open_backend
from vaecodec.bitstream.tables import FrozenTables
from vaecodec.evaluation import EYE_WINDOWS, psnr, ssimulacra2
from vaecodec.evaluation.bd_rate import FEWEST_POINTS, WINDOWS, bd_rate
from vaecodec.exact.integers import IntArray
from vaecodec.models.analysis import hyper_symbols, in_256ths
from vaecodec.models.coding import encode_tile
from vaecodec.models.decoder_data import quality16_from_percent
from vaecodec.models.exact_encoder import ExactAnalysis
from vaecodec.models.export import RANGE_CROPS, cap_gains
from vaecodec.models.image import ImageModel
from vaecodec.models.settings import STRIDE, ImageSettings
from vaecodec.models.weights import Weights, load_weights
from vaecodec.picture import read_picture
from vaecodec.picture_files import find_plain_pictures
from vaecodec.training.checkpoints import read_checkpoint
from vaecodec.training.from_weights import floats_of
from vaecodec.training.pictures import calibration_crops

Encode = Callable[[IntArray, float], tuple[IntArray, IntArray]]
"""Samples uint8 [H, W, 3] and a quality, 0 to 100 -> latents in 256ths of a step, and symbols of z."""


def float_model(path: Path, data: Path, weights: Weights) -> tuple[ImageModel, Callable[[float], float]]:
    """The floats of a checkpoint or of weights; and what their quality, 0 to 1, is for one of 0 to 100."""
    if path.suffix == ".safetensors":
        state, sizes = floats_of(load_weights(path))
        least, most = math.log(sizes.lambda_min), math.log(sizes.lambda_max)
        model = ImageModel(sizes).eval()
        model.load_state_dict(state)
        return model, lambda q: (math.log(weights.lambda_at(quality16_from_percent(q))) - least) / (most - least)
    checkpoint = read_checkpoint(path, torch.device("cpu"))
    model = ImageModel(ImageSettings.from_dict(checkpoint["sizes"])).eval()
    model.load_state_dict(checkpoint["average"])
    cap_gains(model, calibration_crops(data)[:RANGE_CROPS])
    return model, lambda q: q / 100


def encoders(model: ImageModel, unit: Callable[[float], float], exact: ExactAnalysis) -> dict[str, Encode]:
    """Both, by name."""

    @torch.inference_mode()
    def by_floats(samples: IntArray, quality: float) -> tuple[IntArray, IntArray]:
        v = model.analyse(torch.from_numpy(samples)[None], torch.tensor([unit(quality)]))
        return in_256ths(v[0]), hyper_symbols(model, v)

    def by_integers(samples: IntArray, quality: float) -> tuple[IntArray, IntArray]:
        v = exact.latents(samples, quality16_from_percent(quality))
        return v, exact.hyper_symbols(v)

    return {"floats": by_floats, "integers": by_integers}


def coded_and_decoded(
    v: IntArray, z: IntArray, decoder: Backend, tables: FrozenTables, quality16: int
) -> tuple[float, IntArray]:
    """Latents in 256ths of a step and symbols of z -> bits, and samples uint8 [H, W, 3]."""
    groups: list[tuple[IntArray, IntArray]] = []
    latents = encode_tile(v, z, decoder, quality16, lambda *group: groups.append(group))
    return sum(tables.bits(*group) for group in groups), decoder.synthesise(latents.y16, quality16)


@click.command(help=(__doc__ or "").split("\n")[0])
@click.argument("checkpoint", type=click.Path(path_type=Path, exists=True))
@click.argument("weights", type=click.Path(path_type=Path, exists=True))
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("-q", "--qualities", default="20,30,40,50,60,70,80,90", show_default=True)
def main(checkpoint: Path, weights: Path, data: Path, folder: Path, qualities: str) -> None:
    """Prints a line for each quality, then what integers cost."""
    levels = [float(quality) for quality in qualities.split(",")]
    if len(levels) < FEWEST_POINTS:
        raise click.UsageError(f"-q needs {FEWEST_POINTS} or more")
    stored = load_weights(weights)
    model, unit = float_model(checkpoint, data, stored)
    if stored.analysis is None:
        raise click.UsageError(f"{weights} encodes in floats")
    decoder = open_backend(stored, backend="native")
    tables = FrozenTables.from_arrays(stored.half_widths, stored.counts)
    ways = encoders(model, unit, ExactAnalysis(stored.analysis, stored.data.tables["asinh"], torch.device("cpu")))
    pictures = [_whole_cells(read_picture(path).samples) for path in find_plain_pictures(folder)]
    curves: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for quality in levels:
        q16 = quality16_from_percent(quality)
        for name, encode in ways.items():
            rows = []
            for samples in pictures:
                bits, decoded = coded_and_decoded(*encode(samples, quality), decoder, tables, q16)
                score = ssimulacra2(samples, decoded)
                assert score is not None
                rows.append((math.log(bits), score, psnr(samples, decoded)))
            log_bits, score, decibels = map(float, np.mean(rows, axis=0))
            curves[name].append((math.exp(log_bits), score, decibels))
            print(f"{quality:g} {name}: {math.exp(log_bits):.0f} bits, {score:.3f}, {decibels:.3f} dB", flush=True)
    for column, measure, windows in ((1, "SSIMULACRA2", EYE_WINDOWS), (2, "PSNR", WINDOWS)):
        for name, window in windows.items():
            floats, integers = ([(row[0], row[column]) for row in curves[way]] for way in ("floats", "integers"))
            cost = bd_rate(floats, integers, window)
            print(
                f"integers at equal {measure}, {name} ({cost.low:.1f} to {cost.high:.1f}): {cost.percent:+.3f} % of bits"
            )


def _whole_cells(samples: IntArray) -> IntArray:
    height, width = (side // STRIDE * STRIDE for side in samples.shape[:2])
    return np.ascontiguousarray(samples[:height, :width])


if __name__ == "__main__":
    main()
