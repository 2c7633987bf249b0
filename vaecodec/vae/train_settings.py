"""Settings of the trainer of the VAE family; without torch, so that its help needs none."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from vaecodec.training.options import RunSettings, setting
from vaecodec.vae.settings import PRESETS


@dataclass
class VaeTrainSettings(RunSettings):
    """Everything that a run of a model of the VAE family depends on."""

    data: str = setting(MISSING, "array of items: IDX (.gz or not), .npy, .npz, or a folder of small pictures")
    family: str = setting("vae", "vae, or ae for an autoencoder without a posterior")
    validation: str = setting("", "items to validate on; empty: every 12th item of DATA is held out")
    preset: str = setting("dense", f"sizes to start from: {', '.join(PRESETS)}")
    latents: int = setting(0, "dimensions of the latents; 0: as the preset has them")
    widths: str = setting("", "widths of the hidden layers, such as 512,256; empty: as the preset has them")
    likelihood: str = setting("", "squared, bernoulli, beta-binomial or tables; empty: as the preset has it")
    noise: float = setting(0.1, "standard deviation of the Gaussian behind squared error, values being 0..1")
    beta: float = setting(1.0, "weight of the KL")
    beta_warmup: int = setting(0, "steps over which β grows from 0: against collapse")
    free_bits: float = setting(0.0, "bits per dimension whose KL costs nothing: against collapse")
    patience: int = setting(0, "stop after so many validations without a better one; 0: never")
    batch: int = setting(128, "items per step")
    limit: int = setting(0, "train on the first so many items only; 0: on all")
    clip: float = setting(1.0, "largest norm of the gradient, per item's value")
    validate_every: int = setting(500, "steps between validations")
    validation_items: int = setting(2000, "items that a validation looks at, of each of the two sets")
