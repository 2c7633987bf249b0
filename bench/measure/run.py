"""Measures codecs on a folder of pictures, and writes the page that shows the outcome.

    python -m bench.measure.run DIR [DIR...] [-o RESULTS] [--codecs LIST] [--parts rate,time,size,learned] [--page PAGE]

One row per codec, picture and setting for rate and quality; repeated runs in fresh processes for time and memory, at one thread
and at all. It may be stopped at any time and goes on where it was. Parts:

rate     rate, PSNR, MS-SSIM and SSIMULACRA2 of every picture at every setting
time     encoding and decoding of one picture of each folder, every codec in the same run, each of them in two rounds
learned  the same for learned codecs of CompressAI, with random weights, which take as long as trained ones
size     time and memory against the size of the picture, from 0.1 megapixels up
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bench.measure.codecs import OUR_QUALITIES, OURS, OURS_WITH_EFFORT, PEERS, OurSettings, model_label, settings_of
from bench.measure.machine import environment
from bench.measure.rate import QualityTask, begin, measure_picture
from bench.measure.rows import TABLE_ENDING, Journal, QualityRow, QualityTable, read_table, write_table
from vaecodec.errors import UsageError, VaecodecError
from vaecodec.evaluation import FEWEST_POINTS, find_pictures

PARTS = ("rate", "time", "learned", "size")
PERCEPTUAL_POINTS = 8


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    ours = OurSettings(options.model, options.qualities, options.device)
    keys = chosen_codecs(options.codecs)
    environments = {key: environment_of(key, ours) for key in keys}
    for folder in options.folders:
        if "rate" in options.parts:
            measure_rates(folder, keys, ours, environments, options)
    if {"time", "learned", "size"} & set(options.parts):
        from bench.measure.timing import measure_sizes, measure_times

        for folder in options.folders:
            if {"time", "learned"} & set(options.parts):
                measure_times(folder, keys, ours, environments, options)
        if "size" in options.parts:
            measure_sizes(options.folders[0], keys, ours, environments, options)
    if options.page:
        from bench.show.report import write_report

        written = write_report(options.output, options.page, options.folders, ours)
        print(f"page: {written[0]}\ntables: {written[1]}", file=sys.stderr)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.measure.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="pictures, not looked for in subfolders")
    parser.add_argument("-o", "--output", type=Path, default=Path("bench-results"), help="folder of rows [%(default)s]")
    parser.add_argument("--parts", type=_list, default=("rate", "time"), help=f"of {','.join(PARTS)} [rate,time]")
    parser.add_argument(
        "--codecs", type=_list, default=(), help=f"of {OURS},{','.join(PEERS)} [all that are installed]"
    )
    parser.add_argument("--model", default="eye", help="name or weights file, for vaecodec [%(default)s]")
    parser.add_argument("--device", default="cpu", help="for vaecodec [%(default)s]")
    parser.add_argument("-q", "--qualities", type=_numbers, default=OUR_QUALITIES, help="for vaecodec")
    parser.add_argument(
        "-j", "--jobs", type=int, default=1, help="pictures measured at a time, for rates [%(default)s]"
    )
    parser.add_argument("--first", type=int, metavar="N", help="only the first N pictures")
    parser.add_argument(
        "--points", type=int, metavar="N", help="at most N settings of each codec, spread over its scale [all]"
    )
    parser.add_argument("--again", action="store_true", help="measure anew what has been measured")
    parser.add_argument("--page", type=Path, help="write the page here, and tables as Markdown beside it")
    parser.add_argument("--repeats", type=int, default=5, help="of every time, after one warm-up [%(default)s]")
    parser.add_argument(
        "--budget", type=float, default=60, help="seconds after which a slow codec is not repeated [%(default)g]"
    )
    parser.add_argument("--psnr", type=float, default=33, help="dB at which codecs are timed [%(default)g]")
    parser.add_argument("--megapixels", type=_numbers, default=(0.1, 0.4, 1.6, 6.3, 25, 50), help="for size")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {min(unknown)!r}: use some of {', '.join(PARTS)}")
    if options.points is not None and options.points < FEWEST_POINTS:
        parser.error(f"fewer than {FEWEST_POINTS} points give no BD-rate")
    if options.repeats < 1 or options.jobs < 1:
        parser.error("--repeats and --jobs are at least 1")
    return options


def _list(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(sorted(float(part) for part in _list(text)))


def chosen_codecs(wanted: Sequence[str]) -> list[str]:
    """The codecs to measure; without a wish all that are installed, with a line for each that is not.

    Raises:
        UsageError: one that was asked for is unknown or not installed.
    """
    keys = []
    for key in wanted or (OURS, *PEERS):
        if key != OURS and key not in PEERS:
            raise UsageError(f"codec {key!r} is not known: use some of {OURS}, {', '.join(PEERS)}")
        missing = None if key == OURS else PEERS[key].missing()
        if missing is None:
            keys.append(key)
        elif wanted:
            raise UsageError(f"{PEERS[key].name} needs {missing}")
        else:
            print(f"left out: {PEERS[key].name}, which needs {missing}", file=sys.stderr)
    return keys


def environment_of(key: str, ours: OurSettings) -> dict[str, Any]:
    """Versions and machine; for vaecodec the model too."""
    found = environment()
    if key in (OURS, OURS_WITH_EFFORT):
        from vaecodec.api import find_weights
        from vaecodec.models.weights import load_weights

        model_id = load_weights(find_weights(ours.model)).model_id().hex()
        found |= {"model": model_label(ours.model), "model_id": model_id}
    return found


def measure_rates(
    folder: Path,
    keys: Sequence[str],
    ours: OurSettings,
    environments: dict[str, dict[str, Any]],
    options: argparse.Namespace,
) -> None:
    """Measures what is missing in the table of a folder."""
    paths = find_pictures(folder)[: options.first]
    table_path = options.output / f"{folder.resolve().name}{TABLE_ENDING}"
    table = read_table(table_path)
    tasks = {key: missing_tasks(table, key, paths, ours, environments[key], options) for key in keys}
    total = sum(len(task.settings) for listed in tasks.values() for task in listed)
    journal = Journal(table_path, table.environments)
    with tqdm(total=total, desc=folder.name, unit="file") as bar:
        for key, listed in tasks.items():
            if not listed:
                continue
            bar.set_postfix_str(key)
            # A new process for each codec: none finds the memory or the caches of another.
            spawn = multiprocessing.get_context("spawn")
            begun = spawn.Value("i", 0)
            with ProcessPoolExecutor(options.jobs, spawn, begin, (key, ours, 1, begun)) as pool:
                for done in as_completed([pool.submit(measure_picture, task) for task in listed]):
                    for row in done.result():
                        journal.append(row)
                        bar.update()
    journal.close()
    table = read_table(table_path)
    table.rows = [row for row in table.rows if not of_other_weights(table, row, environments)]
    write_table(table_path, table)


def of_other_weights(table: QualityTable, row: QualityRow, environments: dict[str, dict[str, Any]]) -> bool:
    """Whether a row is of ours with weights that are not those of this run."""
    wanted = environments.get(row.codec, {}).get("model_id")
    return wanted is not None and table.environments[row.environment].get("model_id") != wanted


def missing_tasks(
    table: QualityTable,
    key: str,
    paths: Sequence[Path],
    ours: OurSettings,
    found: dict[str, Any],
    options: argparse.Namespace,
) -> list[QualityTask]:
    """What is not in the table yet; rows of another model of ours do not count."""
    settings = settings_of(key, ours)
    if options.points:
        settings = tuple(spread(settings, options.points))
    lossless = key in PEERS and PEERS[key].lossless
    perceptual = frozenset() if lossless else frozenset(spread(settings, PERCEPTUAL_POINTS))
    done: dict[str, set[float]] = {path.name: set() for path in paths}
    if not options.again:
        for row in table.rows:
            same_model = not of_other_weights(table, row, {key: found})
            if row.codec == key and same_model and row.ssimulacra2 is not None and row.picture in done:
                done[row.picture].add(row.setting)
    index = table.index_of(found)
    tasks = []
    for path in paths:
        if left := tuple(setting for setting in settings if setting not in done[path.name]):
            tasks.append(QualityTask(path, left, perceptual, index))
    return tasks


def spread(settings: Sequence[float], count: int) -> list[float]:
    """So many of the settings, the first and the last among them, evenly spread."""
    if len(settings) <= count:
        return list(settings)
    return [settings[round(index * (len(settings) - 1) / (count - 1))] for index in range(count)]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VaecodecError as error:
        sys.exit(f"bench.measure.run: {error}")
