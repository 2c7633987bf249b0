"""Measuring: quality metrics, rate–distortion curves from real files, BD-rate, tables and plots.

The protocol is the usual one: the rate is that of the file as written, PSNR is that of the 8 bit RGB samples decoded from it, and
a figure for a set is the mean over its pictures.
"""

from vaecodec.evaluation.bd_rate import EYE_WINDOWS, FEWEST_POINTS, WINDOWS, BDRate, bd_rate
from vaecodec.evaluation.curves import (
    CurvePoint,
    Measurement,
    bd_rates,
    curve,
    falls,
    measure,
    measure_pictures,
)
from vaecodec.evaluation.peers import AVIF, JPEG, JPEG_444, PEERS, WEBP, CodecAdapter, PillowCodec, VaecodecAdapter
from vaecodec.metrics import MS_SSIM_SHORTEST_SIDE, bits_per_pixel, ms_ssim, ms_ssim_db, psnr, ssimulacra2
from vaecodec.picture_files import find_pictures

__all__ = [
    "AVIF",
    "EYE_WINDOWS",
    "FEWEST_POINTS",
    "JPEG",
    "JPEG_444",
    "MS_SSIM_SHORTEST_SIDE",
    "PEERS",
    "WEBP",
    "WINDOWS",
    "BDRate",
    "CodecAdapter",
    "CurvePoint",
    "Measurement",
    "PillowCodec",
    "VaecodecAdapter",
    "bd_rate",
    "bd_rates",
    "bits_per_pixel",
    "curve",
    "falls",
    "find_pictures",
    "measure",
    "measure_pictures",
    "ms_ssim",
    "ms_ssim_db",
    "psnr",
    "ssimulacra2",
]
