"""Pictures for people: rate–distortion plots, and photographs side by side with captions."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vaecodec.errors import MissingExtraError
from vaecodec.evaluation.curves import CurvePoint
from vaecodec.metrics.fidelity import Samples, ms_ssim_db

_GAP = 12
_CAPTION_SIZE = 16


def check_plots() -> None:
    """Raises ``MissingExtraError`` where matplotlib is not installed: before anything is measured."""
    if find_spec("matplotlib") is None:
        raise MissingExtraError("plots need the package matplotlib: pip install 'vaecodec[metrics]'")


def curve_plot(curves: Mapping[str, Sequence[CurvePoint]], title: str) -> bytes:
    """Draws SSIMULACRA2, PSNR and MS-SSIM over rate, each where it is known of every point.

    Args:
        curves: the points of each codec by its name.
        title: a line above.

    Returns:
        The bytes of a PNG file.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    check_plots()
    from matplotlib.figure import Figure

    values: dict[str, Callable[[CurvePoint], float | None]] = {
        "SSIMULACRA2": lambda point: point.ssimulacra2,
        "PSNR of RGB, dB": lambda point: point.psnr,
        "MS-SSIM, −10·log10(1 − x), dB": lambda point: None if point.ms_ssim is None else ms_ssim_db(point.ms_ssim),
    }
    shown = {
        label: value
        for label, value in values.items()
        if all(value(point) is not None for points in curves.values() for point in points)
    }
    figure = Figure(figsize=(5 * len(shown) + 1.5, 5), layout="constrained", dpi=120)
    figure.suptitle(title)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for panel, (label, value) in zip(panels, shown.items(), strict=True):
        for name, points in curves.items():
            panel.plot([point.bpp for point in points], [value(point) for point in points], marker=".", label=name)
        panel.set_xlabel("bits per pixel, of the whole file")
        panel.set_ylabel(label)
        panel.grid(alpha=0.3)
        panel.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def grid(rows: Sequence[Sequence[tuple[str, Samples]]]) -> Samples:
    """Sets pictures of one size next to each other in rows, sample for sample, a caption below each.

    Args:
        rows: of captions, which may have several lines, and uint8 samples [H, W, 3].

    Returns:
        uint8 [H', W', 3].
    """
    font = ImageFont.load_default(_CAPTION_SIZE)
    height, width = rows[0][0][1].shape[:2]
    lines = max(caption.count("\n") + 1 for row in rows for caption, _ in row)
    step = 2 * _GAP + height + lines * (_CAPTION_SIZE + 6)
    columns = max(map(len, rows))
    sheet = Image.new("RGB", (_GAP + columns * (width + _GAP), _GAP + len(rows) * step), "white")
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        top = _GAP + number * step
        for index, (caption, samples) in enumerate(row):
            left = _GAP + index * (width + _GAP)
            sheet.paste(Image.fromarray(samples), (left, top))
            draw.multiline_text((left, top + height + _GAP // 2), caption, fill="black", font=font)
    return np.asarray(sheet, dtype=np.uint8)
