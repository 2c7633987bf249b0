"""Time and memory of codecs, each operation in a fresh process, and all codecs in one run.

The series goes through all codecs and then through all of them again: what differs between the two rounds is what the machine
did meanwhile, and the report prints it as the spread of every figure.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bench.measure.codecs import OURS, OurSettings
from bench.measure.learned import LEARNED, learned_cost, our_cost
from bench.measure.learned import missing as learned_missing
from bench.measure.machine import environment, usable_cores
from bench.measure.rows import (
    SIZES_FILE,
    TABLE_ENDING,
    TIMES_FILE,
    QualityTable,
    TimeRow,
    append_time,
    read_table,
    read_times,
    write_times,
)
from bench.measure.stopwatch import Job
from bench.show.analysis import COSTS_FILE, RANDOM_WEIGHTS
from vaecodec.errors import UsageError, VaecodecError
from vaecodec.evaluation import find_pictures

ROUNDS = 2

# Codecs whose cost is measured against the size of the picture.
SIZED = (OURS, "jpeg", "webp", "jxl", "avif", "heic")


@dataclass(frozen=True)
class Series:
    """One codec at one setting, to be timed on one picture."""

    codec: str
    setting: float
    learned: bool
    environment: Mapping[str, Any]


def measure_times(
    folder: Path,
    keys: Sequence[str],
    ours: OurSettings,
    environments: dict[str, dict[str, Any]],
    options: argparse.Namespace,
) -> None:
    """Times all codecs on the first picture of a folder, at the setting whose PSNR there is nearest to ``options.psnr``."""
    picture = find_pictures(folder)[0]
    name = folder.resolve().name
    series: list[Series] = []
    run = {"run": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M")}
    if "time" in options.parts:
        table = read_table(options.output / f"{name}{TABLE_ENDING}")
        for key in keys:
            setting = nearest_setting(table, key, options.psnr, picture.name)
            series.append(Series(key, setting, False, environments[key] | run))
    if "learned" in options.parts:
        if reason := learned_missing():
            print(f"left out: learned codecs, which need {reason}", file=sys.stderr)
        else:
            series += [Series(model, float(level), True, environment() | run) for model, level in LEARNED]
            write_costs(options.output / COSTS_FILE, ours)
    path = options.output / TIMES_FILE
    done = forget_stale(path, name, series, again=options.again)
    threads = sorted({1, usable_cores()})
    jobs = [(index, one, count) for index in range(1, ROUNDS + 1) for one in series for count in threads]
    with tqdm(jobs, desc=f"{name}, time", unit="pair") as bar:
        for index, one, count in bar:
            bar.set_postfix_str(one.codec)
            if (one.codec, one.setting, "decode", name, picture.name, count, index) in done:
                continue
            for row in pair(one, (picture,), None, name, count, index, ours, options.repeats, options.budget):
                append_time(path, row)
    write_times(path, read_times(path))


def measure_sizes(
    folder: Path,
    keys: Sequence[str],
    ours: OurSettings,
    environments: dict[str, dict[str, Any]],
    options: argparse.Namespace,
) -> None:
    """Times codecs at one thread on pictures of many sizes, laid together from those of a folder."""
    paths = tuple(find_pictures(folder))
    name = folder.resolve().name
    table = read_table(options.output / f"{name}{TABLE_ENDING}")
    path = options.output / SIZES_FILE
    chosen = [key for key in keys if key in SIZED]
    every = [Series(key, nearest_setting(table, key, options.psnr), False, environments[key]) for key in chosen]
    done = forget_stale(path, name, every, again=options.again)
    jobs = [(megapixels, one) for megapixels in options.megapixels for one in every]
    with tqdm(jobs, desc="sizes", unit="pair") as bar:
        for megapixels, one in bar:
            bar.set_postfix_str(f"{megapixels:g} MP, {one.codec}")
            if (one.codec, one.setting, "decode", name, mosaic_name(megapixels), 1, 1) in done:
                continue
            size = sides(megapixels)
            # Long runs need no repeats to be above the machine's noise.
            for row in pair(one, paths, size, name, 1, 1, ours, 3, 3.0, mosaic_name(megapixels)):
                append_time(path, row)
    write_times(path, read_times(path))


def forget_stale(path: Path, set_name: str, series: Sequence[Series], *, again: bool) -> set[tuple[object, ...]]:
    """Drops rows that this run replaces: all of its codecs with ``again``, else those of other weights of ours.

    Returns:
        Keys of the rows that stay.
    """
    ids = {one.codec: one.environment.get("model_id") for one in series}
    kept = [
        row
        for row in read_times(path)
        if row.set != set_name
        or row.codec not in ids
        or not (again or row.environment.get("model_id") != ids[row.codec])
    ]
    write_times(path, kept)
    return {row.key for row in kept}


def mosaic_name(megapixels: float) -> str:
    """What rows call a picture that was laid together."""
    return f"{megapixels:g} megapixels"


def sides(megapixels: float) -> tuple[int, int]:
    """Width and height, 4:3."""
    height = round(math.sqrt(megapixels * 1e6 * 3 / 4))
    return round(megapixels * 1e6 / height), height


def nearest_setting(table: QualityTable, key: str, psnr: float, picture: str | None = None) -> float:
    """The setting whose PSNR, on one picture or in the mean, is nearest to a wanted one.

    Raises:
        UsageError: rates of this codec have not been measured.
    """
    found: dict[float, list[float]] = {}
    for row in table.rows:
        if row.codec == key and picture in (None, row.picture):
            found.setdefault(row.setting, []).append(row.psnr)
    if not found:
        raise UsageError(f"no rates of {key} have been measured for these pictures: add rate to --parts")
    return min(found, key=lambda setting: abs(sum(found[setting]) / len(found[setting]) - psnr))


def pair(
    one: Series,
    pictures: Sequence[Path],
    size: tuple[int, int] | None,
    set_name: str,
    threads: int,
    index: int,
    ours: OurSettings,
    repeats: int,
    budget: float,
    picture_name: str | None = None,
) -> Iterator[TimeRow]:
    """Times encoding and then decoding of what was encoded, each in a fresh process."""
    with tempfile.TemporaryDirectory() as scratch:
        outcomes = {}
        for operation in ("encode", "decode"):
            job = Job(
                codec=one.codec, setting=one.setting, learned=one.learned, operation=operation,
                pictures=tuple(str(path.resolve()) for path in pictures), size=size, file=str(Path(scratch, "coded")),
                threads=threads, repeats=repeats, budget=budget, ours=asdict(ours),
            )  # fmt: skip
            outcomes[operation] = in_fresh_process(job)
    decoded = outcomes["decode"]
    for operation, outcome in outcomes.items():
        yield TimeRow(
            codec=one.codec,
            setting=one.setting,
            operation=operation,
            picture=picture_name or pictures[0].name,
            set=set_name,
            width=decoded["width"],
            height=decoded["height"],
            bytes=outcome["bytes"],
            psnr=decoded["psnr"],
            threads=outcome["threads"],
            round=index,
            seconds=tuple(outcome["seconds"]),
            peak_mb=outcome["peak_mb"],
            base_mb=outcome["base_mb"],
            environment=one.environment,
            note=RANDOM_WEIGHTS if one.learned else "",
        )


def in_fresh_process(job: Job) -> dict[str, Any]:
    """Runs `bench.measure.stopwatch`.

    Raises:
        VaecodecError: it failed; the message is the last line that it wrote.
    """
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "bench.measure.stopwatch"],
        input=job.to_json(), capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}"
        raise VaecodecError(f"{job.operation} of {job.codec} at {job.setting:g}: {reason}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def write_costs(path: Path, ours: OurSettings) -> None:
    """Counts multiply–accumulates of ours and of the learned peers in the same way."""
    costs = {OURS: our_cost(ours.model)} | {f"{model}@{level}": learned_cost(model, level) for model, level in LEARNED}
    rounded = {name: {half: round(value, 2) for half, value in halves.items()} for name, halves in costs.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")
