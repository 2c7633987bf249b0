"""How close a picture is to its original: for rate control, evaluation and, as constants, the trainer's loss."""

from vaecodec.metrics.fidelity import MS_SSIM_SHORTEST_SIDE, bits_per_pixel, ms_ssim, ms_ssim_db, psnr
from vaecodec.metrics.ssimulacra2 import ssimulacra2

__all__ = ["MS_SSIM_SHORTEST_SIDE", "bits_per_pixel", "ms_ssim", "ms_ssim_db", "psnr", "ssimulacra2"]
