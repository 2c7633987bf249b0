"""Line plots with Pillow alone, so that the trainer runs where nothing else is installed."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")


def draw_curves(
    path: Path, x: Sequence[float], curves: Mapping[str, Sequence[float]], *, labels: tuple[str, str]
) -> None:
    """Writes a PNG of 900×600 with one line for each curve over ``x``; values that are not finite are left out."""
    width, height, left, bottom, top, right = 900, 600, 80, 540, 30, 870
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(15)
    # The first values of a run dwarf the rest: the axis ends at the highest value after the first tenth.
    late = [v for values in curves.values() for v in values[len(values) // 10 :] if math.isfinite(v)]
    low, high = (min(late), max(late)) if late else (0.0, 1.0)
    high = high if high > low else low + 1.0
    first, last = x[0], x[-1] if x[-1] > x[0] else x[0] + 1.0

    def place(a: float, b: float) -> tuple[float, float]:
        b = min(b, high)
        return left + (a - first) / (last - first) * (right - left), bottom - (b - low) / (high - low) * (bottom - top)

    for i in range(6):
        value = low + (high - low) * i / 5
        y = place(first, value)[1]
        draw.line((left, y, right, y), fill="#dddddd")
        draw.text((8, y - 9), f"{value:.4g}", fill="black", font=font)
        at = first + (last - first) * i / 5
        draw.text((place(at, low)[0] - 12, bottom + 8), f"{at:.4g}", fill="black", font=font)
    for i, (name, values) in enumerate(curves.items()):
        points = [place(a, b) for a, b in zip(x, values, strict=True) if math.isfinite(b)]
        if len(points) > 1:
            draw.line(points, fill=COLOURS[i % len(COLOURS)], width=2)
        draw.text((right - 130, top + 20 * i), name, fill=COLOURS[i % len(COLOURS)], font=font)
    draw.text(((left + right) / 2, height - 28), labels[0], fill="black", font=font)
    draw.text((8, 6), labels[1], fill="black", font=font)
    image.save(path)


def write_history(out: Path, history: Sequence[Mapping[str, float]], measure: str) -> None:
    """The curve of a run beside its output: all of it as a CSV, ``train_`` and ``validation_`` of one measure as a PNG."""
    with out.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    draw_curves(
        out.with_suffix(".png"), [row["minutes"] for row in history],
        {name: [row[f"{name}_{measure}"] for row in history] for name in ("train", "validation")},
        labels=("minutes", measure.replace("_", " ")),
    )  # fmt: skip
