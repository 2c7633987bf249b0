"""Rate and quality of one codec on one picture, row by row; runs in worker processes, one codec in each."""

from __future__ import annotations

import time
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.measure.codecs import OurSettings, build_codec
from bench.measure.machine import forget_peak, hold_to_threads, peak_mb, usable_cores
from bench.measure.rows import QualityRow
from vaecodec.evaluation import CodecAdapter, ms_ssim, psnr
from vaecodec.metrics import ssimulacra2
from vaecodec.picture import read_picture

Samples = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class QualityTask:
    """What a worker does at once.

    Attributes:
        path: the picture.
        settings: the settings of quality to measure.
        perceptual: those of them at which MS-SSIM is measured too, which takes longer than all else.
        environment: index for the rows.
    """

    path: Path
    settings: tuple[float, ...]
    perceptual: frozenset[float]
    environment: int


class _Worker:
    """The codec of this process."""

    key: str
    codec: CodecAdapter


def begin(key: str, ours: OurSettings, threads: int, begun: Synchronized[int]) -> None:
    """Gets a worker process ready for one codec; ``begun`` counts the workers, so that each gets cores of its own."""
    with begun.get_lock():
        index = begun.value
        begun.value += 1
    hold_to_threads(threads, index)
    _Worker.key = key
    _Worker.codec = build_codec(key, ours)
    if threads > 0:
        # MS-SSIM brings torch in, which would take every core for itself.
        import torch

        torch.set_num_threads(threads)


def measure_picture(task: QualityTask) -> list[QualityRow]:
    """Measures one picture at several settings; what is compared with the original is decoded from the file's bytes."""
    samples = rgb_samples(task.path)
    return [_measure(task, samples, setting) for setting in task.settings]


def _measure(task: QualityTask, samples: Samples, setting: float) -> QualityRow:
    forget_peak()
    start = time.perf_counter()
    coded = _Worker.codec.encode(samples, setting)
    encoded = time.perf_counter()
    decoded = _Worker.codec.decode(coded.data)
    end = time.perf_counter()
    peak = peak_mb()
    height, width = samples.shape[:2]
    return QualityRow(
        codec=_Worker.key,
        setting=setting,
        picture=task.path.name,
        width=width,
        height=height,
        bytes=len(coded.data),
        estimate=None if coded.estimated_bits is None else coded.estimated_bits / 8,
        psnr=psnr(samples, decoded),
        ms_ssim=ms_ssim(samples, decoded) if setting in task.perceptual else None,
        ssimulacra2=ssimulacra2(samples, decoded),
        encode_seconds=encoded - start,
        decode_seconds=end - encoded,
        peak_mb=peak,
        threads=usable_cores(),
        environment=task.environment,
    )


def rgb_samples(path: Path) -> Samples:
    """Reads a picture as uint8 [H, W, 3], so that codecs without grey take part."""
    samples = read_picture(path).samples
    if samples.dtype != np.uint8:
        samples = (samples >> 8).astype(np.uint8)
    return np.repeat(samples, 3, axis=2) if samples.shape[2] == 1 else samples
