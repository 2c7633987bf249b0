"""Writes the README's results section from the rows of the newest release, between two marks.

    python -m bench.show.readme_results [--results bench/results/VERSION] [--readme README.md] [--check]

With ``--check`` nothing is written, and the exit code is 1 where README and rows have drifted apart.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.measure.codecs import OURS
from bench.show import markdown
from bench.show.analysis import PUBLISHED_SET, Results, load_results
from vaecodec.errors import UsageError, VaecodecError

ROOT = Path(__file__).resolve().parents[2]
RELEASES = ROOT / "bench" / "results"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.show.readme_results",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, help="folder of rows [the newest release in bench/results]")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", help="file with the marks")
    parser.add_argument("--check", action="store_true", help="only say whether the file is up to date")
    options = parser.parse_args(arguments)
    old = options.readme.read_text(encoding="utf-8")
    new = with_section(old, section(load_results(options.results or newest_release())))
    if options.check:
        if new != old:
            print(
                f"{options.readme.name} does not show these results: run python -m bench.show.readme_results",
                file=sys.stderr,
            )
        return int(new != old)
    if new != old:
        options.readme.write_text(new, encoding="utf-8")
    return 0


def newest_release(folder: Path = RELEASES) -> Path:
    """The folder of the highest version.

    Raises:
        UsageError: there is none.
    """
    versions = [path for path in folder.glob("*") if path.is_dir() and re.fullmatch(r"\d+(\.\d+)*", path.name)]
    if not versions:
        raise UsageError(f"{folder}: no release has results here")
    return max(versions, key=lambda path: tuple(map(int, path.name.split("."))))


def with_section(readme: str, text: str) -> str:
    """The same file with a new section between the marks.

    Raises:
        UsageError: the marks are not there once each, in order.
    """
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise UsageError(f"the file needs the lines {BEGIN} and {END}, once each, in this order")
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}"


def section(results: Results) -> str:
    """The section, without the marks."""
    introduction = (
        "BD-rate against JPEG 4:2:0 in per cent of bytes, **main** / wide / low / high window of PSNR (27.5–36.5, 27.5–39.5, 25–32, "
        "32–40 dB); negative is better; \\* the curve does not cover the whole window. *Published* curves are by others and were not "
        "measured again."
    )
    parts = []
    if text := markdown.eye_rates(results):
        parts += [
            "**For the eye**: BD-rate by SSIMULACRA2, over scores 30–90 and 50–85; negative needs fewer bytes; \\* not the whole window.",
            text,
        ]
    parts += [introduction, markdown.bd_rates_of_sets(results)]
    if text := markdown.perceptual_rates(results):
        parts += ["BD-rate in other metrics, over the range of quality that both curves share:", text]
    if OURS in results.codecs():
        parts += [
            text
            for text in (markdown.gains_of_pictures(results), markdown.gains_of_pictures(results, "avif"))
            if text is not None
        ]
    if text := markdown.time_ratios(results):
        parts += [
            "Decoding on one thread, and how long others take, as a multiple of ours in the same run (mbt2018-mean with random weights):",
            text,
        ]
    name = PUBLISHED_SET if PUBLISHED_SET in results.tables else next(iter(results.tables))
    if text := markdown.times(results, name):
        parts += [
            "<details><summary>All times</summary>",
            f"One picture of {name}. {markdown.times_note(results)}",
            text,
            "</details>",
        ]
    if text := markdown.costs(results):
        parts += ["Work, in thousands of multiply–accumulates per pixel, all counted in the same way:", text]
    parts.append(markdown.provenance(results))
    return "\n\n".join(parts)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VaecodecError as error:
        sys.exit(f"bench.show.readme_results: {error}")
