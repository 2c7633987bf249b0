"""Adds the encoder's integers to a weights file that has it in floats only.

    python -m vaecodec.training.export_encoder WEIGHTS photos/ -o WEIGHTS

The model id does not cover the encoder, and stays.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from vaecodec.models.export import RANGE_CROPS
from vaecodec.models.export_encoder import with_integer_encoder
from vaecodec.models.weights import load_weights, save_weights
from vaecodec.training.pictures import calibration_crops


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="vaecodec.training.export_encoder", description=__doc__.split("\n")[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("data", type=Path, help="pictures that set ranges: those of the training")
    parser.add_argument("-o", "--out", type=Path, required=True, help="weights file to write")
    options = parser.parse_args(arguments)
    weights = load_weights(options.weights)
    crops = calibration_crops(options.data)[:RANGE_CROPS]
    made = with_integer_encoder(weights, weights.build_encoder(torch.device("cpu")), crops)
    save_weights(made, options.out)
    print(f"{options.out}: model id {made.model_id().hex()}")


if __name__ == "__main__":
    main()
