"""How closely files meet targets: twenty of each kind, each on a picture of its own.

    python bench/studies/targets.py PICTURES [--each 20] [--kinds ssimulacra2,psnr] [--json FILE]

Targets lie between what the picture has at quality 8 and at 92, evenly, so that each can be reached.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from vaecodec.api import Codec, Encoded
from vaecodec.evaluation import bits_per_pixel, ms_ssim, psnr, ssimulacra2
from vaecodec.evaluation.tables import text_table
from vaecodec.picture import Picture, read_picture

BOUNDS = {
    "size": (0.99, 1.0),
    "bpp": (0.99, 1.0),
    "ssimulacra2": (0.0, 0.5),
    "psnr": (0.0, 0.05),
    "ms_ssim": (0.0, 0.0005),
}
"""As a part of the target, or above it."""


def value(kind: str, picture: Picture, encoded: Encoded) -> float:
    match kind:
        case "size":
            return len(encoded.data)
        case "bpp":
            return bits_per_pixel(len(encoded.data), picture.width, picture.height)
        case "psnr":
            return psnr(encoded.source, encoded.samples)
    measured = (ssimulacra2 if kind == "ssimulacra2" else ms_ssim)(encoded.source, encoded.samples)
    assert measured is not None
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--kinds", default=",".join(BOUNDS), help="of " + ", ".join(BOUNDS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    codec, kinds = Codec(device="cpu"), arguments.kinds.split(",")
    if not set(kinds) <= set(BOUNDS):
        parser.error(f"--kinds takes {', '.join(BOUNDS)}")
    paths = sorted(arguments.pictures.iterdir())
    rows: list[dict[str, Any]] = []
    for number in range(arguments.each):
        for offset, kind in enumerate(kinds):
            path = paths[(number * len(kinds) + offset) % len(paths)]
            picture = read_picture(path)
            low, high = (value(kind, picture, codec.encode(picture, quality=quality)) for quality in (8, 92))
            low = max(low, 0.0)  # a score may be negative, a target not
            target = low + (high - low) * (number + 0.5) / arguments.each
            target = round(target) if kind == "size" else target
            start = time.process_time()
            encoded = codec.encode_to(picture, **{kind: target})
            seconds = time.process_time() - start
            got = value(kind, picture, encoded)
            distance = got / target if kind in ("size", "bpp") else got - target
            least, most = BOUNDS[kind]
            rows.append(
                {
                    "kind": kind, "picture": path.name, "target": target, "got": got, "distance": distance,
                    "within": least <= distance <= most, "wrong_side": distance > 1 if most == 1 else distance < 0,
                    "points": encoded.tried, "processor": seconds,
                }
            )  # fmt: skip
            if arguments.json is not None:
                arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    table = []
    for kind in kinds:
        own = [row for row in rows if row["kind"] == kind]
        distances = [row["distance"] for row in own]
        table.append(
            [
                kind, str(len(own)), str(sum(row["within"] for row in own)), str(sum(row["wrong_side"] for row in own)),
                f"{min(distances):.5f}", f"{max(distances):.5f}", f"{sum(row['points'] for row in own) / len(own):.1f}",
            ]
        )  # fmt: skip
    print(text_table(["kind", "targets", "within", "wrong side", "from", "to", "files made"], table))


if __name__ == "__main__":
    main()
