"""From rows to figures: mean curves, BD-rates, gains picture by picture, times with their spread, cost against size."""

from __future__ import annotations

import itertools
import json
import math
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.measure.codecs import OURS, PEERS, REFERENCE, display_name
from bench.measure.rows import (
    SIZES_FILE,
    TIMES_FILE,
    Environment,
    QualityRow,
    QualityTable,
    TimeRow,
    find_tables,
    read_table,
    read_times,
)
from vaecodec.errors import UsageError
from vaecodec.evaluation import EYE_WINDOWS, WINDOWS, BDRate, bd_rate, ms_ssim_db

PUBLISHED_FILE = Path(__file__).parent / "published_kodak.json"
COSTS_FILE = "cost.json"

# What rows of time say of learned codecs whose weights cannot be had.
RANDOM_WEIGHTS = "random weights"

# The set that published curves are of.
PUBLISHED_SET = "kodak"

METRICS = ("psnr", "ms_ssim", "ssimulacra2")

# Order of the sets wherever they stand side by side.
_SET_ORDER = {"kodak": 0, "val": 1, "val-large": 2}


@dataclass(frozen=True)
class Point:
    """One point of a rate–quality curve: bits per pixel and quality, MS-SSIM in dB."""

    setting: float
    bpp: float
    quality: float


@dataclass(frozen=True)
class Published:
    """A curve that somebody else measured on Kodak.

    Attributes:
        name: what people call the codec.
        source: where the figures are from.
        psnr: its points in dB of RGB PSNR.
        ms_ssim: its points in dB of MS-SSIM; empty where not published.
    """

    name: str
    source: str
    psnr: tuple[Point, ...]
    ms_ssim: tuple[Point, ...]

    def curve(self, metric: str) -> tuple[Point, ...]:
        """The points in one metric; none where they were not published."""
        return {"psnr": self.psnr, "ms_ssim": self.ms_ssim}.get(metric, ())


@dataclass(frozen=True)
class Results:
    """All rows of a folder of results."""

    tables: Mapping[str, QualityTable]
    times: Sequence[TimeRow]
    sizes: Sequence[TimeRow]
    costs: Mapping[str, Mapping[str, float]]

    def codecs(self) -> list[str]:
        """Keys of the codecs that have rows, ours first, then in the order of the peers."""
        seen = {row.codec for table in self.tables.values() for row in table.rows}
        return [key for key in (OURS, *PEERS) if key in seen]

    def lossy(self) -> list[str]:
        """The same without lossless codecs."""
        return [key for key in self.codecs() if key == OURS or not PEERS[key].lossless]

    def environments(self) -> list[Environment]:
        """All environments that rows were measured in, without repetition."""
        found: list[Environment] = []
        for environment in [e for table in self.tables.values() for e in table.environments]:
            if environment not in found:
                found.append(environment)
        for row in (*self.times, *self.sizes):
            plain = {key: value for key, value in row.environment.items() if key != "run"}
            if plain not in found:
                found.append(plain)
        return found


def load_results(folder: Path) -> Results:
    """Reads what `bench.measure.run` wrote.

    Raises:
        UsageError: there are no results in the folder, or damaged ones.
    """
    paths = find_tables(folder)
    names = sorted(paths, key=lambda name: (_SET_ORDER.get(name, len(_SET_ORDER)), name))
    costs_path = folder / COSTS_FILE
    costs = json.loads(costs_path.read_text(encoding="utf-8")) if costs_path.exists() else {}
    tables = {name: complete(read_table(paths[name]).latest(), name) for name in names}
    return Results(tables, read_times(folder / TIMES_FILE), read_times(folder / SIZES_FILE), costs)


def complete(table: QualityTable, name: str) -> QualityTable:
    """Leaves out codecs that were not measured on every picture: means over different pictures cannot be compared."""
    pictures: dict[str, set[str]] = {}
    for row in table.rows:
        pictures.setdefault(row.codec, set()).add(row.picture)
    every = set().union(*pictures.values())
    for codec, found in pictures.items():
        if found != every:
            print(f"{name}: {codec} was measured on {len(found)} of {len(every)} pictures, left out", file=sys.stderr)
    return QualityTable([row for row in table.rows if pictures[row.codec] == every], table.environments)


def load_published(path: Path = PUBLISHED_FILE) -> list[Published]:
    """Reads the published curves."""
    curves = []
    for name, values in json.loads(path.read_text(encoding="utf-8")).items():
        psnr = zip(values["bpp"], values["psnr_rgb"], strict=True)
        ms_ssim = zip(values["bpp"], values["ms_ssim_rgb"], strict=True) if "ms_ssim_rgb" in values else ()
        curves.append(
            Published(
                name,
                values["source"],
                tuple(Point(math.nan, bpp, quality) for bpp, quality in sorted(psnr)),
                tuple(Point(math.nan, bpp, ms_ssim_db(value)) for bpp, value in sorted(ms_ssim)),
            )
        )
    return curves


def value_of(row: QualityRow, metric: str) -> float | None:
    """Quality of a row in one metric, MS-SSIM in dB."""
    if metric == "psnr":
        return row.psnr
    if metric == "ssimulacra2":
        return row.ssimulacra2
    return None if row.ms_ssim is None else ms_ssim_db(row.ms_ssim)


def mean_curve(rows: Iterable[QualityRow], codec: str, metric: str) -> list[Point]:
    """Means of rate and quality over the pictures, for each setting at which every picture was measured.

    MS-SSIM is averaged as it is and put into dB afterwards.
    """
    by_setting: dict[float, list[QualityRow]] = {}
    pictures: set[str] = set()
    for row in rows:
        if row.codec == codec:
            by_setting.setdefault(row.setting, []).append(row)
            pictures.add(row.picture)
    points = []
    for setting, chosen in sorted(by_setting.items()):
        plain = [row.ms_ssim if metric == "ms_ssim" else value_of(row, metric) for row in chosen]
        known = [value for value in plain if value is not None and math.isfinite(value)]
        if len(known) == len(pictures):
            quality = statistics.fmean(known)
            bpp = statistics.fmean(row.bpp for row in chosen)
            points.append(Point(setting, bpp, ms_ssim_db(quality) if metric == "ms_ssim" else quality))
    return points


def compare(
    reference: Sequence[Point], tested: Sequence[Point], window: tuple[float, float] | None, *, fewest: int = 8
) -> BDRate | None:
    """BD-rate of two curves; None where one of them has too few points, or does not rise.

    Published curves of fewer points than the protocol asks for are let through with a smaller ``fewest``, and marked where shown.
    """
    curves = [[(point.bpp, point.quality) for point in points] for points in (reference, tested)]
    if min(map(len, curves)) < fewest:
        return None
    try:
        return bd_rate(_filled(curves[0]), _filled(curves[1]), window)
    except UsageError:
        return None


def _filled(curve: list[tuple[float, float]]) -> list[tuple[float, float | None]]:
    """The same curve with enough points for `bd_rate`: added points lie on its PCHIP interpolant, which they do not change much."""
    points: list[tuple[float, float | None]] = list(curve)
    if 2 <= len(points) < 8:
        from scipy.interpolate import PchipInterpolator

        ordered = sorted(curve, key=lambda point: point[1])
        qualities = np.array([quality for _, quality in ordered])
        interpolant = PchipInterpolator(qualities, np.log([rate for rate, _ in ordered]))
        between = np.concatenate([np.linspace(a, b, 9)[1:-1] for a, b in itertools.pairwise(qualities)])
        points += [(float(np.exp(interpolant(quality))), float(quality)) for quality in between]
    return points


def rising(points: Sequence[Point]) -> list[Point]:
    """Leaves out points at which quality does not rise with rate, as single pictures have at times."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: point.bpp):
        if not kept or (point.quality > kept[-1].quality and point.bpp > kept[-1].bpp):
            kept.append(point)
    return kept


def picture_curves(rows: Iterable[QualityRow], codec: str, metric: str = "psnr") -> dict[str, list[Point]]:
    """Curves of one codec, picture by picture."""
    curves: dict[str, list[Point]] = {}
    for row in rows:
        value = value_of(row, metric) if row.codec == codec else None
        if value is not None and math.isfinite(value):
            curves.setdefault(row.picture, []).append(Point(row.setting, row.bpp, value))
    return {name: rising(points) for name, points in sorted(curves.items())}


def windows_of(metric: str) -> Mapping[str, tuple[float, float]]:
    """The windows of BD-rates by a metric, by name; the usual one first."""
    return EYE_WINDOWS if metric == "ssimulacra2" else WINDOWS


def picture_gains(
    table: QualityTable, tested: str, reference: str, window: str = "main", metric: str = "psnr"
) -> dict[str, BDRate]:
    """BD-rates of single pictures; a picture whose curves do not meet in the window is left out."""
    ours, theirs = (picture_curves(table.rows, codec, metric) for codec in (tested, reference))
    windows = windows_of(metric)
    gains = {}
    for name in sorted(set(ours) & set(theirs)):
        found = compare(theirs[name], ours[name], windows[window], fewest=4)
        if found is not None and found.percent is not None:
            gains[name] = found
    return gains


def bd_table(
    table: QualityTable, codecs: Sequence[str], reference: str = REFERENCE
) -> dict[str, dict[str, BDRate | None]]:
    """BD-rates of every codec against the reference: the four windows of PSNR, and the overlap in the other metrics."""
    curves = {metric: mean_curve(table.rows, reference, metric) for metric in METRICS}
    found = {}
    for key in codecs:
        if key == reference:
            continue
        psnr = mean_curve(table.rows, key, "psnr")
        row = {name: compare(curves["psnr"], psnr, window) for name, window in WINDOWS.items()}
        for metric in METRICS[1:]:
            row[metric] = compare(curves[metric], mean_curve(table.rows, key, metric), None)
        found[key] = row
    return found


def published_table(table: QualityTable, reference: str = REFERENCE) -> dict[str, dict[str, BDRate | None]]:
    """BD-rates of published curves against the reference that was measured here."""
    ours = mean_curve(table.rows, reference, "psnr")
    return {
        curve.name: {name: compare(ours, curve.psnr, window, fewest=5) for name, window in WINDOWS.items()}
        for curve in load_published()
    }


@dataclass(frozen=True)
class TimeSummary:
    """All repeats of one operation of one codec on one picture at one number of threads.

    Attributes:
        codec: its key.
        setting: its setting.
        operation: ``encode`` or ``decode``.
        set: name of the set that the picture is of.
        picture: its name.
        megapixels: its size.
        bytes: size of the coded file.
        psnr: of the decoded file, or None where weights are random.
        threads: that it was allowed.
        median: seconds, over all repeats of all rounds.
        fastest: the shortest repeat.
        slowest: the longest repeat.
        rounds: the median of each round.
        repeats: how many there are in all.
        peak_mb: largest resident set.
        base_mb: resident set before the operation.
        note: what a reader has to know.
    """

    codec: str
    setting: float
    operation: str
    set: str
    picture: str
    megapixels: float
    bytes: int
    psnr: float | None
    threads: int
    median: float
    fastest: float
    slowest: float
    rounds: tuple[float, ...]
    repeats: int
    peak_mb: float
    base_mb: float
    note: str

    @property
    def rounds_differ(self) -> float:
        """How far the medians of the rounds lie apart, as a part of the median."""
        return (max(self.rounds) - min(self.rounds)) / self.median

    @property
    def spread(self) -> float:
        """From the shortest to the longest repeat, as a part of the median."""
        return (self.slowest - self.fastest) / self.median

    @property
    def label(self) -> str:
        """What people call the codec, with its level where it is a learned one."""
        return f"{self.codec}, level {self.setting:g}" if self.note == RANDOM_WEIGHTS else display_name(self.codec)


def summarise_times(rows: Sequence[TimeRow]) -> list[TimeSummary]:
    """Puts the rounds of each measurement together."""
    groups: dict[tuple[object, ...], list[TimeRow]] = {}
    for row in rows:
        groups.setdefault((row.codec, row.setting, row.operation, row.set, row.picture, row.threads), []).append(row)
    found = []
    for group in groups.values():
        first = group[0]
        seconds = [second for row in group for second in row.seconds]
        found.append(
            TimeSummary(
                first.codec, first.setting, first.operation, first.set, first.picture, first.megapixels, first.bytes,
                first.psnr, first.threads, statistics.median(seconds), min(seconds), max(seconds),
                tuple(statistics.median(row.seconds) for row in sorted(group, key=lambda row: row.round)), len(seconds),
                max(row.peak_mb for row in group), min(row.base_mb for row in group), first.note,
            )
        )  # fmt: skip
    order = {key: index for index, key in enumerate((OURS, *PEERS))}
    return sorted(
        found, key=lambda one: (one.set, order.get(one.codec, len(order)), one.codec, one.setting, one.threads)
    )


def fitted_exponent(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """Exponent k of ``value ∝ size^k``, by least squares on logarithms; None with fewer than three sizes."""
    if len(set(sizes)) < 3 or min(values) <= 0:
        return None
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation; the latter 0 for a single value."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0
