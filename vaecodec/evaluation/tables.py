"""Tables of text for terminals and logs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vaecodec.evaluation.bd_rate import BDRate
from vaecodec.evaluation.curves import CurvePoint

Cell = str | None


def text_table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Lays out a table: the first column to the left, all others to the right, None as ``n/a``.

    Args:
        header: one title per column.
        rows: as many cells as there are titles in each.

    Returns:
        Lines without a newline at the end, a rule below the header.
    """
    cells = [list(header)] + [["n/a" if cell is None else cell for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first, *others = zip(row, widths, strict=True)
        return "  ".join([first[0].ljust(first[1])] + [cell.rjust(width) for cell, width in others]).rstrip()

    return "\n".join([line(cells[0]), "  ".join("-" * width for width in widths), *(line(row) for row in cells[1:])])


def number(value: float | None, digits: int, unit: str = "") -> Cell:
    """Formats a figure with a fixed number of decimals; None stays None, infinity becomes ``inf``."""
    if value is None:
        return None
    return f"{value:.{digits}f}{unit}" if math.isfinite(value) else "inf"


def curve_table(points: Sequence[CurvePoint]) -> str:
    """Lays out a rate–distortion curve, one line per setting."""
    header = ("quality", "bpp", "estimate", "SSIMULACRA2", "PSNR", "MS-SSIM", "encode s", "decode s")
    return text_table(
        header,
        [
            (
                f"{point.setting:g}",
                number(point.bpp, 2),
                number(point.estimate_bpp, 2),
                number(point.ssimulacra2, 2),
                number(point.psnr, 2),
                number(point.ms_ssim, 4),
                number(point.encode_seconds, 2),
                number(point.decode_seconds, 2),
            )
            for point in points
        ],
    )


def bd_rate_cell(result: BDRate) -> Cell:
    """Formats a BD-rate, with the range it holds for where that is not the whole window."""
    if result.percent is None:
        return None
    text = f"{result.percent:+.1f} %"
    return text if result.covers else f"{text} (only {result.low:.1f}–{result.high:.1f})"
