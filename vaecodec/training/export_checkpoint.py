"""Makes a weights file of a checkpoint's moving average, without training on.

    python -m vaecodec.training.export_checkpoint RUN.best photos/ -o mine.safetensors --card card.json
    python -m vaecodec.training.export_checkpoint RUN.best --average average.safetensors

``--average`` keeps the moving average, which the weights file holds as integers alone, in a quarter of its size: enough to start a fresh
schedule from on another machine (``vaecodec train --init AVERAGE``).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import safetensors.torch
import torch

from vaecodec.models.export import export_weights
from vaecodec.models.image import ImageModel
from vaecodec.models.settings import ImageSettings
from vaecodec.training.checkpoints import pack, read_checkpoint
from vaecodec.training.losses import distortion_of
from vaecodec.training.pictures import calibration_crops
from vaecodec.training.quality_scale import lay_out


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="vaecodec.training.export_checkpoint", description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path, nargs="?", help="pictures that set ranges and tables: those of the training")
    parser.add_argument("-o", "--out", type=Path, help="weights file to write")
    parser.add_argument("--card", type=Path, help="JSON object to put on the weights' card")
    parser.add_argument("--average", type=Path, help="file for the moving average of the decoding half")
    parser.add_argument("--scale", type=Path, help="places of the qualities, from vaecodec.training.quality_scale")
    options = parser.parse_args(arguments)
    if bool(options.out) != bool(options.data) or not (options.out or options.average):
        parser.error("name DATA and -o for a weights file, or --average")
    state = read_checkpoint(options.checkpoint, torch.device("cpu"))
    if options.average:
        safetensors.torch.save_file(
            pack(state["average"]), options.average, {"sizes": json.dumps(state["sizes"]), "step": str(state["step"])}
        )
    if options.out:
        model = ImageModel(ImageSettings.from_dict(state["sizes"]))
        state["average"].setdefault("log_lambda", model.log_lambda)
        model.load_state_dict(state["average"])
        if options.scale:
            model = lay_out(model, json.loads(options.scale.read_text())["places"])
        card = json.loads(options.card.read_text()) if options.card else {}
        card |= {"steps": state["step"], "processor_minutes": round(state["minutes"], 1)}
        settings, crops = state["settings"], calibration_crops(options.data)
        weights = export_weights(
            model, crops, options.out, card=card, tune=settings.get("tune", "psnr"), trained_for=distortion_of(settings)
        )
        print(f"{options.out}: model id {weights.model_id().hex()}")


if __name__ == "__main__":
    main()
