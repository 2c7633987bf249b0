"""Writes the golden files with the shipped weights: run it when the weights or the bytes that an encoder writes change.

    python tests/golden/make.py

What changed belongs into CHANGELOG.md.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from skimage import data

from vaecodec import api
from vaecodec.api import Codec
from vaecodec.picture import Picture

FOLDER = Path(__file__).parent


def main() -> None:
    """Photographs, grey, one pixel, several tiles, and noise that makes escapes."""
    photograph = data.astronaut()
    noise = np.random.default_rng(1).integers(0, 2, (40, 56, 3)).astype(np.uint8) * 255
    pictures = {
        "photograph": (photograph[:96, 180:290], 50, 0),
        "small": (photograph[:80, 200:280], 0, 0),
        "grey": (photograph[100:150, 200:233, :1], 30, 0),
        "pixel": (photograph[60:61, 60:61], 75, 0),
        "tiles": (photograph[20:150, 180:330], 40, 6),
        "noise": (noise, 100, 0),
    }
    codec = Codec()
    expected = {}
    for name, (samples, quality, exponent) in pictures.items():
        api.ONE_TILE_PIXELS, api.TILE_EXPONENT = (1, exponent) if exponent else (1 << 30, 10)
        encoded = codec.encode(Picture(samples), quality=quality, check=True)
        (FOLDER / f"{name}.vaec").write_bytes(encoded.data)
        expected[name] = {
            "latents_sha256": codec.latents_digest(encoded.data),
            "samples_sha256": hashlib.sha256(encoded.samples.tobytes()).hexdigest(),
            "shape": list(encoded.samples.shape),
        }
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
