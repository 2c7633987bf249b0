"""Warm coding by the native core beside torch, in one process: processor time of one thread by each kernel, and what two threads gain.

    python -m bench.measure.warm kodim05.png
    python -m bench.measure.warm big.png --threads 1,2 --repeats 3

All take turns, and the least time of each counts, since on a machine that does other things the least is the nearest to the truth. With one
thread it is the processor's time; what more threads gain is wall time and needs as many quiet cores. The gain is that of the least times;
beside it the median of what the turns gained, each against the one just before, for machines whose speed drifts.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch

from bench.measure.cold import processor
from vaecodec.api import DEFAULT_MODEL, Codec
from vaecodec.exact.kernels import VARIABLE, available_kernels
from vaecodec.picture import Picture, read_picture

NUMPY = "numpy"


def timed(jobs: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """The seconds of each job in each round; they take turns, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats + 1):
        for name, job in jobs.items():
            start = clock()
            job()
            seconds[name].append(clock() - start)
    return {name: measured[1:] for name, measured in seconds.items()}


def gain(before: list[float], after: list[float]) -> str:
    """How many times as fast: by the least times, and by the median of all turns."""
    turns = median(one / other for one, other in zip(before, after, strict=True))
    return f"{min(before) / min(after):.2f} ({turns:.2f})"


def native(model: str, kernels: str, threads: int) -> Codec:
    """A codec with kernels of a name."""
    os.environ[VARIABLE] = kernels
    return Codec(model, backend="native", threads=threads)


def main() -> None:
    """Measures and prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--kernels", default="", help="names with commas between them; without: all of this processor")
    parser.add_argument("--threads", default="1", help="numbers of threads, with commas between them [%(default)s]")
    options = parser.parse_args()
    torch.set_num_threads(1)
    picture = Picture(read_picture(options.picture).samples)
    wanted = options.kernels.split(",") if options.kernels else available_kernels()
    names = [name for name in available_kernels() if name in wanted and name != NUMPY]
    if not names:
        parser.error(f"--kernels: this processor has {', '.join(available_kernels())}")
    codecs = {f"native, {name}": native(options.model, name, 1) for name in names}
    codecs["torch"] = Codec(options.model, backend="torch", threads=1)
    data = codecs["torch"].compress(picture)

    def jobs(of: dict[str, Codec]) -> dict[str, Callable[[], object]]:
        found: dict[str, Callable[[], object]] = {}
        for name, codec in of.items():
            found[f"decode {name}"] = partial(codec.decompress, data)
            found[f"encode {name}"] = partial(codec.compress, picture)
        return found

    found = {name: min(times) for name, times in timed(jobs(codecs), options.repeats, time.process_time).items()}
    print(f"{options.picture.name}, {processor()}, least of {options.repeats}\n")
    print(
        "| one thread, processor time | decode | torch's, times | encode | torch's, times |\n|---|---:|---:|---:|---:|"
    )
    for name in codecs:
        cells = [
            f"{found[f'{what} {name}']:.3f} s | {found[f'{what} torch'] / found[f'{what} {name}']:.2f}"
            for what in ("decode", "encode")
        ]
        print(f"| {name} | {' | '.join(cells)} |")

    counts = [int(count) for count in options.threads.split(",")]
    if counts == [1]:
        return
    codecs = {str(count): native(options.model, names[0], count) for count in counts}
    walls = timed(jobs(codecs), options.repeats, time.perf_counter)
    print(f"\n| threads, {names[0]}, wall time | decode | gain | encode | gain |\n|---|---:|---:|---:|---:|")
    for name in codecs:
        cells = [
            f"{min(walls[f'{what} {name}']):.3f} s | {gain(walls[f'{what} {counts[0]}'], walls[f'{what} {name}'])}"
            for what in ("decode", "encode")
        ]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
