"""The same figures as tables in Markdown: for the README, and for reading beside the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

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
    """Main / wide / low / high of every codec, all sets side by side, and published codecs marked as such."""
    lossy = [key for key in results.lossy() if key != REFERENCE]
    measured = {name: bd_table(table, lossy) for name, table in results.tables.items()}

    def cell(row: dict[str, BDRate | None]) -> str | None:
        shown = [percent(row[window]) for window in WINDOWS]
        return None if all(one is None for one in shown) else " / ".join("n/a" if one is None else one for one in shown)

    def rank(key: str) -> float:
        found = next((measured[name][key]["main"] for name in measured), None)
        return found.percent if found and found.percent is not None else 0.0

    rows: list[tuple[float, list[str | None]]] = []
    for key in lossy:
        name = f"**{display_name(key)}**" if key == OURS else display_name(key)
        rows.append((rank(key), [name, *(cell(measured[one][key]) for one in measured)]))
    if PUBLISHED_SET in results.tables:
        for name, row in published_table(results.tables[PUBLISHED_SET]).items():
            if name in _PUBLISHED_IN_README and (main := row["main"]) and main.percent is not None:
                others = ["" for one in measured if one != PUBLISHED_SET]
                rows.append((main.percent, [f"*{name}, published*", cell(row), *others]))
    ordered = [row for _, row in sorted(rows, key=lambda one: -one[0])]
    return markdown_table(["codec", *(set_label(results, name) for name in results.tables)], ordered)


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
    return markdown_table([f"against {display_name(reference)}", *header], rows) if rows else None


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
    keep = [0] + [column for column in range(1, len(header) + 1) if any(row[column] is not None for row in rows)]
    if not rows or len(keep) == 1:
        return None
    return markdown_table(
        ["codec", *(header[column - 1] for column in keep[1:])], [[row[column] for column in keep] for row in rows]
    )


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
                set_label(results, name), f"{signed(mean)} ± {deviation:.1f}", f"{signed(found[best])} ({best})",
                f"{signed(found[worst])} ({worst})", f"{smaller} of {len(found)}",
            ])  # fmt: skip
    header = [
        f"pictures, against {display_name(reference)}",
        "mean ± standard deviation, %",
        "best",
        "worst",
        "smaller on",
    ]
    return markdown_table(header, rows) if rows else None


def times(results: Results, set_name: str) -> str | None:
    """Times of one set: median (fastest–slowest), and the ratio to ours; None where there are none."""
    found = [one for one in summarise_times(results.times) if one.set == set_name]
    decodes = [one for one in found if one.operation == "decode"]
    if not decodes:
        return None
    threads = sorted({one.threads for one in decodes})

    def shown(one: TimeSummary | None) -> str | None:
        return None if one is None else f"{duration(one.median)} ({duration(one.fastest)}–{duration(one.slowest)})"

    def find(like: TimeSummary, operation: str, count: int) -> TimeSummary | None:
        same = (
            one
            for one in found
            if (one.codec, one.setting, one.operation, one.threads) == (like.codec, like.setting, operation, count)
        )
        return next(same, None)

    ours = {one.threads: one for one in decodes if one.codec == OURS}
    rows = []
    for one in (one for one in decodes if one.threads == threads[0]):
        name = f"**{one.label}**" if one.codec == OURS else one.label + (f", {one.note}" if one.note else "")
        quality = "n/a" if one.psnr is None else f"{one.psnr:.1f} dB" if math.isfinite(one.psnr) else "lossless"
        cells: list[str | None] = [name, quality]
        for count in threads:
            encode, decode = find(one, "encode", count), find(one, "decode", count)
            ratio = f"{decode.median / ours[count].median:.2g}" if decode and count in ours else None
            cells += [shown(encode), shown(decode), ratio]
        largest = max((other.rounds_differ for count in threads if (other := find(one, "decode", count))), default=0.0)
        cells += [f"{100 * largest:.0f} %", f"{one.peak_mb - one.base_mb:.0f}"]
        rows.append(cells)
    header = ["codec", "quality"]
    for count in threads:
        label = "1 thread" if count == 1 else f"{count} threads"
        header += [f"encode, {label}", f"decode, {label}", "decode ÷ ours"]
    return markdown_table([*header, "rounds differ", "MB to decode"], rows)


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
                cells.append(f"{peers[0].median / one.median:.2g}" if peers else None)
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
    settings = sorted({setting for curve in curves.values() for setting in curve})
    rows = [
        [f"{setting:g}", *(f"{curve[setting].bpp:.3f} bpp, {curve[setting].quality:.2f} dB" if setting in curve else None for curve in curves.values())]
        for setting in settings
    ]  # fmt: skip
    return markdown_table(["quality", *curves], rows) if rows else None


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
