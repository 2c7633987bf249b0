"""Learned codecs of CompressAI, for their time and cost: their weights are not distributed with the package.

They run with random weights, which takes as long as with trained ones in the transforms; the entropy coder meets a duller stream
than a trained model would give it, so that their true time is rather longer than shorter. Their rate–distortion curves come from
the published file, never from here.

CompressAI asks for an older numpy than it needs, and for a build of torchvision that must not replace torch. This is enough:

    pip install --no-deps compressai einops torch-geometric pandas pytz aiohttp xxhash psutil
    pip install requests
"""

from __future__ import annotations

import importlib
import struct
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vaecodec.evaluation.peers import CodedFile

Samples = npt.NDArray[np.uint8]

# Name and quality level. Level 4 is what the published curves have at 33 dB, level 6 at 37 dB, where the models are wider.
LEARNED: tuple[tuple[str, int], ...] = (
    ("bmshj2018-hyperprior", 4), ("mbt2018-mean", 4), ("mbt2018-mean", 6), ("cheng2020-anchor", 4),
)  # fmt: skip

# Latents of these models lie at 1/16 and their hyperlatents at 1/64.
_STRIDE = 64


def missing() -> str | None:
    """What is not installed, or None where all is there."""
    return None if find_spec("compressai") else "the package compressai: pip install 'vaecodec[learned]'"


def build_learned(name: str, level: int) -> LearnedCodec:
    """A codec of CompressAI with random weights, the same ones each time."""
    zoo = _import_zoo()
    torch.manual_seed(0)
    model = zoo.models[name](quality=level, pretrained=False).eval()
    model.update(force=True)
    return LearnedCodec(name, (float(level),), model)


def _import_zoo() -> Any:
    if "torchvision" not in sys.modules and find_spec("torchvision") is None:
        # Imported by CompressAI only to list transforms for training, and it exists only for one exact version of torch.
        package, transforms = types.ModuleType("torchvision"), types.ModuleType("torchvision.transforms")
        sys.modules["torchvision"], sys.modules["torchvision.transforms"] = package, transforms
        package.__dict__["transforms"] = transforms
    return importlib.import_module("compressai.zoo")


@dataclass(frozen=True)
class LearnedCodec:
    """One model of CompressAI as an adapter.

    Attributes:
        name: CompressAI's name of the model.
        settings: the one quality level that it was built for.
        model: the model.
    """

    name: str
    settings: Sequence[float]
    model: Any

    def encode(self, samples: Samples, setting: float) -> CodedFile:
        """Turns uint8 [H, W, 3] into bytes: sizes, then each string of the model with its length."""
        height, width = samples.shape[:2]
        padding = ((0, -height % _STRIDE), (0, -width % _STRIDE), (0, 0))
        padded = np.pad(samples, padding, mode="edge")
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].float().div(255)
        with torch.inference_mode():
            coded = self.model.compress(x)
        strings = [bytes(string[0]) for string in coded["strings"]]
        shape = tuple(int(side) for side in coded["shape"])
        head = struct.pack("<5I", height, width, *shape, len(strings))
        return CodedFile(head + b"".join(struct.pack("<I", len(string)) + string for string in strings))

    def decode(self, data: bytes) -> Samples:
        """Turns the bytes into uint8 [H, W, 3]."""
        height, width, rows, columns, count = struct.unpack_from("<5I", data)
        strings, at = [], struct.calcsize("<5I")
        for _ in range(count):
            (length,) = struct.unpack_from("<I", data, at)
            strings.append([data[at + 4 : at + 4 + length]])
            at += 4 + length
        with torch.inference_mode():
            x = self.model.decompress(strings, (rows, columns))["x_hat"]
        samples = x[0].permute(1, 2, 0).mul(255).round().clamp(0, 255).to(torch.uint8).numpy()
        return np.ascontiguousarray(samples[:height, :width])


def learned_cost(name: str, level: int) -> dict[str, float]:
    """Thousands of MAC per pixel of ``analysis`` (with h_a), ``synthesis`` and ``prior``, counted by torch as the model runs."""
    model = build_learned(name, level).model
    height, width = 256, 256
    x = torch.rand(1, 3, height, width)

    def count(*arguments: Any, of: Any) -> tuple[float, Any]:
        from torch.utils.flop_counter import FlopCounterMode

        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            result = of(*arguments)
        return counter.get_total_flops() / 2 / (height * width) / 1000, result

    transform, y = count(x, of=model.g_a)
    hyper, _ = count(y, of=model.h_a)
    synthesis, _ = count(y, of=model.g_s)
    whole, _ = count(x, of=model)
    return {
        "analysis": transform + hyper,
        "synthesis": synthesis,
        "prior": whole - transform - hyper - synthesis,
    }


def our_cost(model: str) -> dict[str, float]:
    """The same for vaecodec, counted in the same way while it encodes and decodes."""
    from torch.utils.flop_counter import FlopCounterMode

    from vaecodec.api import Codec
    from vaecodec.models.decoder_data import quality16_from_percent
    from vaecodec.models.settings import STRIDE
    from vaecodec.picture import Picture

    codec = Codec(model, device="cpu")
    side = 256
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)

    def count(job: Callable[[], object]) -> float:
        with FlopCounterMode(display=False) as counter:
            job()
        return float(counter.get_total_flops()) / 2 / side**2 / 1000

    data = codec.encode(Picture(noise), quality=50).data
    latents = torch.zeros((side // STRIDE, side // STRIDE, codec.model.weights.settings.latents), dtype=torch.int32)
    both = count(lambda: codec.encode(Picture(noise), quality=50))
    decode = count(lambda: codec.decompress(data))
    synthesis = count(lambda: codec.torch.synthesis(latents, quality16_from_percent(50)))
    return {"analysis": both - decode, "synthesis": synthesis, "prior": decode - synthesis}
