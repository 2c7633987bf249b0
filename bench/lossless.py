"""Bytes of pictures without loss: ours beside each library alone.

    python -m bench.lossless FOLDER... [--slow] [--csv FILE]

Ours is ``compress --lossless``: the smallest of what these libraries make, in our container. WebP at quality 100 and method 5, PNG by libpng at level 9, JPEG XL at effort 7 and, with ``--slow``, 9. All of it is read back and compared.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image

from vaecodec.api import Codec
from vaecodec.picture import Picture, read_picture
from vaecodec.picture_files import READABLE_EXTENSIONS

Planes = npt.NDArray[Any]


def _webp(method: int) -> Callable[[Planes], bytes | None]:
    def encode(planes: Planes) -> bytes | None:
        if planes.dtype != np.uint8 or max(planes.shape[:2]) > 16383:
            return None
        file = io.BytesIO()
        image = Image.fromarray(planes[:, :, 0] if planes.shape[2] == 1 else planes)
        image.save(file, "WEBP", lossless=True, exact=True, quality=100, method=method)
        return file.getvalue()

    return encode


def _png(planes: Planes) -> bytes:
    return bytes(imagecodecs.png_encode(planes.squeeze(2) if planes.shape[2] == 1 else planes, level=9))


def _jpeg_xl(effort: int) -> Callable[[Planes], bytes]:
    return lambda planes: bytes(
        imagecodecs.jpegxl_encode(planes.squeeze(2) if planes.shape[2] == 1 else planes, lossless=True, effort=effort)
    )


def measure(path: Path, codec: Codec, libraries: dict[str, Callable[[Planes], bytes | None]]) -> dict[str, Any]:
    """One row: bytes and seconds of processor time of each."""
    picture = read_picture(path, first_frame=True)
    bare = Picture(picture.samples, alpha=picture.alpha)
    row: dict[str, Any] = {"picture": path.name, "samples": np.asarray(bare).size, "bits": bare.bit_depth}
    start = time.process_time()
    data = codec.compress(bare, lossless=True)
    row |= {"vaecodec": len(data), "vaecodec s": time.process_time() - start}
    if not np.array_equal(np.asarray(codec.decompress(data)), np.asarray(bare)):
        raise SystemExit(f"{path}: not the same samples")
    for name, encode in libraries.items():
        start = time.process_time()
        made = encode(np.ascontiguousarray(np.asarray(bare)))
        row |= {name: None if made is None else len(made), f"{name} s": time.process_time() - start}
    return row


def table(name: str, rows: list[dict[str, Any]], columns: list[str]) -> str:
    """One line of Markdown: bits per sample of all pictures together, and how far ours is above the best single library at most."""
    samples = sum(row["samples"] for row in rows)
    cells = [
        "" if any(row[column] is None for row in rows) else f"{8 * sum(row[column] for row in rows) / samples:.3f}"
        for column in columns
    ]
    best = [min(row[column] for column in columns[1:] if row[column] is not None) for row in rows]
    excess = max(100 * (row["vaecodec"] / least - 1) for row, least in zip(rows, best, strict=True))
    large = max(
        (100 * (row["vaecodec"] / least - 1) for row, least in zip(rows, best, strict=True) if least >= 20_000),
        default=0.0,
    )
    return f"| {name} ({len(rows)}) | " + " | ".join(cells) + f" | {large:+.2f} % ({excess:+.1f} %) |"


def main() -> None:
    """Prints a row for each folder, after each picture's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    libraries: dict[str, Callable[[Planes], bytes | None]] = {"JPEG XL e7": _jpeg_xl(7), "WebP": _webp(5), "PNG": _png}
    if options.slow:
        libraries |= {"JPEG XL e9": _jpeg_xl(9)}
    columns = ["vaecodec", *libraries]
    codec, lines, everything = Codec(), [], []
    for folder in options.folders:
        rows = []
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in READABLE_EXTENSIONS:
                rows.append(measure(path, codec, libraries))
                print(path.name, {column: rows[-1][column] for column in columns}, flush=True)
        everything += [{"set": folder.name} | row for row in rows]
        lines.append(table(folder.name, rows, columns))
    print("\n| set | " + " | ".join(columns) + " | above the best |\n|---|" + "---:|" * (len(columns) + 1))
    print("\n".join(lines))
    if options.csv is not None:
        with options.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(everything[0]))
            writer.writeheader()
            writer.writerows(everything)


if __name__ == "__main__":
    main()
