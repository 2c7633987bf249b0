"""How much of the error would be there without any rounding: what the latents cannot hold, whatever they cost.

    python bench/studies/without_rounding.py mine.best pictures/ [-q 0,25,50,75,100]

Middles of pictures of 192 × 192 through the float model, with latents as they are and rounded. Where the first error is a large part of
the second, the model has too few latents for the quality.
"""

from __future__ import annotations

from pathlib import Path

import click
import torch

from vaecodec.evaluation.tables import text_table
from vaecodec.models.image import ImageModel
from vaecodec.models.settings import ImageSettings
from vaecodec.picture_files import find_plain_pictures
from vaecodec.training.checkpoints import read_checkpoint
from vaecodec.training.image import fixed_crops


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path, exists=True))
@click.argument("pictures", type=click.Path(path_type=Path, exists=True))
@click.option("-q", "--qualities", default="0,25,50,75,100")
@torch.inference_mode()
def main(checkpoint: Path, pictures: Path, qualities: str) -> None:
    """Prints mean PSNR without and with rounding, and the part of the error that rounding does not make."""
    state = read_checkpoint(checkpoint, torch.device("cpu"))
    model = ImageModel(ImageSettings.from_dict(state["sizes"])).eval()
    model.load_state_dict(state["average"])
    x = fixed_crops(find_plain_pictures(pictures), 20, 192)
    rows = []
    for quality in map(float, qualities.split(",")):
        q = torch.full((len(x),), quality / 100)
        errors = [
            ((samples.clamp(0, 255) - x.float()) ** 2).flatten(1).mean(1)
            for samples in (model.synthesise(model.analyse(x, q), q), model(x, q, quantise=True).x_hat)
        ]
        psnr = [float((10 * torch.log10(255**2 / error)).mean()) for error in errors]
        rows.append(
            [f"{quality:g}", f"{psnr[0]:.2f}", f"{psnr[1]:.2f}", f"{float((errors[0] / errors[1]).mean()):.2f}"]
        )
    print(text_table(["quality", "dB without rounding", "dB", "part of the error"], rows))


if __name__ == "__main__":
    main()
