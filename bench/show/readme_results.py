"""Writes the figures of README and site from the rows of the newest release, between marks, and draws their plot.

    python -m bench.show.readme_results [--results bench/results/VERSION] [--file README.md]... [--check]

A file has blocks ``<!-- NAME:begin -->`` to ``<!-- NAME:end -->``; the names are those of `BLOCKS`. With ``--check`` nothing is
written, and the exit code is 1 where a file or the plot and the rows have drifted apart.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.measure.codecs import OURS, display_name
from bench.show import markdown
from bench.show.analysis import (
    PUBLISHED_SET,
    Results,
    TimeSummary,
    compare,
    load_results,
    mean_curve,
    summarise_times,
)
from bench.show.rate_plot import PLOT, rate_plot
from vaecodec.errors import UsageError, VaecodecError
from vaecodec.evaluation import EYE_WINDOWS

ROOT = Path(__file__).resolve().parents[2]
RELEASES = ROOT / "bench" / "results"
FILES = ("README.md", "docs/index.md", "docs/results.md", "docs/compared.md")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.show.readme_results",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, help="folder of rows [the newest release in bench/results]")
    parser.add_argument(
        "--file", type=Path, action="append", dest="files", help="file with marks [README, pages of the site, the plot]"
    )
    parser.add_argument("--check", action="store_true", help="only say whether the files are up to date")
    options = parser.parse_args(arguments)
    results = load_results(options.results or newest_release())
    wanted = {path: filled(path, results) for path in options.files or [ROOT / name for name in FILES]}
    if options.files is None:
        wanted[ROOT / PLOT] = rate_plot(results)
    drifted = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in drifted:
        if options.check:
            print(f"{path.name} does not show these results: run python -m bench.show.readme_results", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
    return int(options.check and bool(drifted))


def filled(path: Path, results: Results) -> str:
    """The text of a file with its blocks filled.

    Raises:
        UsageError: it has no block, or a mark stands alone.
    """
    text = path.read_text(encoding="utf-8")
    names = [name for name in BLOCKS if f"<!-- {name}:" in text]
    if not names:
        raise UsageError(f"{path.name}: has no marks such as {_marks(next(iter(BLOCKS)))[0]}")
    for name in names:
        text = with_block(text, name, BLOCKS[name](results))
    return text


def newest_release(folder: Path = RELEASES) -> Path:
    """The folder of the highest version.

    Raises:
        UsageError: there is none.
    """
    versions = [path for path in folder.glob("*") if path.is_dir() and re.fullmatch(r"\d+(\.\d+)*", path.name)]
    if not versions:
        raise UsageError(f"{folder}: no release has results here")
    return max(versions, key=lambda path: tuple(map(int, path.name.split("."))))


def with_block(text: str, name: str, content: str) -> str:
    """The same text with something new between the marks of a block.

    Raises:
        UsageError: the marks are not there once each, in order.
    """
    begin, end = _marks(name)
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise UsageError(f"the file needs the lines {begin} and {end}, once each, in this order")
    before, rest = text.split(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.split(end)[1]}"


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def numbers(results: Results) -> str:
    """The figures that a reader wants first: bytes against AVIF, JPEG XL and JPEG at equal looks, and the time to decode."""
    name = PUBLISHED_SET if PUBLISHED_SET in results.tables else next(iter(results.tables))
    rows = [
        [f"bytes at equal SSIMULACRA2, against {display_name(peer)}", _saved(results, name, peer)]
        for peer in ("avif", "jxl", "jpeg")
    ]
    rows += [
        [f"{what} 0.4 megapixels on one thread, against AVIF", _times_avif(results, name, operation)]
        for what, operation in (("compressing", "encode"), ("decoding", "decode"))
    ]
    used = [*results.tables[name].environments, *(row.environment for row in results.times if row.set == name)]
    models = sorted({one["model"] for one in used if "model" in one})
    low, high = EYE_WINDOWS["eye"]
    note = (
        f"Means over the test set {markdown.set_label(results, name)}, scores {low:.0f} to {high:.0f}; times are of one picture{_machine(results, name)}. AVIF: Pillow's, speed 6. Weights: `{'`, `'.join(models)}`{', the default' if models == ['eye'] else ''}. "
        f"{_elsewhere(results, name)}From `bench/results` by `python -m bench.show.readme_results`."
    )
    return f"{markdown.markdown_table(['vaecodec', ''], rows)}\n\n{note}"


def _machine(results: Results, name: str) -> str:
    """What the times were measured on, if it was one machine."""
    machines = {row.environment["machine"] for row in results.times if row.set == name and row.codec in (OURS, "avif")}
    return f" on an {machines.pop()}" if len(machines) == 1 else ""


def _elsewhere(results: Results, name: str) -> str:
    """The figure against AVIF on the other sets, as a sentence; empty where there is none."""
    found = {other: _saved(results, other, "avif") for other in results.tables if other != name}
    shown = [
        f"{value} ({other}, {len({row.picture for row in results.tables[other].rows})} pictures)"
        for other, value in found.items()
        if value is not None
    ]
    return f"Against AVIF on other sets, kept out of training too: {' and '.join(shown)}. " if shown else ""


def _saved(results: Results, name: str, peer: str) -> str | None:
    rows = results.tables[name].rows
    theirs, own = (mean_curve(rows, codec, "ssimulacra2") for codec in (peer, OURS))
    found = compare(theirs, own, EYE_WINDOWS["eye"])
    return None if found is None or found.percent is None else f"{markdown.signed(found.percent)} %"


def _times_avif(results: Results, name: str, operation: str) -> str | None:
    found: dict[str, TimeSummary] = {
        one.codec: one
        for one in summarise_times(results.times)
        if (one.set, one.operation, one.threads) == (name, operation, 1)
    }
    if OURS not in found or "avif" not in found:
        return None
    ours, avif = found[OURS].median, found["avif"].median
    return f"×{ours / avif:.2g} (ours {markdown.duration(ours)}, AVIF {markdown.duration(avif)})"


def section(results: Results) -> str:
    """All tables."""
    introduction = (
        "BD-rate against JPEG 4:2:0 in per cent of bytes. Negative is better. The windows of PSNR are main 27.5–36.5 dB, wide 27.5–39.5, "
        "low 25–32 and high 32–40; \\* the curve does not cover the whole window. *Published* curves are by others and were not measured again."
    )
    parts = []
    if text := markdown.eye_rates(results):
        parts += [
            "### For the eye",
            "BD-rate by SSIMULACRA2, over scores 30–90 and 50–85; negative needs fewer bytes; \\* not the whole window.",
            text,
        ]
    parts += ["### By squared error", introduction, markdown.bd_rates_of_sets(results)]
    if text := markdown.perceptual_rates(results):
        parts += [
            "### By other metrics",
            "BD-rate in other metrics, over the range of quality that both curves share:",
            text,
        ]
    if OURS in results.codecs():
        parts.append("### Picture by picture, by squared error")
        parts += [
            text
            for text in (markdown.gains_of_pictures(results), markdown.gains_of_pictures(results, "avif"))
            if text is not None
        ]
    if text := markdown.time_ratios(results):
        parts += [
            "### Time",
            "Decoding on one thread, and how long others take, as a multiple of ours in the same run (mbt2018-mean with random weights):",
            text,
        ]
    name = PUBLISHED_SET if PUBLISHED_SET in results.tables else next(iter(results.tables))
    if text := markdown.times(results, name):
        parts += [
            '<details markdown="1"><summary>All times</summary>',
            f"One picture of {name}. {markdown.times_note(results)}",
            text,
            "</details>",
        ]
    if text := markdown.costs(results):
        parts += [
            "### Work",
            "Work, in thousands of multiply–accumulates per pixel, all counted in the same way:",
            text,
        ]
    parts += ["### Where it was measured", markdown.provenance(results)]
    return "\n\n".join(parts)


BLOCKS: Mapping[str, Callable[[Results], str]] = {"numbers": numbers, "results": section}
"""What fills a block, by its name."""


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VaecodecError as error:
        sys.exit(f"bench.show.readme_results: {error}")
