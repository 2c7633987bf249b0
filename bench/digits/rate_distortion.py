"""Rate and distortion of small items, from real files: autoencoder, VAEs of several β, PCA, JPEG and WebP on one sheet.

    python -m bench.digits.rate_distortion t10k-images-idx3-ubyte.gz --fit train-images-idx3-ubyte.gz \
        --model "autoencoder=ae.safetensors" --model "VAE=digits" --plot rd.png --csv rd.csv

A model's points are files of ``vaecodec compress`` at several qualities, decoded from those files. The weights are not counted,
nor is PCA's basis, which is of the training items: its coefficients are quantised with one step and coded with the same coder
and the same tables, one table for each component, in a file of the same kind. JPEG and WebP code all items on one sheet.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from bench.digits.lossless import COLUMNS, sheet
from vaecodec.bitstream.coder import SymbolDecoder, SymbolEncoder
from vaecodec.bitstream.container import KIND_LOSSY_ARRAY, TILE_LATENTS, Container, Header, Tile, write_container
from vaecodec.bitstream.tables import FrozenTables
from vaecodec.exact.tables import gaussian_tables, sigmas
from vaecodec.vae.arrays import ArrayCodec
from vaecodec.vae.items import Values, read_items

QUALITIES = (0, 10, 20, 30, 40, 50, 60, 70, 80)
PCA_STEPS = (24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768)
PCA_COMPONENTS = 160
JPEG_QUALITIES = (1, 5, 10, 15, 20, 30, 40, 50, 60, 70)
WEBP_QUALITIES = (0, 5, 10, 20, 30, 40, 50, 60, 70)


class Point(NamedTuple):
    """One file: its setting, bits per item, and PSNR over all values together."""

    codec: str
    setting: str
    bytes: int
    bits_per_item: float
    psnr: float


def point(codec: str, setting: object, size: int, items: Values, decoded: Values) -> Point:
    """Measures one file."""
    error = float(np.mean((items.astype(np.float64) - decoded) ** 2))
    return Point(codec, str(setting), size, 8 * size / len(items), 10 * np.log10(255**2 / error))


def model_points(name: str, codec: ArrayCodec, items: Values) -> list[Point]:
    """A model's files at several qualities."""
    points = []
    for quality in QUALITIES:
        encoded = codec.compress_lossy(items, quality=quality)
        points.append(point(name, quality, len(encoded.data), items, codec.decompress(encoded.data)))
    return points


def pca_points(items: Values, fitted: Values) -> list[Point]:
    """PCA of the training items, its coefficients coded as the latents of a model are."""
    train = fitted.reshape(len(fitted), -1).astype(np.float64)
    centre = train.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov((train - centre).T))
    basis = vectors[:, ::-1][:, :PCA_COMPONENTS]
    coefficients = (items.reshape(len(items), -1) - centre) @ basis
    tables, points = FrozenTables.from_arrays(*gaussian_tables()), []
    for step in PCA_STEPS:
        symbols = np.rint(coefficients / step).astype(np.int32)
        index = np.array([best_table(tables, column) for column in symbols.T], np.uint8)
        kept = index > 0
        indices = np.broadcast_to(index[kept], (len(items), int(kept.sum()))).reshape(-1)
        coder = SymbolEncoder(tables)
        coder.push(np.ascontiguousarray(symbols[:, kept]).reshape(-1), indices)
        payload = coder.finish()
        data = write_container(
            Container(Header(KIND_LOSSY_ARRAY, bytes(8)), (Tile(TILE_LATENTS, payload),), array=index.tobytes())
        )
        back = SymbolDecoder(tables, payload).pop(indices).reshape(-1, int(kept.sum()))
        decoded = np.rint(np.clip(back * float(step) @ basis[:, kept].T + centre, 0, 255)).astype(np.uint8)
        points.append(point("PCA", step, len(data), items, decoded.reshape(items.shape)))
    return points


def best_table(tables: FrozenTables, symbols: np.ndarray[tuple[int, ...], np.dtype[np.int32]]) -> int:
    """The table that takes the fewest bits, of those near the symbols' deviation; 0 where all are 0."""
    if not symbols.any():
        return 0
    nearest = int(np.argmin(np.abs(np.log(sigmas()) - np.log(np.sqrt(np.mean(symbols.astype(float) ** 2))))))
    near = range(max(1, nearest - 3), min(63, nearest + 3) + 1)
    return min(near, key=lambda i: tables.bits(symbols, np.full(symbols.shape, i, np.uint8)))


def picture_points(kind: str, qualities: Sequence[int], items: Values) -> list[Point]:
    """All items on one sheet, as a lossy picture file."""
    whole, points = sheet(items), []
    grey = whole.shape[2] == 1
    for quality in qualities:
        out = io.BytesIO()
        options = {"optimize": True} if kind == "JPEG" else {"method": 6}
        Image.fromarray(whole[..., 0] if grey else whole).save(out, kind, quality=quality, **options)
        with Image.open(out) as image:
            back = np.asarray(image.convert("L" if grey else "RGB")).reshape(whole.shape)
        count, height, width, channels = items.shape
        grid = back.reshape(-1, height, COLUMNS, width, channels).transpose(0, 2, 1, 3, 4)
        decoded = grid.reshape(-1, height, width, channels)[:count]
        points.append(point(kind, quality, len(out.getvalue()), items, decoded))
    return points


def draw(points: Sequence[Point], path: Path) -> None:
    """Draws PSNR over rate, on a logarithmic axis, one line for each codec."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 6), layout="constrained", dpi=110)
    axes = figure.subplots()
    for name in dict.fromkeys(p.codec for p in points):
        mine = [p for p in points if p.codec == name]
        style = "--" if name in ("JPEG", "WEBP", "PCA") else "-"
        axes.plot([p.bits_per_item for p in mine], [p.psnr for p in mine], style, marker=".", label=name)
    axes.set_xscale("log")
    axes.set_xlabel("bits per item, of the whole file")
    axes.set_ylabel("PSNR over all values, dB")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.digits.rate_distortion", description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--fit", type=Path, required=True, help="items that PCA is fitted to")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=WEIGHTS")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    items = read_items(options.data).values
    points: list[Point] = []
    for named in options.model:
        name, _, weights = named.rpartition("=")
        points += model_points(name, ArrayCodec(weights), items)
    points += pca_points(items, read_items(options.fit).values[::4])
    points += picture_points("JPEG", JPEG_QUALITIES, items) + picture_points("WEBP", WEBP_QUALITIES, items)
    for p in points:
        print(f"{p.codec:<20} {p.setting:>4} {p.bytes:>9,} bytes {p.bits_per_item:8.1f} bits per item {p.psnr:6.2f} dB")
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(Point._fields)
            writer.writerows(points)
    if options.plot:
        draw(points, options.plot)


if __name__ == "__main__":
    main()
