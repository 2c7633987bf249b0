"""Rate–distortion of vaecodec and its peers over a folder of pictures, from real files, and BD-rates against JPEG.

    python bench/studies/rate_distortion.py DIR [--codecs vaecodec,jpeg,webp,avif] [--csv ROWS] [--json SUMMARY]

For vaecodec it also checks that rate and PSNR rise at every step of quality on every picture, and tells how much larger the files
are than what the model expects its latents to take (container and entropy coder together).
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vaecodec.errors import UsageError, VaecodecError
from vaecodec.evaluation import PEERS, CodecAdapter, Measurement, VaecodecAdapter, bd_rates, curve, falls, find_pictures
from vaecodec.evaluation.curves import json_ready, measure_pictures, rows_as_csv
from vaecodec.evaluation.tables import bd_rate_cell, curve_table, text_table
from vaecodec.picture import read_picture
from vaecodec.version import __version__

# Every fifth step of the scale: enough points in every window, and close enough to see a fall.
OUR_QUALITIES = ",".join(str(quality) for quality in range(0, 101, 5))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="pictures, not looked for in subfolders")
    parser.add_argument("--codecs", default="vaecodec,jpeg", help=f"of vaecodec, {', '.join(PEERS)} [%(default)s]")
    parser.add_argument("-q", "--qualities", default=OUR_QUALITIES, help="for vaecodec [%(default)s]")
    parser.add_argument("--model", help="name or weights file, for vaecodec")
    parser.add_argument("--device", default="auto", help="for vaecodec [%(default)s]")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N pictures")
    parser.add_argument("--ms-ssim", action="store_true", help="MS-SSIM too")
    parser.add_argument("--csv", type=Path, help="write one row per picture and setting here")
    parser.add_argument("--json", type=Path, help="write curves, BD-rates and versions here")
    options = parser.parse_args()

    names = options.codecs.split(",")
    qualities = tuple(float(quality) for quality in options.qualities.split(","))
    codecs = [adapter(name, qualities, options.model, options.device) for name in names]
    paths = find_pictures(options.folder)[: options.first]

    by_codec = measure_pictures(codecs, read_all(paths), with_ms_ssim=options.ms_ssim)
    curves = {name: curve(measured) for name, measured in by_codec.items()}
    for name, points in curves.items():
        print(f"\n{name}, {len(paths)} pictures of {options.folder.name}\n{curve_table(points)}")

    comparisons = {}
    if (reference := PEERS["jpeg"].name) in curves:
        comparisons = {
            name: bd_rates(curves[reference], points) for name, points in curves.items() if name != reference
        }
        header = ("BD-rate against JPEG 4:2:0", *next(iter(comparisons.values()), {}))
        print(
            "\n" + text_table(header, [(name, *map(bd_rate_cell, row.values())) for name, row in comparisons.items()])
        )

    problems = falls(by_codec["vaecodec"]) if "vaecodec" in by_codec else []
    if "vaecodec" in by_codec:
        print("\n" + overhead(by_codec["vaecodec"]))
        print("\n".join(problems) if problems else "rate and PSNR rise at every step on every picture")

    if options.csv:
        options.csv.write_text(rows_as_csv([row for rows in by_codec.values() for row in rows]))
    if options.json:
        summary = {
            "folder": options.folder.name,
            "pictures": len(paths),
            "versions": {"vaecodec": __version__} | {name: version(name) for name in ("torch", "pillow", "numpy")},
            "machine": platform.processor() or platform.machine(),
            "curves": {name: [json_ready(point) for point in points] for name, points in curves.items()},
            "bd_rates": {n: {w: json_ready(result) for w, result in row.items()} for n, row in comparisons.items()},
            "falls": problems,
        }
        options.json.write_text(json.dumps(summary, indent=1) + "\n")
    return 1 if problems else 0


def adapter(name: str, qualities: tuple[float, ...], model: str | None, device: str) -> CodecAdapter:
    if name == "vaecodec":
        from vaecodec.api import DEFAULT_MODEL, Codec

        return VaecodecAdapter(Codec(model or DEFAULT_MODEL, device=device), qualities)
    if name not in PEERS:
        raise UsageError(f"codec {name!r} is not known: use some of vaecodec, {', '.join(PEERS)}")
    return PEERS[name]


def read_all(paths: list[Path]) -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
    for path in paths:
        print(path.stem, file=sys.stderr)
        yield path.stem, read_picture(path).samples


def overhead(rows: list[Measurement]) -> str:
    """Tells how much larger the files are than the model's estimate, at the lowest, a middle and the highest quality."""
    qualities = sorted({row.setting for row in rows})
    parts = []
    for quality in (qualities[0], qualities[len(qualities) // 2], qualities[-1]):
        chosen = [row for row in rows if row.setting == quality]
        estimate = sum((row.estimate_bpp or 0.0) * row.width * row.height for row in chosen) / 8
        size = sum(row.bytes for row in chosen)
        parts.append(
            f"{100 * (size - estimate) / estimate:+.2f} % ({(size - estimate) / len(chosen):.0f} bytes) at {quality:g}"
        )
    return "files against the model's estimate: " + ", ".join(parts)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VaecodecError as error:
        sys.exit(f"rate_distortion: {error}")
