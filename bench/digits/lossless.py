"""Lossless sizes of an array of small items: the VAE's bits-back archive beside PNG, WebP, JPEG XL, bz2, xz and zstd.

    python -m bench.digits.lossless t10k-images-idx3-ubyte.gz

Every size is that of real files or streams over the same bytes. *Each*: one file for every item, headers and all. *Sheet*:
all items on one picture, 100 in a row, so that headers do not decide; an archive that cannot take a sheet takes the bytes in a row.
Ours is the whole archive, with the bits that the first items popped. It is decoded again, in this process, and compared.
"""

from __future__ import annotations

import argparse
import bz2
import io
import lzma
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vaecodec.evaluation.tables import number, text_table
from vaecodec.vae.arrays import ArrayCodec, codec_for_items
from vaecodec.vae.items import Values, read_items

COLUMNS = 100


def sheet(items: Values) -> Values:
    """Items side by side, 100 in a row, zeros after the last: uint8 [N, H, W, C] -> [h, w, C]."""
    count, height, width, channels = items.shape
    rows = -(-count // COLUMNS)
    padded = np.zeros((rows * COLUMNS, height, width, channels), np.uint8)
    padded[:count] = items
    grid = padded.reshape(rows, COLUMNS, height, width, channels).transpose(0, 2, 1, 3, 4)
    whole: Values = grid.reshape(rows * height, COLUMNS * width, channels)
    return whole


def picture_bytes(samples: Values, kind: str, **options: Any) -> int:
    """Size of a picture file."""
    out = io.BytesIO()
    Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples).save(out, kind, **options)
    return len(out.getvalue())


def peers(items: Values) -> dict[str, Callable[[], int]]:
    """What measures the size under each peer, by its name."""
    raw, whole = items.tobytes(), sheet(items)
    found: dict[str, Callable[[], int]] = {
        "PNG, each": lambda: sum(picture_bytes(item, "PNG", optimize=True) for item in items),
        "PNG, sheet": lambda: picture_bytes(whole, "PNG", optimize=True),
        "WebP lossless, sheet": lambda: picture_bytes(whole, "WEBP", lossless=True, method=6, quality=100),
        "gzip -9": lambda: len(zlib.compress(raw, 9)),
        "bz2 -9": lambda: len(bz2.compress(raw, 9)),
        "xz -9e": lambda: len(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)),
    }
    try:
        import zstandard

        found["zstd -22"] = lambda: len(zstandard.ZstdCompressor(level=22).compress(raw))
    except ImportError:
        print("zstd left out: pip install zstandard")
    try:
        import pillow_jxl  # noqa: F401

        found["JPEG XL lossless, sheet"] = lambda: picture_bytes(whole, "JXL", lossless=True, effort=9)
    except ImportError:
        print("JPEG XL left out: pip install pillow-jxl-plugin")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.digits.lossless", description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", action="append", default=[], help="weights; by default the installed ones")
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--peers-only", action="store_true")
    options = parser.parse_args()
    items = read_items(options.data)
    array = items.values.reshape(items.shape)
    rows: list[tuple[str, int, float]] = []
    codecs = (
        []
        if options.peers_only
        else [ArrayCodec(m) for m in options.model] or [codec_for_items(items.values.shape[1:], lossless=True)]
    )
    for codec in codecs:
        start = time.perf_counter()
        encoded = codec.compress_lossless(array)
        middle = time.perf_counter()
        if not np.array_equal(codec.decompress(encoded.data), array):
            raise SystemExit("the archive does not decode to the array")
        end = time.perf_counter()
        rows.append((f"vaecodec, {codec.name}", len(encoded.data), middle - start))
        print(
            f"{codec.name}: negative ELBO of the exact model {encoded.bits / array.size:.4f} bits per dimension, archive "
            f"{8 * len(encoded.data) / array.size:.4f}, {100 * (8 * len(encoded.data) / encoded.bits - 1):+.3f} %; "
            f"{encoded.initial_bits} initial bits; decoded bit for bit in {end - middle:.1f} s"
        )
    for name, size in {} if options.ours_only else peers(items.values).items():
        start = time.perf_counter()
        try:
            rows.append((name, size(), time.perf_counter() - start))
        except OSError as error:
            print(f"{name} left out: {error}")
    if options.ours_only:
        return
    table = [
        (name, f"{size:,}", number(8 * size / array.size, 3), number(seconds, 1))
        for name, size, seconds in sorted(rows, key=lambda row: row[1])
    ]
    print(text_table(("codec", "bytes", "bits per dimension", "seconds to encode"), table))


if __name__ == "__main__":
    main()
