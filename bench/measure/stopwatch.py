"""Times one operation of one codec in a process of its own; the parent says what on standard input, as JSON, and reads the outcome.

    python -m bench.measure.stopwatch < job.json

The process is held to its threads before anything is loaded, does one warm-up, and then repeats.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.measure.machine import forget_peak, hold_to_threads, peak_mb, resident_mb, usable_cores

Samples = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Job:
    """What to time.

    Attributes:
        codec: key of a codec, or name of a learned one.
        setting: its setting of quality.
        learned: whether it is a model of CompressAI.
        operation: ``encode`` or ``decode``.
        pictures: one path, or several to be laid side by side into a large picture.
        size: width and height of that large picture, or None for the one picture as it is.
        file: where the coded file lies; written by ``encode``, read by ``decode``.
        threads: how many threads it may use; 0: all.
        repeats: after the warm-up.
        budget: seconds after which it is not repeated any more.
        ours: model, qualities and device of vaecodec.
    """

    codec: str
    setting: float
    learned: bool
    operation: str
    pictures: tuple[str, ...]
    size: tuple[int, int] | None
    file: str
    threads: int
    repeats: int
    budget: float
    ours: dict[str, Any]

    def to_json(self) -> str:
        """The job for another process."""
        return json.dumps(asdict(self))


def main() -> None:
    job = Job(**json.load(sys.stdin))
    hold_to_threads(job.threads)
    print(json.dumps(run(job)))


def run(job: Job) -> dict[str, Any]:
    """Does the job; see the fields of `bench.measure.rows.TimeRow`."""
    from bench.measure.codecs import OURS, OurSettings, build_codec
    from vaecodec.evaluation import CodecAdapter

    codec: CodecAdapter
    if job.learned:
        from bench.measure.learned import build_learned

        codec = build_learned(job.codec, round(job.setting))
    else:
        codec = build_codec(job.codec, OurSettings(**(job.ours | {"qualities": tuple(job.ours["qualities"])})))
    if job.threads > 0 and (job.learned or job.codec == OURS):
        import torch

        torch.set_num_threads(job.threads)
    samples = None if job.operation == "decode" else load(job)
    data = b"" if job.operation == "encode" else Path(job.file).read_bytes()
    base = resident_mb()
    forget_peak()

    def operate() -> Any:
        return codec.encode(samples, job.setting).data if samples is not None else codec.decode(data)

    seconds, last = timed(operate, job.repeats, job.budget)
    outcome = {
        "seconds": seconds,
        "peak_mb": round(peak_mb(), 1),
        "base_mb": round(base, 1),
        "threads": usable_cores(),
        "psnr": None,
    }
    if job.operation == "encode":
        Path(job.file).write_bytes(last)
        return outcome | {"bytes": len(last)}
    height, width = last.shape[:2]
    if job.size is None and not job.learned:
        from vaecodec.evaluation import psnr

        outcome["psnr"] = round(psnr(load(job), last), 4)
    return outcome | {"bytes": len(data), "width": width, "height": height}


def timed(operate: Callable[[], Any], repeats: int, budget: float) -> tuple[list[float], Any]:
    """Wall clock of every repeat after a warm-up; the warm-up is itself the only time where it outlasts the budget."""
    seconds: list[float] = []
    start = begun = time.perf_counter()
    last = operate()
    warm_up = time.perf_counter() - start
    if warm_up > budget:
        return [warm_up], last
    while len(seconds) < repeats and (not seconds or time.perf_counter() - begun < budget):
        start = time.perf_counter()
        last = operate()
        seconds.append(time.perf_counter() - start)
    return seconds, last


def load(job: Job) -> Samples:
    """The picture of a job, uint8 [H, W, 3]."""
    from bench.measure.rate import rgb_samples

    if job.size is None:
        return rgb_samples(Path(job.pictures[0]))
    return mosaic([rgb_samples(Path(path)) for path in job.pictures], *job.size)


def mosaic(pictures: list[Samples], width: int, height: int) -> Samples:
    """Lays pictures side by side, again and again, until width and height are full: photographic content at any size.

    Returns:
        uint8 [height, width, 3].
    """
    canvas = np.empty((height, width, 3), np.uint8)
    top = index = 0
    while top < height:
        left, row_height = 0, min(picture.shape[0] for picture in pictures)
        while left < width:
            picture = pictures[index % len(pictures)][:row_height]
            index += 1
            area = canvas[top : top + row_height, left : left + picture.shape[1]]
            area[:] = picture[: area.shape[0], : area.shape[1]]
            left += picture.shape[1]
        top += row_height
    return canvas


if __name__ == "__main__":
    main()
