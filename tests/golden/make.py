"""Writes the golden files with the shipped weights: run it when the weights or the bytes that an encoder writes change.

    python tests/golden/make.py [PREFIX]      # those whose names begin so; files that were there are kept, to show that they stay readable
    python tests/golden/make.py added         # those in that folder that are missing: readers of before the section FEATURES refuse them

What changed belongs into CHANGELOG.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from skimage import data as pictures_of_skimage

from vaecodec.api import Codec, Tiling
from vaecodec.bitstream.coder import SymbolEncoder
from vaecodec.bitstream.container import KIND_PICTURE, TILE_LATENTS, Container, Header, Limits, Tile, write_container
from vaecodec.models.analysis import in_256ths
from vaecodec.models.coding import encode_tile
from vaecodec.models.settings import FAST
from vaecodec.picture import Picture

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))

from decode import MODELS, facts_about, model_of


def main(prefix: str = "") -> None:
    """Every kind of samples, one pixel, several tiles, and latents that no picture has, far out in the escapes."""
    photograph = pictures_of_skimage.astronaut()
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    deep = np.clip(
        photograph[100:148, 200:256].astype(np.uint16) * 257 + np.arange(56, dtype=np.uint16)[:, None], 0, 65535
    )
    pictures = {
        "photograph": (Picture(photograph[:96, 180:290]), 50, 0),
        "small": (Picture(photograph[:80, 200:280]), 0, 0),
        "grey": (Picture(photograph[100:150, 200:233, :1]), 30, 0),
        "grey-alpha": (Picture(photograph[100:132, 200:264, :1], alpha=np.tile(ramp, (32, 1))), 20, 0),
        "rgb-alpha": (Picture(photograph[100:132, 200:264], alpha=255 - np.tile(ramp // 64 * 64, (32, 1))), 20, 0),
        "black-and-white": (Picture((photograph[100:164, 200:264, 1:2] > 128).astype(np.uint8) * 255), 50, 0),
        "palette": (Picture(photograph[100:164, 200:264] // 128 * 255), 50, 0),
        "screen": (half_flat(photograph[100:400, 100:400]), 10, 0),
        "deep": (Picture(deep.astype(np.uint16)), 60, 0),
        "deep-grey": (Picture(deep[:, :, :1].astype(np.uint16)), 100, 0),
        "pixel": (Picture(photograph[60:61, 60:61]), 75, 0),
        "tiles": (Picture(photograph[20:150, 180:330]), 40, 6),
    }
    for name, quality in (("photograph", 50), ("small", 0), ("grey", 90), ("deep", 75), ("pixel", 75), ("tiles", 40)):
        pictures[f"eye-{name}"] = (pictures[name][0], quality, pictures[name][2])
    codecs = {model: Codec(model) for model in MODELS}
    if prefix == "added":
        added(codecs)
        return
    files = {}
    expected = json.loads((FOLDER / "expected.json").read_text()) if prefix else {}
    for name, (picture, quality, exponent) in pictures.items():
        tiling = Tiling(1, exponent) if exponent else Tiling(1 << 30)
        files[name] = codecs[model_of(name)].compress(picture, quality=quality, check=True, tiling=tiling)
    files["escapes"] = wild_latents(codecs["psnr"])
    files["eye-escapes"] = wild_latents(codecs["eye"])
    for name, data in files.items():
        if not name.startswith(prefix):
            continue
        (FOLDER / f"{name}.vaec").write_bytes(data)
        expected[name] = facts_about(codecs[model_of(name)], data)
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def added(codecs: dict[str, Codec]) -> None:
    """Files that need the section FEATURES or OVERLAY, and short ones; those whose encoding has changed since are kept as they are.

    Tiles in JPEG XL or of 16 bits, alpha of 16 bits or in the tile, no model.
    """
    codec, photograph = codecs["psnr"], pictures_of_skimage.astronaut()[100:170, 200:300]
    ramp = np.tile(np.linspace(0, 255, 100).astype(np.uint8), (70, 1))
    deep = (photograph.astype(np.uint16) * 257 - (photograph > 3) * np.uint16(77)).astype(np.uint16)
    deep_alpha = ramp.astype(np.uint16) * 200 + 55
    with_jpeg_xl = {
        "jpeg-xl": Picture(photograph, alpha=ramp),
        "jpeg-xl-grey": Picture(photograph[:, :, :1]),
        "jpeg-xl-deep": Picture(deep, alpha=photograph[:, :, 1].astype(np.uint16) * 201),
        "jpeg-xl-deep-grey": Picture(deep[:, :, :1]),
    }
    without_jpeg_xl = {
        "png-deep": Picture(deep),
        "png-deep-grey": Picture(deep[:, :, :1], alpha=deep_alpha),
        "webp": Picture(photograph, icc=b"profile", exif=b"II*\0"),
    }
    # A check keeps a file from being short.
    files = {name: codec.compress(picture, lossless=True, check=True) for name, picture in with_jpeg_xl.items()}
    files["together-jpeg-xl"] = codec.compress(Picture(deep, alpha=deep[:, :, 1]), lossless=True, check=True)
    files["short-jpeg-xl"] = codec.compress(Picture(photograph[:20, :30]), lossless=True)
    files["brief"] = codec.compress(Picture(photograph[:6, :7]), lossless=True)
    for step in (255, 85, 17):
        levels = photograph[:20, :30, :1] // (256 // (255 // step + 1)) * step
        files[f"brief-levels-{step}"] = codec.compress(Picture(levels.astype(np.uint8)), lossless=True)
    wide = np.add.outer(np.arange(40) * 900, np.arange(50) * 300).astype(np.uint16)[:, :, np.newaxis]
    files["short-jpeg-xl-alpha"] = codec.compress(
        Picture(wide + wide % 777, alpha=65535 - wide[:, :, 0]), lossless=True
    )
    with mock.patch.dict(sys.modules, {"imagecodecs": None}):
        files |= {name: codec.compress(picture, lossless=True, check=True) for name, picture in without_jpeg_xl.items()}
        files["together-webp"] = codec.compress(
            Picture(photograph, alpha=photograph[:, :, 1]), lossless=True, check=True
        )
        files["together-png-deep"] = codec.compress(Picture(deep, alpha=deep[:, :, 1]), lossless=True, check=True)
        files["short-webp"] = codec.compress(Picture(photograph[:20, :30]), lossless=True)
        files["short-webp-alpha"] = codec.compress(
            Picture(photograph[:20, :31] // 64 * 64, alpha=photograph[:20, :31, 1] // 64 * 64), lossless=True
        )
        files["short-png"] = codec.compress(Picture(ramp[:8, :, np.newaxis]), lossless=True)
        files["short-png-alpha"] = codec.compress(Picture(deep[:20, :30], alpha=deep[:20, :30, 1]), lossless=True)
        with mock.patch.multiple(
            "vaecodec.codec.lossless_encoder", DEFAULT_LIMITS=Limits(max_tile_pixels=5000), _LOSSLESS_TILE_EXPONENT=6
        ):
            files["png-deep-tiles"] = codec.compress(Picture(deep), lossless=True, check=True)
    page = np.full((150, 200, 3), 250, np.uint8)
    page[::5, 4:196:3] = 20
    page[40:130, 60:170] = pictures_of_skimage.astronaut()[100:190, 200:310]
    clear = np.tile(np.arange(200, dtype=np.uint8), (150, 1))
    for name, model in codecs.items():
        start = "eye-" if name == "eye" else ""
        files[f"{start}overlay"] = model.compress(Picture(page), quality=70, check=True)
        files[f"{start}overlay-grey-alpha"] = model.compress(
            Picture(page[:, :, 1:2], alpha=clear), quality=40, check=True
        )
    files["latents-deep-alpha"] = codec.compress(Picture(deep, alpha=deep_alpha), quality=60, check=True)
    folder = FOLDER / "added"
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        if not (folder / f"{name}.vaec").exists():
            (folder / f"{name}.vaec").write_bytes(data)
    expected = {name: facts_about(codecs[model_of(name)], (folder / f"{name}.vaec").read_bytes()) for name in files}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def half_flat(samples: np.ndarray) -> Picture:
    """A photograph in a flat page: tiles in latents and tiles without loss."""
    page = np.full_like(samples, 240)
    page[:256, :256] = samples[:256, :256]
    return Picture(page)


def wild_latents(codec: Codec) -> bytes:
    """A file whose latents are noise of a standard deviation of 3000 steps."""
    rng = np.random.default_rng(1)
    v = torch.from_numpy(rng.normal(size=(3, 4, FAST.latents)) * 3000).float()
    z = np.rint(rng.normal(size=(codec.torch.prior.settings.hyper_latents, 1, 1)) * 300).astype(np.int32)
    coder = SymbolEncoder(codec.tables)
    encode_tile(in_256ths(v), z, codec.torch.prior, 1600, coder.push)
    header = Header(KIND_PICTURE, codec.model.id, 56, 40, 3, 8, 1600, 0)
    return write_container(Container(header, (Tile(TILE_LATENTS, coder.finish()),)))


if __name__ == "__main__":
    main(*sys.argv[1:])
