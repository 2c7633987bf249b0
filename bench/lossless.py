"""Bytes of pictures without loss: ours beside each library alone.

    python -m bench.lossless FOLDER... [--derive FOLDER] [--slow] [--csv FILE]

Ours is ``compress --lossless``: the smallest of what these libraries make, in our container. WebP at quality 100 and method 5, PNG by libpng at level 9, JPEG XL at effort 7 and, with ``--slow``, 9. All of it is read back and compared.
``--derive`` makes pictures of 16 bits and with transparency from those of a folder: linear light, averaged over 2 × 2 pixels, and a soft mask from the blurred brightness.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image

from vaecodec.api import Codec
from vaecodec.errors import PictureError
from vaecodec.picture import Picture, read_picture
from vaecodec.picture_files import READABLE_EXTENSIONS

Planes = npt.NDArray[Any]
_SLOW = "JPEG XL e9"
"""Beside the others, not among those that ours is compared with: it has an effort of its own."""
_CLEARLY_ABOVE = 1.005


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


def derived(picture: Picture) -> dict[str, Picture]:
    """A picture of 8 bits in three other kinds, by their names."""
    samples = picture.samples[: picture.height // 2 * 2, : picture.width // 2 * 2]
    x = samples / 255
    light = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    means = light.reshape(len(light) // 2, 2, -1, 2, light.shape[2]).mean(axis=(1, 3))
    deep = np.rint(65535 * means).astype(np.uint16)

    def mask(planes: Planes) -> Planes:
        blurred = planes.mean(axis=2)
        for axis in (0, 1):
            blurred = np.mean([np.roll(blurred, shift, axis) for shift in range(-4, 5)], axis=0)
        return np.asarray(np.clip(3 * blurred - 0.5, 0, 1))

    alpha, deep_alpha = np.rint(255 * mask(x)).astype(np.uint8), np.rint(65535 * mask(means)).astype(np.uint16)
    return {
        "16 bits": Picture(deep),
        "with alpha": Picture(np.ascontiguousarray(samples), alpha=alpha),
        "16 bits with alpha": Picture(deep, alpha=deep_alpha),
    }


def measure(
    name: str, picture: Picture, codec: Codec, libraries: dict[str, Callable[[Planes], bytes | None]]
) -> dict[str, Any]:
    """One row: bytes and seconds of processor time of each."""
    bare = Picture(picture.samples, alpha=picture.alpha)
    row: dict[str, Any] = {"picture": name, "samples": np.asarray(bare).size, "bits": bare.bit_depth}
    start = time.process_time()
    data = codec.compress(bare, lossless=True)
    row |= {"vaecodec": len(data), "vaecodec s": time.process_time() - start}
    if not np.array_equal(np.asarray(codec.decompress(data)), np.asarray(bare)):
        raise SystemExit(f"{name}: not the same samples")
    for library, encode in libraries.items():
        start = time.process_time()
        made = encode(np.ascontiguousarray(np.asarray(bare)))
        row |= {library: None if made is None else len(made), f"{library} s": time.process_time() - start}
    return row


def table(name: str, rows: list[dict[str, Any]], columns: list[str]) -> str:
    """One line of Markdown: bits per sample of all pictures together, how far ours is above the best single library at most, and how often by over 0.5 %.

    The excess is that of files of 20,000 bytes and more, in per cent, and in brackets in bytes that of all.
    """
    samples = sum(row["samples"] for row in rows)
    cells = [
        "" if any(row[column] is None for row in rows) else f"{8 * sum(row[column] for row in rows) / samples:.3f}"
        for column in columns
    ]
    best = [min(row[column] for column in columns[1:] if row[column] is not None and column != _SLOW) for row in rows]
    excess = max(row["vaecodec"] - least for row, least in zip(rows, best, strict=True))
    large = max(
        (100 * (row["vaecodec"] / least - 1) for row, least in zip(rows, best, strict=True) if least >= 20_000),
        default=0.0,
    )
    over = sum(row["vaecodec"] > _CLEARLY_ABOVE * least for row, least in zip(rows, best, strict=True))
    return f"| {name} ({len(rows)}) | " + " | ".join(cells) + f" | {large:+.2f} % ({excess:+,} bytes) | {over} |"


def sets(folders: Sequence[Path], to_derive: Sequence[Path]) -> Iterator[tuple[str, Iterator[tuple[str, Picture]]]]:
    """Sets of pictures by their names, and their pictures by theirs."""
    for folder in folders:
        yield folder.name, readable(paths_in(folder))
    for folder in to_derive:
        for kind in ("16 bits", "with alpha", "16 bits with alpha"):
            yield (
                f"{folder.name}, {kind}",
                ((path.name, derived(read_picture(path))[kind]) for path in paths_in(folder)),
            )


def readable(paths: list[Path]) -> Iterator[tuple[str, Picture]]:
    """Names and pictures, but for those that are damaged on purpose."""
    for path in paths:
        try:
            picture = read_picture(path, first_frame=True)
        except PictureError as error:
            print(f"left out: {error}")
            continue
        yield path.name, picture


def paths_in(folder: Path) -> list[Path]:
    """The pictures there."""
    return [path for path in sorted(folder.iterdir()) if path.suffix.lower() in READABLE_EXTENSIONS]


def main() -> None:
    """Prints a row for each folder, after each picture's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--derive", nargs="*", type=Path, default=[])
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    libraries: dict[str, Callable[[Planes], bytes | None]] = {"JPEG XL e7": _jpeg_xl(7), "WebP": _webp(5), "PNG": _png}
    if options.slow:
        libraries |= {_SLOW: _jpeg_xl(9)}
    columns = ["vaecodec", *libraries]
    codec, lines, everything = Codec(), [], []
    for name, pictures in sets(options.folders, options.derive):
        rows = []
        for picture_name, picture in pictures:
            rows.append(measure(picture_name, picture, codec, libraries))
            print(picture_name, {column: rows[-1][column] for column in columns}, flush=True)
        everything += [{"set": name} | row for row in rows]
        lines.append(table(name, rows, columns))
    print("\n| set | " + " | ".join(columns) + " | above the best | over 0.5 % |\n|---|" + "---:|" * (len(columns) + 2))
    print("\n".join(lines))
    if options.csv is not None:
        with options.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(everything[0]))
            writer.writeheader()
            writer.writerows(everything)


if __name__ == "__main__":
    main()
