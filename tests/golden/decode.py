"""Decodes all golden files in the configuration that the arguments and the environment ask for; prints what came out.

python tests/golden/decode.py THREADS ONEDNN ARITHMETIC    with torch
python tests/golden/decode.py THREADS                      with the native core
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from vaecodec.api import Codec

MODELS = ("psnr", "eye")


def model_of(name: str) -> str:
    """The model that a golden file was made with, from the file's name."""
    return "eye" if name.startswith("eye-") else "psnr"


def main(threads: str, onednn: str | None = None, arithmetic: str | None = None) -> None:
    """Prints JSON like expected.json."""
    codecs = {
        model: Codec(model, backend="native", threads=int(threads))
        if arithmetic is None
        else codec_in_torch(model, int(threads), onednn == "on", arithmetic)
        for model in MODELS
    }
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.vaec")):
        found[path.stem] = facts_about(codecs[model_of(path.stem)], path.read_bytes())
    print(json.dumps(found))


def codec_in_torch(model: str, threads: int, onednn: bool, arithmetic: str) -> Codec:
    """A codec that computes with torch."""
    import torch

    from vaecodec.exact.arithmetic import Arithmetic

    torch.set_num_threads(threads)
    torch.backends.mkldnn.enabled = onednn  # type: ignore[assignment]
    return Codec(model, arithmetic=Arithmetic(arithmetic), device="cpu")


def little(samples: np.ndarray) -> bytes:
    """The samples as they lie, the lower byte first."""
    return samples.astype(samples.dtype.newbyteorder("<")).tobytes()


def facts_about(codec: Codec, data: bytes) -> dict[str, object]:
    """What every reader must find in a file; samples of 16 bits with the lower byte first."""
    picture = codec.decompress(data, verify=False)
    samples, alpha = picture.samples, picture.alpha
    return {
        "latents_sha256": codec.latents_digest(data),
        "samples_sha256": hashlib.sha256(little(samples)).hexdigest(),
        "alpha_sha256": None if alpha is None else hashlib.sha256(little(alpha)).hexdigest(),
        "shape": list(samples.shape),
        "bit_depth": picture.bit_depth,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
