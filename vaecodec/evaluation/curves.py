"""Rate–distortion curves from real files.

::

    pictures × settings ─► encode ─► file ─► decode ─► Measurement (one row each) ─► mean per setting ─► CurvePoint
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vaecodec.evaluation.bd_rate import EYE_WINDOWS, WINDOWS, BDRate, bd_rate
from vaecodec.evaluation.peers import CodecAdapter
from vaecodec.metrics import ssimulacra2
from vaecodec.metrics.fidelity import Samples, bits_per_pixel, ms_ssim, psnr


@dataclass(frozen=True)
class Measurement:
    """One picture at one setting of one codec.

    Attributes:
        codec: the adapter's name.
        setting: its setting of quality.
        picture: the picture's name.
        width: in samples.
        height: in samples.
        bytes: size of the file as written.
        bpp: its rate, in bits per pixel.
        estimate_bpp: the rate that the codec's model expects, or None where it has no model.
        ssimulacra2: score of the decoded file, at most 100, or None where the picture is too small.
        psnr: RGB PSNR in dB, from the decoded file; infinity where it is lossless.
        ms_ssim: RGB MS-SSIM, or None where the picture is too small or it was not asked for.
        encode_seconds: samples to bytes, once; for orientation, not a benchmark.
        decode_seconds: bytes to samples, once.
    """

    codec: str
    setting: float
    picture: str
    width: int
    height: int
    bytes: int
    bpp: float
    estimate_bpp: float | None
    ssimulacra2: float | None
    psnr: float
    ms_ssim: float | None
    encode_seconds: float
    decode_seconds: float


@dataclass(frozen=True)
class CurvePoint:
    """The mean of all pictures at one setting; fields as in `Measurement`.

    ``ms_ssim`` and ``ssimulacra2`` are None if they are for any picture, so that all points of a curve are means of the same pictures.
    """

    setting: float
    bpp: float
    estimate_bpp: float | None
    ssimulacra2: float | None
    psnr: float
    ms_ssim: float | None
    encode_seconds: float
    decode_seconds: float


def measure(
    adapter: CodecAdapter, name: str, samples: Samples, setting: float, *, with_ms_ssim: bool = True
) -> Measurement:
    """Encodes and decodes one picture and measures rate and quality on what comes out.

    A grey picture is measured as three equal channels, which changes neither figure, so that codecs without grey take part.

    Args:
        adapter: the codec.
        name: the picture's name.
        samples: uint8 [H, W, 1 or 3].
        setting: one of the codec's settings.
        with_ms_ssim: whether to compute MS-SSIM too, which takes longer than most codecs.
    """
    start = time.perf_counter()
    coded = adapter.encode(samples, setting)
    encoded = time.perf_counter()
    decoded = adapter.decode(coded.data)
    end = time.perf_counter()
    reference, decoded = _as_rgb(samples), _as_rgb(decoded)
    height, width = samples.shape[:2]
    return Measurement(
        codec=adapter.name,
        setting=setting,
        picture=name,
        width=width,
        height=height,
        bytes=len(coded.data),
        bpp=bits_per_pixel(len(coded.data), width, height),
        estimate_bpp=None if coded.estimated_bits is None else coded.estimated_bits / (width * height),
        ssimulacra2=ssimulacra2(reference, decoded),
        psnr=psnr(reference, decoded),
        ms_ssim=ms_ssim(reference, decoded) if with_ms_ssim else None,
        encode_seconds=encoded - start,
        decode_seconds=end - encoded,
    )


def measure_pictures(
    adapters: Sequence[CodecAdapter], pictures: Iterable[tuple[str, Samples]], *, with_ms_ssim: bool = True
) -> dict[str, list[Measurement]]:
    """Measures every picture at every setting of codecs, one picture in memory at a time if ``pictures`` is lazy.

    Args:
        adapters: the codecs.
        pictures: names and uint8 samples [H, W, 1 or 3].
        with_ms_ssim: whether to compute MS-SSIM too.

    Returns:
        By the name of the codec, all of its measurements.
    """
    rows: dict[str, list[Measurement]] = {adapter.name: [] for adapter in adapters}
    for name, samples in pictures:
        for adapter in adapters:
            rows[adapter.name] += [
                measure(adapter, name, samples, setting, with_ms_ssim=with_ms_ssim) for setting in adapter.settings
            ]
    return rows


def curve(rows: Sequence[Measurement]) -> list[CurvePoint]:
    """Averages the measurements of one codec over its pictures, for each setting: the mean of bpp and the mean of PSNR."""
    points = []
    for setting in sorted({row.setting for row in rows}):
        chosen = [row for row in rows if row.setting == setting]
        points.append(
            CurvePoint(
                setting=setting,
                bpp=_mean(row.bpp for row in chosen),
                estimate_bpp=_mean_or_none([row.estimate_bpp for row in chosen]),
                ssimulacra2=_mean_or_none([row.ssimulacra2 for row in chosen]),
                psnr=_mean(row.psnr for row in chosen),
                ms_ssim=_mean_or_none([row.ms_ssim for row in chosen]),
                encode_seconds=_mean(row.encode_seconds for row in chosen),
                decode_seconds=_mean(row.decode_seconds for row in chosen),
            )
        )
    return points


def bd_rates(reference: Sequence[CurvePoint], tested: Sequence[CurvePoint]) -> dict[str, BDRate]:
    """Compares two codecs by SSIMULACRA2 in every window of `EYE_WINDOWS`, where all pictures have a score, and by PSNR in every one of `WINDOWS`."""
    rates = {}
    if all(point.ssimulacra2 is not None for point in (*reference, *tested)):
        scores = [[(point.bpp, point.ssimulacra2) for point in points] for points in (reference, tested)]
        rates = {name: bd_rate(scores[0], scores[1], window) for name, window in EYE_WINDOWS.items()}
    curves = [[(point.bpp, point.psnr) for point in points] for points in (reference, tested)]
    return rates | {name: bd_rate(curves[0], curves[1], window) for name, window in WINDOWS.items()}


def falls(rows: Sequence[Measurement]) -> list[str]:
    """Looks for steps of quality at which rate or SSIMULACRA2 does not rise, picture by picture; PSNR where a picture is too small for a score.

    A picture that is exact already has nothing more to give.

    Returns:
        One line for each such step; empty where both rise strictly everywhere.
    """
    found = []
    for picture in sorted({row.picture for row in rows}):
        steps = sorted((row for row in rows if row.picture == picture), key=lambda row: row.setting)
        for before, after in itertools.pairwise(steps):
            if math.isinf(before.psnr) and math.isinf(after.psnr):
                continue
            if after.bytes <= before.bytes:
                found.append(
                    f"{picture}: {before.bytes} bytes at {before.setting:g}, {after.bytes} at {after.setting:g}"
                )
            if before.ssimulacra2 is None or after.ssimulacra2 is None:
                low, high, what = before.psnr, after.psnr, "dB"
            else:
                low, high, what = before.ssimulacra2, after.ssimulacra2, "SSIMULACRA2"
            if high <= low:
                found.append(f"{picture}: {low:.3f} {what} at {before.setting:g}, {high:.3f} at {after.setting:g}")
    return found


def rows_as_csv(rows: Sequence[Measurement]) -> str:
    """Returns a table with one line per measurement, column names as in `Measurement`; what is None is empty."""
    text = io.StringIO()
    names = [field.name for field in dataclasses.fields(Measurement)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(dataclasses.asdict(row) for row in rows)
    return text.getvalue()


def json_ready(row: Measurement | CurvePoint | BDRate) -> dict[str, str | float | bool | None]:
    """Returns the fields as a dictionary for JSON, which has no infinity: an infinite value becomes None."""
    values = dataclasses.asdict(row)
    return {key: None if isinstance(value, float) and math.isinf(value) else value for key, value in values.items()}


def _as_rgb(samples: Samples) -> Samples:
    return np.repeat(samples, 3, axis=2) if samples.shape[2] == 1 else samples


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if known and len(known) == len(values) else None
