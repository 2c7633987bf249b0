"""The same figures as tables in Markdown: for the README, and for reading beside the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.measure.codecs import OURS, PEERS, REFERENCE, display_name
from bench.show.analysis import (
    PUBLISHED_SET,
    Results,
    TimeSummary,
    bd_table,
    compare,
    mean_and_deviation,
    mean_curve,
    picture_gains,
    published_table,
    summarise_times,
)
from vaecodec.evaluation import EYE_WINDOWS, WINDOWS, BDRate

# Learned peers, whose names say little, with what is known of them.
_PUBLISHED_IN_README = (
    "JPEG 2000",
    "bmshj2018-hyperprior",
    "BPG 4:4:4",
    "mbt2018-mean",
    "AV1",
    "VTM",
    "ELIC 2022",
    "Cool-chic 5.0",
)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str | None]]) -> str:
    """A table, the first column to the left, all others to the right, None as ``n/a``."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    lines += ["| " + " | ".join("n/a" if cell is None else cell for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def signed(value: float, digits: int = 1) -> str:
    """A figure with its sign, a true minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def percent(found: BDRate | None) -> str | None:
    """A BD-rate; with a star where the curves do not cover the whole window."""
    if found is None or found.percent is None:
        return None
    return signed(found.percent) + ("" if found.covers else "\\*")


def duration(seconds: float) -> str:
    """Seconds or milliseconds with three digits."""
    value, unit = (seconds * 1000, "ms") if seconds < 0.9995 else (seconds, "s")
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:#.3g} {unit}".replace(". ", " ")


def set_label(results: Results, name: str) -> str:
    """Name and size of a set."""
    count = len({row.picture for row in results.tables[name].rows})
    return f"{name.capitalize() if name == PUBLISHED_SET else name} ({count})"


def bd_rates_of_sets(results: Results) -> str:
    """BD-rates in all windows, a table for each set under its name; published codecs are marked as such."""
    lossy = [key for key in results.lossy() if key != REFERENCE]
    parts = []
    for name, table in results.tables.items():
        found = {
            f"**{display_name(key)}**" if key == OURS else display_name(key): row
            for key, row in bd_table(table, lossy).items()
        }
        if name == PUBLISHED_SET:
            published = published_table(table)
            found |= {f"*{one}, published*": row for one, row in published.items() if one in _PUBLISHED_IN_README}
        main = {label: row["main"].percent for label, row in found.items() if row["main"] is not None}
        ordered = sorted(found, key=lambda label: -(main.get(label) or 0.0))
        rows = [[label, *(percent(found[label][window]) for window in WINDOWS)] for label in ordered]
        shown = [row for row in rows if any(cell is not None for cell in row[1:])]
        parts += [f"**{set_label(results, name)}**", markdown_table(["codec", *WINDOWS], shown)]
    return "\n\n".join(parts)


def eye_rates(results: Results, reference: str = "avif") -> str | None:
    """BD-rates by SSIMULACRA2 against a peer tuned for the eye, both windows of every set; None where it was not measured."""
    rows = []
    for key in results.lossy():
        cells = []
        for table in results.tables.values():
            theirs, own = (mean_curve(table.rows, codec, "ssimulacra2") for codec in (reference, key))
            cells += [percent(compare(theirs, own, window)) for window in EYE_WINDOWS.values()]
        if key != reference and any(cell is not None for cell in cells):
            rows.append([f"**{display_name(key)}**" if key == OURS else display_name(key), *cells])
    windows = [f"{low:.0f}–{high:.0f}" for low, high in EYE_WINDOWS.values()]
    header = [f"{set_label(results, name)}, {window}" for name in results.tables for window in windows]
    return _filled_columns([f"against {display_name(reference)}", *header], rows)


def perceptual_rates(results: Results) -> str | None:
    """BD-rates in MS-SSIM and SSIMULACRA2; None where neither was measured."""
    lossy = [key for key in results.lossy() if key != REFERENCE]
    rows = []
    measured = {name: bd_table(table, lossy) for name, table in results.tables.items()}
    for key in lossy:
        cells = [percent(measured[name][key][metric]) for metric in ("ms_ssim", "ssimulacra2") for name in measured]
        if any(cell is not None for cell in cells):
            rows.append([f"**{display_name(key)}**" if key == OURS else display_name(key), *cells])
    header = [f"{metric}, {name}" for metric in ("MS-SSIM", "SSIMULACRA2") for name in results.tables]
    return _filled_columns(["codec", *header], rows)


def _filled_columns(header: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str | None:
    """A table without the columns that have no figure; None where none has one."""
    keep = [0, *(column for column in range(1, len(header)) if any(row[column] is not None for row in rows))]
    if len(keep) == 1:
        return None
    return markdown_table([header[column] for column in keep], [[row[column] for column in keep] for row in rows])


def gains_of_pictures(results: Results, reference: str = REFERENCE) -> str | None:
    """Mean, spread and extremes of our gain on single pictures; None where ours was not measured."""
    rows = []
    for name, table in results.tables.items():
        found = {
            picture: one.percent
            for picture, one in picture_gains(table, OURS, reference).items()
            if one.percent is not None
        }
        if found:
            mean, deviation = mean_and_deviation(list(found.values()))
            best, worst = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
            smaller = sum(value < 0 for value in found.values())
            rows.append([
                set_label(results, name), signed(mean), f"{deviation:.1f}", f"{smaller} of {len(found)}",
                signed(found[best]), Path(best).stem, signed(found[worst]), Path(worst).stem,
            ])  # fmt: skip
    header = [
        f"against {display_name(reference)}, %",
        "mean",
        "deviation",
        "smaller on",
        "best",
        "picture",
        "worst",
        "picture",
    ]
    return markdown_table(header, rows) if rows else None


def times(results: Results, set_name: str) -> str | None:
    """Times of one set, a table for each number of threads: median, range, and the ratio to ours; None where there are none."""
    found = [one for one in summarise_times(results.times) if one.set == set_name]
    decodes = [one for one in found if one.operation == "decode"]
    header = [
        "codec", "quality", "encode", "fastest–slowest", "decode", "fastest–slowest", "÷ ours", "rounds differ", "MB to decode",
    ]  # fmt: skip
    parts = []
    for count in sorted({one.threads for one in decodes}):
        encodes = {(one.codec, one.setting): one for one in found if (one.operation, one.threads) == ("encode", count)}
        here = [one for one in decodes if one.threads == count]
        ours = next((one.median for one in here if one.codec == OURS), None)
        rows = []
        for one in here:
            name = f"**{one.label}**" if one.codec == OURS else one.label + (f", {one.note}" if one.note else "")
            quality = "n/a" if one.psnr is None else f"{one.psnr:.1f} dB" if math.isfinite(one.psnr) else "lossless"
            encode = encodes.get((one.codec, one.setting))
            ratio = None if ours is None else times_as_long(one.median / ours)
            memory = f"{one.peak_mb - one.base_mb:.0f}"
            rows.append(
                [
                    name,
                    quality,
                    *_time_cells(encode),
                    *_time_cells(one),
                    ratio,
                    f"{100 * one.rounds_differ:.0f} %",
                    memory,
                ]
            )
        parts += [f"**{'1 thread' if count == 1 else f'{count} threads'}**", markdown_table(header, rows)]
    return "\n\n".join(parts) or None


def _time_cells(one: TimeSummary | None) -> tuple[str | None, str | None]:
    """Median, and the fastest and the slowest."""
    return (None, None) if one is None else (duration(one.median), f"{duration(one.fastest)}–{duration(one.slowest)}")


def times_as_long(ratio: float) -> str:
    """A ratio with two digits, without an exponent."""
    return f"{float(f'{ratio:.2g}'):g}"


def time_ratios(results: Results) -> str | None:
    """Decoding time of the peers that matter as a multiple of ours, in the same run at one thread; None without ours."""
    rows = []
    for one in summarise_times(results.times):
        if one.operation == "decode" and one.codec == OURS and one.threads == 1:
            cells = []
            for name, setting in (("mbt2018-mean", 4.0), ("avif", None), ("jxl", None), ("jpeg", None)):
                peers = [
                    other for other in summarise_times(results.times)
                    if (other.codec, other.operation, other.set, other.threads) == (name, "decode", one.set, 1)
                    and setting in (None, other.setting)
                ]  # fmt: skip
                cells.append(times_as_long(peers[0].median / one.median) if peers else None)
            rows.append([f"{one.set}, {one.megapixels:.2f} MP", duration(one.median), *cells])
    header = ["picture", "vaecodec decodes in", "mbt2018-mean ÷ ours", "AVIF ÷ ours", "JPEG XL ÷ ours", "JPEG ÷ ours"]
    return markdown_table(header, rows) if rows else None


def costs(results: Results) -> str | None:
    """Thousands of multiply–accumulates per pixel; None where they were not counted."""
    rows = []
    for name, cost in results.costs.items():
        label = f"**{name}**" if name == OURS else name.replace("@", ", level ")
        decode = cost["synthesis"] + cost["prior"]
        rows.append([label, *(f"{cost[half]:.1f}" for half in ("analysis", "synthesis", "prior")), f"{decode:.1f}"])
    return markdown_table(["kMAC per pixel", "analysis", "synthesis", "prior", "decoding"], rows) if rows else None


def lossless(results: Results) -> str | None:
    """Mean bits per pixel of lossless codecs; None where none was measured."""
    rows = []
    for key in results.codecs():
        if key in PEERS and PEERS[key].lossless:
            rows.append([display_name(key), *(lossless_rate(results, name, key) for name in results.tables)])
    return markdown_table(["lossless, bits per pixel", *results.tables], rows) if rows else None


def lossless_rate(results: Results, name: str, key: str) -> str | None:
    """Mean rate of a lossless codec on a set."""
    rates = [row.bpp for row in results.tables[name].rows if row.codec == key]
    return f"{sum(rates) / len(rates):.2f}" if rates else None


def our_curve(results: Results) -> str | None:
    """Our quality scale on the sets: what a setting gives in rate and PSNR; None where ours was not measured."""
    curves = {
        name: {point.setting: point for point in mean_curve(table.rows, OURS, "psnr")}
        for name, table in results.tables.items()
    }
    header = ["quality", *(f"{name}, {unit}" for name in curves for unit in ("bpp", "dB"))]
    rows = []
    for setting in sorted({setting for curve in curves.values() for setting in curve}):
        cells: list[str | None] = [f"{setting:g}"]
        for curve in curves.values():
            point = curve.get(setting)
            cells += [None, None] if point is None else [f"{point.bpp:.3f}", f"{point.quality:.2f}"]
        rows.append(cells)
    return markdown_table(header, rows) if rows else None


def provenance(results: Results) -> str:
    """Machine, threads and versions, in one paragraph."""
    environments = results.environments()
    machines = sorted({f"{one['machine']}, {one['cores']} cores" for one in environments})
    versions: dict[str, set[str]] = {}
    for one in environments:
        for package, version in one["versions"].items():
            versions.setdefault(package, set()).add(version)
    listed = ", ".join(f"{package} {' and '.join(sorted(found))}" for package, found in sorted(versions.items()))
    models = sorted({f"{one['model']} ({one['model_id']})" for one in environments if "model_id" in one})
    threads = sorted({row.threads for row in results.times})
    parts = [f"Measured on {'; '.join(machines)}"]
    if threads:
        parts.append(f"times at {' and '.join(map(str, threads))} thread{'s' if threads != [1] else ''}")
    if models:
        parts.append(f"weights {', '.join(models)}")
    return "; ".join(parts) + f". Versions: {listed}."


def times_note(results: Results) -> str:
    """What has to be known to read the times."""
    found = summarise_times(results.times)
    if not found:
        return ""
    repeats = sorted({one.repeats for one in found})
    rounds = max(len(one.rounds) for one in found)
    spread = f"{repeats[0]}" if len(repeats) == 1 else f"{repeats[0]} to {repeats[-1]}"
    within = sum(one.rounds_differ <= one.spread for one in found)
    largest = max(one.rounds_differ for one in found)
    return (
        f"Median of {spread} repeats in {rounds} rounds, fastest and slowest beside it; every operation in a fresh process, after a "
        f"warm-up. The medians of the rounds lie within the printed spread in {within} of {len(found)} measurements and differ by at "
        f"most {100 * largest:.0f} %. The machine is shared: ratios within the run mean more than times. Learned peers run with random "
        "weights, which take as long in the transforms; their files mean nothing and are not shown."
    )
