"""The page and the tables that show the rows of a folder of results.

    python -m bench.show.report RESULTS [-o PAGE] [--pictures DIR [DIR...]] [--model NAME]

One self-contained HTML file: no script, font or picture comes from anywhere else. With the folders of pictures it has a viewer of
crops too, for which vaecodec and the peers beside it code these pictures again.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.measure.codecs import OURS, OURS_WITH_EFFORT, PEERS, REFERENCE, OurSettings, display_name
from bench.measure.rows import TimeRow
from bench.show import markdown
from bench.show.analysis import (
    METRICS,
    PUBLISHED_SET,
    RANDOM_WEIGHTS,
    Results,
    bd_table,
    compare,
    fitted_exponent,
    load_published,
    load_results,
    mean_curve,
    picture_gains,
    published_table,
    summarise_times,
)
from vaecodec.api import DEFAULT_MODEL
from vaecodec.errors import VaecodecError
from vaecodec.evaluation import EYE_WINDOWS, WINDOWS, BDRate, find_pictures
from vaecodec.version import __version__

PAGE_FOLDER = Path(__file__).parent / "page"

COLOURS = {
    OURS: "#d9480f", OURS_WITH_EFFORT: "#f59f00", "jpeg": "#475569", "jpeg444": "#94a3b8", "jpeg2000": "#8d6e63", "webp": "#0d9488", "jxl": "#a855f7",
    "avif": "#2563eb", "avif-psnr": "#60a5fa", "heic": "#ca8a04",
}  # fmt: skip

# Range of the vertical axis in each metric.
AXES = {"psnr": (23, 44), "ms_ssim": (6, 25), "ssimulacra2": (0, 95)}

# Whom our gains on single pictures are shown against.
GAIN_REFERENCES = (REFERENCE, "webp", "avif")

TIMED_PSNR = 33


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.show.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, metavar="RESULTS", help="folder of rows that bench.measure.run wrote")
    parser.add_argument(
        "-o", "--output", type=Path, help="the page [RESULTS/index.html]; tables lie beside it as Markdown"
    )
    parser.add_argument("--pictures", type=Path, nargs="*", default=[], metavar="DIR", help="folders, for the viewer")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or weights file, for the viewer [%(default)s]")
    options = parser.parse_args(arguments)
    page = options.output or options.results / "index.html"
    written = write_report(options.results, page, options.pictures, OurSettings(options.model))
    print("\n".join(map(str, written)))
    return 0


def write_report(folder: Path, page: Path, pictures: Sequence[Path], ours: OurSettings) -> tuple[Path, Path]:
    """Writes the page, and the tables as Markdown beside it.

    Args:
        folder: of results.
        page: the HTML file to write.
        pictures: folders of the sets' pictures; those that have no rows of ours are left out of the viewer.
        ours: model for the viewer.

    Returns:
        Paths of the page and of the Markdown file.

    Raises:
        UsageError: there are no results in the folder.
    """
    results = load_results(folder)
    shown = [path for path in pictures if path.resolve().name in results.tables]
    crops: list[dict[str, Any]] = []
    if OURS in results.codecs() and shown:
        from bench.show.viewer import build_crops

        crops = build_crops(shown, ours)
    data = page_data(results) | {"crops": crops, "thumbnails": thumbnails(results, shown)}
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(page_text(data), encoding="utf-8")
    tables = page.with_suffix(".md")
    tables.write_text(markdown_text(results), encoding="utf-8")
    return page, tables


def page_text(data: dict[str, Any]) -> str:
    """Puts style, script and data into the one file."""
    text = (PAGE_FOLDER / "page.html").read_text(encoding="utf-8")
    # In a script element, "</" would end it.
    packed = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("</", "<\\/")
    parts = {
        "/*STYLE*/": (PAGE_FOLDER / "page.css").read_text(encoding="utf-8"),
        "/*SCRIPT*/": (PAGE_FOLDER / "page.js").read_text(encoding="utf-8"),
        "/*DATA*/": packed,
    }
    for mark, part in parts.items():
        before, after = text.split(mark)
        text = before + part + after
    return text


def page_data(results: Results) -> dict[str, Any]:
    """All figures of the page, ready for JSON."""
    lossy = results.lossy()
    curves = {
        name: {metric: {key: mean_curve(table.rows, key, metric) for key in lossy} for metric in METRICS}
        for name, table in results.tables.items()
    }
    published = load_published()
    return {
        "version": __version__ if OURS in results.codecs() else "(not among these rows)",
        "lead": lead(results),
        "cards": cards(results),
        "sets": [{"name": name, "label": markdown.set_label(results, name)} for name in results.tables],
        "codecs": [codec_facts(key) for key in results.codecs()],
        "axes": AXES,
        "timed_psnr": TIMED_PSNR,
        "curves": {
            name: {
                metric: {
                    key: [(round(point.bpp, 5), round(point.quality, 4), point.setting) for point in points]
                    for key, points in by_codec.items()
                }
                for metric, by_codec in by_metric.items()
            }
            for name, by_metric in curves.items()
        },
        "published_set": PUBLISHED_SET,
        "published": [
            {
                "name": curve.name,
                "source": curve.source,
                "psnr": [(point.bpp, point.quality, None) for point in curve.psnr],
                "ms_ssim": [(point.bpp, round(point.quality, 4), None) for point in curve.ms_ssim],
            }
            for curve in published
        ],
        "bd": {
            name: {key: {column: _bd(found) for column, found in row.items()} for key, row in bd_table(table, lossy).items()}
            for name, table in results.tables.items()
        },
        "published_bd": {
            name: {window: _bd(found) for window, found in row.items()}
            for name, row in (published_table(results.tables[PUBLISHED_SET]) if PUBLISHED_SET in results.tables else {}).items()
        },
        "matrix": {
            name: {window: matrix(by_metric["psnr"], window) for window in WINDOWS} for name, by_metric in curves.items()
        },
        "times": times(results),
        "times_note": markdown.times_note(results),
        "costs": [{"name": name.replace("@", ", level ")} | dict(cost) for name, cost in results.costs.items()],
        "sizes": sizes(results.sizes),
        "gains": gains(results),
        "lossless": lossless(results),
        "environments": environments(results),
    }  # fmt: skip


def _bd(found: BDRate | None) -> dict[str, Any] | None:
    if found is None or found.percent is None:
        return None
    return {"percent": round(found.percent, 3), "covers": found.covers, "low": found.low, "high": found.high}


def codec_facts(key: str) -> dict[str, str]:
    """What the page says about a codec."""
    if key == OURS:
        return {
            "key": key,
            "name": key,
            "what": "this package, on the processor",
            "licence": "MIT",
            "colour": COLOURS[key],
        }
    peer = PEERS[key]
    colour = COLOURS.get(key, "#64748b")
    return {"key": key, "name": peer.name, "what": peer.what, "licence": peer.licence, "colour": colour}


def lead(results: Results) -> str:
    """One sentence on what was measured."""
    pictures = sum(len({row.picture for row in table.rows}) for table in results.tables.values())
    files = sum(len(table.rows) for table in results.tables.values())
    peers = len([key for key in results.lossy() if key != OURS])
    sets = len(results.tables)
    return (
        f"{files:,} files of {pictures} pictures in {sets} set{'s' if sets > 1 else ''}, coded, decoded and compared: "
        f"{'vaecodec and ' if OURS in results.codecs() else ''}{peers} codecs that people use, measured in the same way, beside curves "
        "that others have published."
    )


def cards(results: Results) -> list[dict[str, str]]:
    """The figures at the top of the page."""
    found = []
    if OURS in results.codecs():
        found += [
            card
            for metric, reference in (("ssimulacra2", "avif"), ("psnr", REFERENCE), ("psnr", "avif"))
            if (card := _saving(results, metric, reference))
        ]
    times = [one for one in summarise_times(results.times) if one.operation == "decode" and one.threads == 1]
    for ours in [one for one in times if one.codec == OURS][:1]:
        text = f"to decode {ours.megapixels:.2f} megapixels at {ours.psnr:.0f} dB on one thread"
        same = [one for one in times if one.set == ours.set]
        takes = [f"{o.codec} takes {o.median / ours.median:.1f} × as long" for o in same if o.codec == "mbt2018-mean"][
            :1
        ]
        takes += [f"{display_name(o.codec)} {o.median / ours.median:.2f} ×" for o in same if o.codec == "avif"]
        if takes:
            text += "; " + ", ".join(takes)
        found.append({"figure": markdown.duration(ours.median), "text": text})
    if OURS in results.costs:
        cost = results.costs[OURS]
        others = [c["synthesis"] + c["prior"] for name, c in results.costs.items() if name.startswith("mbt2018-mean")]
        compared = f"; {others[0]:.0f} for mbt2018-mean" if others else ""
        figure = f"{cost['synthesis'] + cost['prior']:.1f} kMAC"
        found.append({"figure": figure, "text": f"multiply–accumulates per pixel to decode, in thousands{compared}"})
    return found


def _saving(results: Results, metric: str, reference: str) -> dict[str, str] | None:
    """Bytes against a peer at equal quality: the first set's figure, those of the others in the text; None where not measured."""
    window = EYE_WINDOWS["eye"] if metric == "ssimulacra2" else WINDOWS["main"]
    shown = {}
    for name, table in results.tables.items():
        one = compare(mean_curve(table.rows, reference, metric), mean_curve(table.rows, OURS, metric), window)
        if one is not None and one.percent is not None:
            shown[name] = markdown.signed(one.percent, 0) + "\N{NO-BREAK SPACE}%"
    if not shown:
        return None
    (first, figure), *others = shown.items()
    label = "SSIMULACRA2" if metric == "ssimulacra2" else "PSNR"
    text = f"bytes against {display_name(reference)} at equal {label} on {first}"
    return {"figure": figure, "text": "; ".join([text, *(f"{value} on {name}" for name, value in others)])}


def matrix(curves: dict[str, Any], window: str) -> dict[str, dict[str, float | None]]:
    """BD-rate of every codec (outer key) against every other."""
    found: dict[str, dict[str, float | None]] = {}
    for tested, points in curves.items():
        found[tested] = {}
        for reference, others in curves.items():
            one = None if tested == reference else compare(others, points, WINDOWS[window])
            found[tested][reference] = None if one is None or one.percent is None else round(one.percent, 2)
    return found


def times(results: Results) -> list[dict[str, Any]]:
    """Every time, with the BD-rate that belongs to its codec: measured, or published for learned ones."""
    measured = {name: bd_table(table, results.lossy()) for name, table in results.tables.items()}
    published = published_table(results.tables[PUBLISHED_SET]) if PUBLISHED_SET in results.tables else {}
    found = []
    for one in summarise_times(results.times):
        rates = published.get(one.codec) if one.note else measured.get(one.set, {}).get(one.codec)
        main = rates["main"] if rates else None
        bd = 0.0 if one.codec == REFERENCE else None if main is None else main.percent
        values = {name: getattr(one, name) for name in one.__dataclass_fields__}
        values |= {"label": one.label, "spread": one.spread, "rounds_differ": one.rounds_differ, "bd": bd}
        values |= {"lossless": one.psnr == math.inf, "random": one.note == RANDOM_WEIGHTS}
        if one.psnr == math.inf:
            values["psnr"] = None
        found.append(values)
    return found


def sizes(rows: Sequence[TimeRow]) -> list[dict[str, Any]]:
    """Time and memory against size, a line for each codec and operation, with the fitted exponents."""
    found = []
    for key in dict.fromkeys(row.codec for row in rows):
        for operation in ("decode", "encode"):
            chosen = sorted(
                (row for row in rows if row.codec == key and row.operation == operation), key=lambda r: r.megapixels
            )
            pixels = [row.megapixels for row in chosen]
            # Less than a page of memory is below what can be told.
            added = [max(row.peak_mb - row.base_mb, 0.1) for row in chosen]
            for what, values in ((operation, [min(row.seconds) for row in chosen]), (f"{operation}_mb", added)):
                exponent = fitted_exponent(pixels, values)
                found.append(
                    {"codec": key, "what": what, "points": list(zip(pixels, values, strict=True)), "exponent": exponent}
                )
    return found


def gains(results: Results) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Our BD-rates picture by picture, by set and by whom they are against."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name, table in results.tables.items():
        found[name] = {}
        for reference in GAIN_REFERENCES:
            listed = [
                {"picture": picture} | (_bd(one) or {})
                for picture, one in picture_gains(table, OURS, reference).items()
            ]
            if listed:
                found[name][reference] = listed
    return found


def thumbnails(results: Results, folders: Sequence[Path]) -> dict[str, str]:
    """Small pictures of the five that gain least in each set against each reference."""
    from bench.show.viewer import thumbnail

    found = {}
    paths = {folder.resolve().name: {path.name: path for path in find_pictures(folder)} for folder in folders}
    for name, by_reference in gains(results).items():
        for listed in by_reference.values():
            for one in sorted(listed, key=lambda gain: float(gain["percent"]))[-5:]:
                if path := paths.get(name, {}).get(one["picture"]):
                    found[f"{name}/{path.name}"] = thumbnail(path)
    return found


def lossless(results: Results) -> list[dict[str, Any]]:
    """Mean rates of lossless codecs."""
    found = []
    for key in results.codecs():
        if key in PEERS and PEERS[key].lossless:
            rates = [markdown.lossless_rate(results, name, key) for name in results.tables]
            found.append({"codec": key, "bpp": [None if rate is None else float(rate) for rate in rates]})
    return found


def environments(results: Results) -> list[dict[str, str]]:
    """Machines and versions as text."""
    found = []
    for one in results.environments():
        versions = ", ".join(f"{package} {version}" for package, version in sorted(one["versions"].items()))
        facts = {"machine": f"{one['machine']}, {one['cores']} cores, {one['system']}", "versions": versions}
        if "model_id" in one:
            facts["weights"] = f"{one['model']}, id {one['model_id']}"
        if facts not in found:
            found.append(facts)
    return found


def markdown_text(results: Results) -> str:
    """All tables as one document."""
    parts = [
        "# vaecodec, measured",
        lead(results),
        "## BD-rate against JPEG 4:2:0, in per cent, in four windows",
    ]
    parts += [markdown.bd_rates_of_sets(results), "Negative is better. \\* the curve does not cover the whole window."]
    sections: list[tuple[str, str | None]] = [
        ("BD-rate in other metrics", markdown.perceptual_rates(results)),
        ("Single pictures, main window", markdown.gains_of_pictures(results)),
        ("Single pictures against AVIF", markdown.gains_of_pictures(results, "avif")),
        ("Our quality scale", markdown.our_curve(results)),
        ("Decoding time, ratios", markdown.time_ratios(results)),
        *((f"Times, one picture of {name}", markdown.times(results, name)) for name in results.tables),
        ("Work per pixel", markdown.costs(results)),
        ("Cost against size", size_table(results)),
        ("Lossless", markdown.lossless(results)),
    ]
    for title, text in sections:
        if text is not None:
            parts += [f"## {title}", text]
    if results.times:
        parts.append(markdown.times_note(results))
    return "\n\n".join([*parts, "## Machine and versions", markdown.provenance(results)]) + "\n"


def size_table(results: Results) -> str | None:
    """Time and memory of the largest picture, and the exponents; None where not measured."""
    found = {(one["codec"], one["what"]): one for one in sizes(results.sizes)}
    rows = []
    for key in dict.fromkeys(codec for codec, _ in found):
        for what, words in (
            ("encode", "time to encode"),
            ("decode", "time to decode"),
            ("encode_mb", "memory to encode"),
            ("decode_mb", "memory to decode"),
        ):
            one = found[key, what]
            pixels, value = one["points"][-1]
            shown = f"{value:.0f} MB" if what.endswith("_mb") else markdown.duration(value)
            exponent = None if one["exponent"] is None else f"{one['exponent']:.2f}"
            rows.append([f"{display_name(key)}, {words}", f"{pixels:.3g} MP", shown, exponent])
    return markdown.markdown_table(["", "largest picture", "takes", "exponent"], rows) if rows else None


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VaecodecError as error:
        sys.exit(f"bench.show.report: {error}")
