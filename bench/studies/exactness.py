"""What exactness costs: the exact decoding half against the float model that it was made from.

    python bench/studies/exactness.py mine.best mine.safetensors DATA pictures/ -q 0,50,90

Prior: the same latents v coded under the float prior (ideal Gaussian code lengths, real rounding) and under the exact one with its
frozen tables; the difference in bits. DATA are the pictures trained on: by them the export makes steps coarser that latents could
not hold, and so does the float model here. Synthesis: the same ŷ through both; the difference in PSNR, both rounded to 8 bit.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from vaecodec.bitstream.tables import FrozenTables
from vaecodec.evaluation import psnr
from vaecodec.exact.integers import IntArray
from vaecodec.models.analysis import hyper_symbols, in_256ths
from vaecodec.models.coding import encode_tile
from vaecodec.models.decoder_data import quality16_from_percent
from vaecodec.models.exact_image import ExactPrior, ExactSynthesis, build_layers
from vaecodec.models.export import RANGE_CROPS, cap_gains
from vaecodec.models.image import ImageModel
from vaecodec.models.settings import ImageSettings
from vaecodec.models.weights import load_weights
from vaecodec.picture import read_picture
from vaecodec.picture_files import find_plain_pictures
from vaecodec.training.checkpoints import read_checkpoint
from vaecodec.training.pictures import calibration_crops


@torch.inference_mode()
def compare(
    model: ImageModel,
    prior: ExactPrior,
    synthesis: ExactSynthesis,
    tables: FrozenTables,
    samples: IntArray,
    quality: float,
) -> dict[str, float]:
    """Bits under both priors, and PSNR of both syntheses; sides of the picture must be multiples of 64."""
    x = torch.from_numpy(samples)[None]
    q = torch.tensor([quality / 100])
    v = model.analyse(x, q)
    output = model(x, q, quantise=True)
    groups: list[tuple[IntArray, IntArray]] = []
    z = hyper_symbols(model, v)
    latents = encode_tile(
        in_256ths(v[0]), z, prior, quality16_from_percent(quality), lambda s, i: groups.append((s, i))
    )
    exact_bits = sum(tables.bits(s, i) for s, i in groups)
    y16 = torch.from_numpy(latents.y16)
    exact_samples = synthesis(y16, quality16_from_percent(quality)).numpy()
    float_samples = _rounded(model.synthesise(y16[None].float() / 16, q))
    return {
        "float_bits": float(output.bits_y + output.bits_z),
        "exact_bits": exact_bits,
        "float_psnr": psnr(samples, float_samples),
        "exact_psnr": psnr(samples, exact_samples),
    }


def _rounded(x: Tensor) -> IntArray:
    return x[0].round().clamp(0, 255).to(torch.uint8).numpy()


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("weights", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-q", "--qualities", default="0,25,50,75,90,100")
def main(checkpoint: Path, weights: Path, data: Path, folder: Path, qualities: str) -> None:
    """Prints one JSON line for each quality: overhead of the prior in per cent, loss of the synthesis in dB."""
    state = read_checkpoint(checkpoint, torch.device("cpu"))
    model = ImageModel(ImageSettings.from_dict(state["sizes"]))
    model.load_state_dict(state["average"])
    cap_gains(model, calibration_crops(data)[:RANGE_CROPS])
    stored = load_weights(weights)
    layers = build_layers(stored.data, torch.device("cpu"))
    tables = FrozenTables.from_arrays(stored.half_widths, stored.counts)
    prior, synthesis = ExactPrior(layers), ExactSynthesis(layers)
    for quality in map(float, qualities.split(",")):
        rows = [
            compare(model, prior, synthesis, tables, samples[: h // 64 * 64, : w // 64 * 64], quality)
            for samples in (read_picture(path).samples for path in find_plain_pictures(folder))
            for h, w in [samples.shape[:2]]
        ]
        mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        print(
            json.dumps(
                {
                    "quality": quality,
                    "prior_overhead_percent": round(100 * (mean["exact_bits"] / mean["float_bits"] - 1), 3),
                    "synthesis_loss_db": round(mean["float_psnr"] - mean["exact_psnr"], 4),
                }
                | {name: round(value, 3) for name, value in mean.items()}
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
