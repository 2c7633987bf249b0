"""One picture and one set of options give one file, whatever computes it: the same bytes as when these hashes were taken.

python tests/golden/test_encoder.py    takes them anew, after a change of the encoder or of the weights that the changelog names
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from vaecodec.api import Codec, decompress
from vaecodec.backends.native_backend import NativeBackend
from vaecodec.exact.arithmetic import Arithmetic
from vaecodec.exact.kernels import available_kernels, find_kernels

FOLDER = Path(__file__).parent
EXPECTED = FOLDER / "encoded.json"
CASES = [("psnr", name) for name in ("photograph", "grey", "tiles", "deep")] + [("eye", "photograph"), ("eye", "deep")]
"""Models, and golden files, whose samples never change: they are what is encoded."""
OPTIONS = [(quality, effort) for quality in (0, 61, 100) for effort in (0, 1)]


def hashes(codec: Codec, name: str) -> dict[str, str]:
    """SHA-256 of the files that a picture gives, by the options."""
    picture = decompress((FOLDER / f"{name}.vaec").read_bytes())
    return {
        f"{codec.model.name}, {name}, quality {quality}, effort {effort}": hashlib.sha256(
            codec.compress(picture, quality=quality, effort=effort)
        ).hexdigest()
        for quality, effort in OPTIONS
    }


def codec_of(model: str, kernels: str, threads: int) -> Codec:
    """A codec that computes with some kernels."""
    codec = Codec(model, backend="native")
    weights = codec.model.weights
    codec.model.backend = NativeBackend(weights.data, weights.analysis, threads=threads, kernels=find_kernels(kernels))
    return codec


@pytest.mark.parametrize(("model", "name"), CASES)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kernels", [kernels for kernels in available_kernels() if kernels != "numpy"])
def test_kernels_and_threads_give_the_same_files(kernels: str, threads: int, model: str, name: str) -> None:
    expected = json.loads(EXPECTED.read_text())
    found = hashes(codec_of(model, kernels, threads), name)
    assert found.items() <= expected.items()


@pytest.mark.parametrize(("model", "name"), CASES)
def test_numpy_gives_the_same_files(model: str, name: str) -> None:
    assert hashes(codec_of(model, "numpy", 1), name).items() <= json.loads(EXPECTED.read_text()).items()


@pytest.mark.parametrize(("model", "name"), CASES)
@pytest.mark.parametrize("arithmetic", [Arithmetic.FLOAT32, Arithmetic.FLOAT64])
def test_torch_gives_the_same_files(arithmetic: Arithmetic, model: str, name: str) -> None:
    codec = Codec(model, backend="torch", device="cpu", arithmetic=arithmetic)
    assert hashes(codec, name).items() <= json.loads(EXPECTED.read_text()).items()


if __name__ == "__main__":
    taken = {key: value for model, name in CASES for key, value in hashes(Codec(model), name).items()}
    EXPECTED.write_text(json.dumps(taken, indent=1) + "\n")
