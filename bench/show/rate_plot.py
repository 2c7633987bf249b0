"""Draws SSIMULACRA2 over rate, ours and three peers, as an SVG: the same rows give the same text, so a test sees drift.

python -m bench.show.rate_plot [--results bench/results/VERSION] [-o docs/pictures/rate.svg]
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.measure.codecs import OURS, display_name
from bench.show.analysis import PUBLISHED_SET, Point, Results, load_results, mean_curve
from vaecodec.errors import UsageError, VaecodecError

PLOT = Path("docs") / "pictures" / "rate.svg"
CODECS = ("jpeg", "jxl", "avif", OURS)

_COLOURS = {"jpeg": "#8c6d31", "jxl": "#2c7fb8", "avif": "#6a51a3", OURS: "#d7301f"}
# Narrow, so that its labels can still be read where a phone scales it down.
_WIDTH, _HEIGHT = 560, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 20, 34, 56
_FONT = 'font-family="system-ui, sans-serif" font-size="14"'
_RATES = (0.1, 0.2, 0.5, 1.0, 2.0)
_SCORES = (30, 40, 50, 60, 70, 80, 90)


def main(arguments: Sequence[str] | None = None) -> int:
    from bench.show.readme_results import ROOT, newest_release

    parser = argparse.ArgumentParser(
        prog="python -m bench.show.rate_plot",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, help="folder of rows [the newest release in bench/results]")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / PLOT, help="the SVG [%(default)s]")
    options = parser.parse_args(arguments)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(rate_plot(load_results(options.results or newest_release())), encoding="utf-8")
    return 0


def rate_plot(results: Results) -> str:
    """The SVG, of the set that published curves are of, or of the first one.

    Raises:
        UsageError: no codec was measured by SSIMULACRA2.
    """
    name = PUBLISHED_SET if PUBLISHED_SET in results.tables else next(iter(results.tables))
    rows = results.tables[name].rows
    curves = {codec: mean_curve(rows, codec, "ssimulacra2") for codec in CODECS}
    curves = {codec: points for codec, points in curves.items() if points}
    if not curves:
        raise UsageError(f"{name}: nothing was measured by SSIMULACRA2")
    count = len({row.picture for row in rows})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
        f"<title>SSIMULACRA2 over bits per pixel: {', '.join(map(display_name, curves))}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<clipPath id="plot"><path d="M{_LEFT} {_TOP}H{_WIDTH - _RIGHT}V{_HEIGHT - _BOTTOM}H{_LEFT}Z"/></clipPath>',
        _text(_LEFT, 22, f"SSIMULACRA2, mean of {count} pictures ({name}); higher is better", "start"),
        *_axes(),
        *(_curve(codec, points) for codec, points in curves.items()),
        *_legend(tuple(curves)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(rate: float) -> float:
    low, high = math.log(_RATES[0]), math.log(_RATES[-1])
    return _LEFT + (math.log(rate) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)


def _y(score: float) -> float:
    return _HEIGHT - _BOTTOM - (score - _SCORES[0]) / (_SCORES[-1] - _SCORES[0]) * (_HEIGHT - _TOP - _BOTTOM)


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222222">{words}</text>'


def _axes() -> list[str]:
    parts = []
    for rate in _RATES:
        parts.append(f'<path d="M{_x(rate):.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#dddddd"/>')
        parts.append(_text(_x(rate), _HEIGHT - _BOTTOM + 20, f"{rate:g}", "middle"))
    for score in _SCORES:
        parts.append(f'<path d="M{_LEFT} {_y(score):.1f}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>')
        parts.append(_text(_LEFT - 8, _y(score) + 5, str(score), "end"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return [*parts, _text(middle, _HEIGHT - 12, "bits per pixel of the whole file, logarithmic", "middle")]


def _curve(codec: str, points: Sequence[Point]) -> str:
    path = "L".join(f"{_x(point.bpp):.1f} {_y(point.quality):.1f}" for point in points)
    width = 3 if codec == OURS else 2
    return f'<path clip-path="url(#plot)" d="M{path}" fill="none" stroke="{_COLOURS[codec]}" stroke-width="{width}"/>'


def _legend(codecs: Sequence[str]) -> list[str]:
    parts = []
    for number, codec in enumerate(reversed(codecs)):
        y = _HEIGHT - _BOTTOM - 20 - 22 * (len(codecs) - 1 - number)
        x = _WIDTH - _RIGHT - 150
        parts.append(f'<path d="M{x} {y - 5}h28" stroke="{_COLOURS[codec]}" stroke-width="3"/>')
        parts.append(_text(x + 36, y, display_name(codec), "start"))
    return parts


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VaecodecError as error:
        sys.exit(f"bench.show.rate_plot: {error}")
