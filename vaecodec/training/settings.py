"""Settings of the image trainer; without torch, so that its help needs none."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from vaecodec.models.settings import PRESETS
from vaecodec.training.options import RunSettings, setting


@dataclass
class TrainSettings(RunSettings):
    """Everything that a run of the image model depends on."""

    data: str = setting(MISSING, "folder of pictures to train on")
    validation: str = setting("", "folder of pictures to validate on; empty: every 20th picture of DATA is held out")
    quality: float = setting(-1.0, "train for this quality alone, 0 to 100; below 0: for all")
    tilt: float = setting(1.0, "above 1 draws low qualities more often: q is u to this power, u even over 0..1")
    tune: str = setting(
        "eye",
        "what distortion is: eye (SSIMULACRA2, visible contrasts, a little squared error) or psnr (squared error)",
    )
    squared: float = setting(0.05, "share of the squared error in the distortion of --tune eye")
    power: float = setting(0.815, "of the metric's weighted error, in the distortion of --tune eye")
    colour: float = setting(0.0, "weight of the squared error of coarse colour, in --tune eye")
    contrast: float = setting(0.08, "weight of the error of visible contrasts of luminance, in --tune eye")
    graphics: float = setting(0.15, "part of the crops that are lettering and graphics, drawn at random")
    preset: str = setting("eye", "sizes of the model: " + ", ".join(PRESETS))
    batch: int = setting(4, "crops per step and process")
    crop: int = setting(256, "side of a crop in pixels, a multiple of 64")
    lr: float = setting(4e-3, "highest learning rate (AdamW)")
    lr_linear: float = setting(3e-4, "learning rate of the linear path, which starts out right")
    warmup: int = setting(200, "steps of linear warm-up")
    device: str = setting("auto", "where to compute: auto, cpu or cuda")
    init: str = setting(
        "",
        "checkpoint, weights file, or what export_checkpoint --average wrote, of this or a smaller model, to start a fresh schedule from",
    )
    validation_pictures: int = setting(16, "crops that a validation looks at, of each of the two sets")
