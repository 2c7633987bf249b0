"""Large pictures: memory and processor time of whole processes, what tiles cost in bits, and what a region costs.

    python bench/studies/large.py PHOTOS [--megapixels 16,64,300] [--region-megapixels 100] [--folder DIR] [--json FILE]

A large picture is made of the photographs, side by side and row by row, mirrored and brightened by turns, so that no two
parts are alike and cells do not lie on tiles. It is written as TIFF, compressed and decompressed to TIFF by the command line
under ``/usr/bin/time -v``, and checked with ``decompress -t``. From memory and time is taken what a process takes that only loads the model;
one untiled megapixel is measured in this process, many of the same picture's one after the other.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vaecodec.api import Codec, Tiling
from vaecodec.bitstream.container import read_container
from vaecodec.codec.decoder import Decoder
from vaecodec.codec.rectangle import Rectangle
from vaecodec.evaluation.tables import text_table
from vaecodec.picture import PictureRows, open_rows, read_picture, write_rows

Samples = npt.NDArray[Any]

CELL = (900, 1000)
"""Rows and columns of a photograph in the large picture; neither fits a tile."""
ONE_MEGAPIXEL = 1024
REPEATS = 12


def large_picture(photos: Sequence[Samples], megapixels: float, seed: int = 300) -> PictureRows:
    """A picture of 4:3 of so many megapixels, made as it is taken."""
    height = round(math.sqrt(megapixels * 1e6 * 3 / 4))
    width = round(megapixels * 1e6 / height)

    def blocks() -> Iterator[Samples]:
        rng = np.random.default_rng(seed)
        for top in range(0, height, CELL[0]):
            row = np.empty((CELL[0], width, 3), np.uint8)
            for left in range(0, width, CELL[1]):
                photo = photos[int(rng.integers(len(photos)))]
                y, x = (int(rng.integers(side - cell + 1)) for side, cell in zip(photo.shape, CELL, strict=False))
                part = photo[y : y + CELL[0], x : x + CELL[1]]
                part = part[:: int(rng.choice((-1, 1))), :: int(rng.choice((-1, 1)))]
                part = np.clip(part * rng.uniform(0.8, 1.2), 0, 255).astype(np.uint8)
                row[:, left : left + CELL[1]] = part[:, : width - left]
            yield row[: height - top]

    return PictureRows(width, height, 3, 8, blocks())


def measured(command: Sequence[str]) -> dict[str, float]:
    """Runs a command under time -v: seconds of processor and wall, and the most memory, in MiB."""
    start = time.perf_counter()
    done = subprocess.run(["/usr/bin/time", "-v", *command], capture_output=True, text=True, check=False)
    wall = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")

    def figure(name: str) -> float:
        found = re.search(rf"{re.escape(name)}: ([0-9.]+)", done.stderr)
        assert found is not None
        return float(found[1])

    processor = figure("User time (seconds)") + figure("System time (seconds)")
    return {"processor": processor, "wall": wall, "memory": figure("Maximum resident set size (kbytes)") / 1024}


def vaecodec(*arguments: object) -> list[str]:
    code = "import sys; from vaecodec.cli import main; sys.exit(main())"
    return [sys.executable, "-c", code, *map(str, arguments), "--quiet"]


def loading() -> dict[str, float]:
    """What a process takes that only loads the model: the middle of three."""
    runs = [measured([sys.executable, "-c", "from vaecodec.api import Codec; Codec()"]) for _ in range(3)]
    return sorted(runs, key=lambda run: run["processor"])[1]


def processes(photos: Sequence[Samples], megapixels: float, folder: Path, base: dict[str, float]) -> dict[str, Any]:
    """Compresses and decompresses a picture, each in a process."""
    source, file, back = folder / "large.tif", folder / "large.vaec", folder / "back.tif"
    picture = large_picture(photos, megapixels)
    with source.open("wb") as output:
        write_rows(picture, output, "tiff")
    pixels = picture.width * picture.height / 1e6
    row: dict[str, Any] = {"megapixels": pixels, "width": picture.width, "height": picture.height}
    for name, command in (
        ("compress", vaecodec("compress", source, "-o", file, "-f", "--limit", "1GP")),
        ("decompress", vaecodec("decompress", file, "-o", back, "-f", "--limit", "1GP")),
    ):
        run = measured(command)
        row[name] = {
            "command": " ".join(["vaecodec", *command[3:]]).replace(f"{folder}/", ""),
            **run,
            "memory_above_loading": run["memory"] - base["memory"],
            "processor_per_megapixel": (run["processor"] - base["processor"]) / pixels,
        }
    row["bpp"] = 8 * file.stat().st_size / pixels / 1e6
    row["tiles"] = len(read_container(file.read_bytes()).tiles)
    source.unlink()
    back.unlink()
    return row


def untiled(codec: Codec, photos: Sequence[Samples]) -> dict[str, float]:
    """Processor seconds of one megapixel in one tile, to a file and back, without reading or writing it."""
    band = next(iter(large_picture(photos, 30).blocks))
    parts = [band[:, left : left + ONE_MEGAPIXEL * ONE_MEGAPIXEL // CELL[0]] for left in range(0, 5 * CELL[1], CELL[1])]
    times: dict[str, list[float]] = {"compress": [], "decompress": []}
    for repeat in range(REPEATS):
        part = parts[repeat % len(parts)]
        pixels = part.shape[0] * part.shape[1] / 1e6
        start = time.process_time()
        data = codec.encode_rows(PictureRows(part.shape[1], part.shape[0], 3, 8, [part])).data
        middle = time.process_time()
        codec.decode_rows(data).picture()
        times["compress"].append((middle - start) / pixels)
        times["decompress"].append((time.process_time() - middle) / pixels)
    return {name: float(np.median(values[2:])) for name, values in times.items()}


def bits_of_tiling(codec: Codec, photos: Sequence[Samples]) -> list[dict[str, float]]:
    """Sizes of joined photographs in one tile and in the usual ones."""
    rows = []
    for seed in range(3):
        photo = large_picture(photos, 8, seed).picture().samples
        sizes: dict[str, float] = {}
        for name, largest in (("one tile", 1 << 30), ("tiles", 1)):
            height, width = photo.shape[:2]
            sizes[name] = len(codec.encode_rows(PictureRows(width, height, 3, 8, [photo]), tiling=Tiling(largest)).data)
        rows.append(sizes | {"megapixels": height * width / 1e6})
    return rows


def regions(codec: Codec, photos: Sequence[Samples], megapixels: float, folder: Path) -> dict[str, Any]:
    """Processor seconds of parts of a large picture, beside the tiles that they need."""
    path = folder / "regions.npy"
    picture = large_picture(photos, megapixels)
    with path.open("wb") as output:
        write_rows(picture, output, "npy")
    with open_rows(path) as rows:
        assert rows is not None
        data = codec.encode_rows(rows).data
    path.unlink()
    side = 1 << Tiling().exponent
    parts = []
    for name, region in (
        ("inside one tile", (2 * side + 200, 2 * side + 200, 600, 600)),
        ("one tile", (2 * side, 2 * side, side, side)),
        ("2 × 2 tiles", (2 * side, 2 * side, 2 * side, 2 * side)),
        ("4 × 4 tiles", (2 * side, 2 * side, 4 * side, 4 * side)),
    ):
        seconds = []
        for _ in range(3):
            start = time.process_time()
            decoder = Decoder(codec.model, codec.open(data))
            decoder.samples(Rectangle(*region))
            seconds.append(time.process_time() - start)
        parts.append({"region": name, "tiles_decoded": len(decoder.decoded), "processor": sorted(seconds)[1]})
    return {
        "megapixels": picture.width * picture.height / 1e6,
        "tiles": len(read_container(data).tiles),
        "parts": parts,
    }


def report(found: dict[str, Any]) -> str:
    """Tables for people."""
    lines = []
    if "pictures" in found:
        alone = found["untiled"]
        rows = [
            [
                f"{row['megapixels']:.0f}", name, f"{row[name]['processor']:.1f}", f"{row[name]['processor_per_megapixel']:.3f}",
                f"{row[name]['processor_per_megapixel'] / alone[name]:.2f}", f"{row[name]['wall']:.0f}",
                f"{row[name]['memory']:.0f}", f"{row[name]['memory_above_loading']:.0f}",
            ]
            for row in found["pictures"]
            for name in ("compress", "decompress")
        ]  # fmt: skip
        heads = ["MP", "", "CPU s", "CPU s/MP", "of one untiled MP", "wall s", "MiB", "MiB above loading"]
        lines.append(text_table(heads, rows))
    if "tiling" in found:
        whole, cut = (sum(row[name] for row in found["tiling"]) for name in ("one tile", "tiles"))
        each = [100 * (row["tiles"] / row["one tile"] - 1) for row in found["tiling"]]
        lines.append(
            f"tiles cost {100 * (cut / whole - 1):+.2f} % of bits, {min(each):+.2f} to {max(each):+.2f} a picture"
        )
    if "regions" in found:
        heads = ["region", "tiles decoded", "CPU s"]
        parts = [[p["region"], str(p["tiles_decoded"]), f"{p['processor']:.2f}"] for p in found["regions"]["parts"]]
        lines.append(f"regions of {found['regions']['megapixels']:.0f} MP in {found['regions']['tiles']} tiles")
        lines.append(text_table(heads, parts))
    return "\n\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="a folder of photographs of at least 1000 × 900")
    parser.add_argument("--megapixels", default="16,64,300")
    parser.add_argument("--region-megapixels", type=float, default=100)
    parser.add_argument("--parts", default="tiling,regions,pictures")
    parser.add_argument("--folder", type=Path, help="for the large files; by default a temporary one")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    photos = [read_picture(path).samples for path in sorted(arguments.photos.iterdir())]
    photos = [np.broadcast_to(p, (*p.shape[:2], 3)) for p in photos if p.shape[0] >= CELL[0] and p.shape[1] >= CELL[1]]
    if not photos:
        raise SystemExit(f"{arguments.photos}: no photographs of at least {CELL[1]} × {CELL[0]}")
    parts = arguments.parts.split(",")
    codec = Codec(device="cpu")
    found: dict[str, Any] = {"model": codec.model.id_hex}

    def save() -> None:
        if arguments.json is not None:
            arguments.json.write_text(json.dumps(found, indent=1) + "\n")

    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        if "tiling" in parts:
            found["tiling"] = bits_of_tiling(codec, photos)
            save()
        if "regions" in parts:
            found["regions"] = regions(codec, photos, arguments.region_megapixels, folder)
            save()
        if "pictures" in parts:
            found["untiled"] = untiled(codec, photos)
            found["loading"] = loading()
            found["pictures"] = []
            for megapixels in arguments.megapixels.split(","):
                found["pictures"].append(processes(photos, float(megapixels), folder, found["loading"]))
                save()
    print(report(found))


if __name__ == "__main__":
    main()
