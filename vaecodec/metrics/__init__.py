"""How close a picture is to its original: for rate control, evaluation and, as constants, the trainer's loss."""

from vaecodec.metrics.fidelity import MS_SSIM_SHORTEST_SIDE, bits_per_pixel, ms_ssim, ms_ssim_db, psnr
from vaecodec.metrics.ssimulacra2 import SHORTEST_SIDE, ssimulacra2

__all__ = ["MS_SSIM_SHORTEST_SIDE", "SHORTEST_SIDES", "bits_per_pixel", "ms_ssim", "ms_ssim_db", "psnr", "ssimulacra2"]

SHORTEST_SIDES = {"ssimulacra2": SHORTEST_SIDE, "ms_ssim": MS_SSIM_SHORTEST_SIDE}
"""What the shorter side of a picture needs in pixels, by the name of the function, which gives None for smaller ones."""
