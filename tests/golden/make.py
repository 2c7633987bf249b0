"""Writes the golden files with the shipped weights: run it when the weights or the bytes that an encoder writes change.

    python tests/golden/make.py

What changed belongs into CHANGELOG.md.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from skimage import data as pictures_of_skimage

from vaecodec import api
from vaecodec.api import Codec
from vaecodec.bitstream.coder import SymbolEncoder
from vaecodec.bitstream.container import KIND_PICTURE, TILE_LATENTS, Container, Header, Tile, write_container
from vaecodec.models.coding import encode_tile
from vaecodec.picture import Picture

FOLDER = Path(__file__).parent


def main() -> None:
    """Photographs, grey, one pixel, several tiles, and latents that no picture has, far out in the escapes."""
    photograph = pictures_of_skimage.astronaut()
    pictures = {
        "photograph": (photograph[:96, 180:290], 50, 0),
        "small": (photograph[:80, 200:280], 0, 0),
        "grey": (photograph[100:150, 200:233, :1], 30, 0),
        "pixel": (photograph[60:61, 60:61], 75, 0),
        "tiles": (photograph[20:150, 180:330], 40, 6),
    }
    codec = Codec()
    files = {}
    expected = {}
    for name, (samples, quality, exponent) in pictures.items():
        api.ONE_TILE_PIXELS, api.TILE_EXPONENT = (1, exponent) if exponent else (1 << 30, 10)
        files[name] = codec.compress(Picture(samples), quality=quality, check=True)
    files["escapes"] = wild_latents(codec)
    for name, data in files.items():
        (FOLDER / f"{name}.vaec").write_bytes(data)
        samples = codec.decompress(data).samples
        expected[name] = {
            "latents_sha256": codec.latents_digest(data),
            "samples_sha256": hashlib.sha256(samples.tobytes()).hexdigest(),
            "shape": list(samples.shape),
        }
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def wild_latents(codec: Codec) -> bytes:
    """A file whose latents are noise of a standard deviation of 3000 steps."""
    rng = np.random.default_rng(1)
    v = torch.from_numpy(rng.normal(size=(3, 4, 320)) * 3000).float()
    z = np.rint(rng.normal(size=(codec.torch.prior.settings.hyper_latents, 1, 1)) * 300).astype(np.int32)
    coder = SymbolEncoder(codec.tables)
    encode_tile(v, z, codec.torch.prior, 1600, coder.push)
    header = Header(KIND_PICTURE, codec.model.id, 56, 40, 3, 8, 1600, 0)
    return write_container(Container(header, (Tile(TILE_LATENTS, coder.finish()),)))


if __name__ == "__main__":
    main()
