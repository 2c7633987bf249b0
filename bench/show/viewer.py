"""Crops for the page's viewer: the original, ours, and a peer whose file for the whole picture has as many bytes."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from bench.measure.codecs import OURS, PEERS, OurSettings, build_codec, display_name
from bench.measure.rate import rgb_samples
from vaecodec.evaluation import CodecAdapter, PillowCodec, find_pictures, psnr
from vaecodec.evaluation.peers import SizeSearch

Samples = npt.NDArray[np.uint8]

SIDE = 384
"""Samples on each side of a crop: at this size differences can be seen, and a dozen of them fit into one page."""

# Where differences are visible without a magnifying glass.
QUALITY_PSNR = 30.0

# Peers that the viewer shows, the first one as the page opens.
OTHERS = ("avif", "jpeg")

# How many pictures of each folder are searched for crops, and how many are shown.
SEARCHED, SHOWN = 3, 2


@dataclass(frozen=True)
class Candidate:
    """One picture, coded by ours and by others at the same number of bytes.

    Attributes:
        folder: the set that it is of.
        path: the picture.
        original: its samples.
        files: file and decoded samples, by codec.
        top: first row of the crop.
        left: first column of the crop.
        difference: mean squared error of the first peer minus ours inside the crop; positive: ours is nearer.
    """

    folder: str
    path: Path
    original: Samples
    files: dict[str, tuple[bytes, Samples]]
    top: int
    left: int
    difference: float


def build_crops(folders: Sequence[Path], ours: OurSettings) -> list[dict[str, Any]]:
    """Looks through pictures of each folder for the crops that differ most, in our favour and not.

    Returns:
        What the page's viewer needs, images as data URIs; as many crops where the peer is nearer as there are such, up to half.
    """
    codec = build_codec(OURS, ours)
    others = [key for key in OTHERS if PEERS[key].missing() is None]
    searched = {folder: _spread(find_pictures(folder)) for folder in folders}
    crops = []
    with tqdm(total=(1 + len(others)) * sum(map(len, searched.values())), desc="crops", unit="file") as bar:
        for folder, paths in searched.items():
            candidates = [
                found
                for path in paths
                for found in _candidates(folder.resolve().name, path, codec, others, ours.qualities, bar)
            ]
            nearer = sorted(candidates, key=lambda one: one.difference)
            chosen = [nearer[-1], nearer[0]] if len(nearer) > 1 else nearer
            crops += [_describe(one, index) for index, one in enumerate(chosen[:SHOWN])]
    return crops


def _spread(paths: Sequence[Path]) -> Sequence[Path]:
    """A few of the pictures, from all over the folder."""
    return paths[:: max(1, len(paths) // SEARCHED)][:SEARCHED]


def _candidates(
    folder: str, path: Path, codec: CodecAdapter, others: Sequence[str], qualities: Sequence[float], bar: tqdm[Any]
) -> list[Candidate]:
    original = rgb_samples(path)
    bar.set_postfix_str(f"{path.name}, {display_name(OURS)}")
    coded = _near_psnr(codec, original, qualities)
    bar.update()
    files = {OURS: (coded, codec.decode(coded))}
    for key in others:
        bar.set_postfix_str(f"{path.name}, {display_name(key)}")
        peer = cast(PillowCodec, build_codec(key, OurSettings("")))
        found = SizeSearch(replace(peer), original).best_within(len(coded))
        bar.update()
        if found is None:
            return []
        files[key] = (found[1], peer.decode(found[1]))
    errors = {key: _squares(original, decoded) for key, (_, decoded) in files.items()}
    peer_key = others[0] if others else OURS
    difference = errors[peer_key] - errors[OURS]
    places = _places(difference)
    return [Candidate(folder, path, original, files, top, left, gain) for top, left, gain in places]


def _near_psnr(codec: CodecAdapter, original: Samples, qualities: Sequence[float]) -> bytes:
    """The file whose quality is nearest to `QUALITY_PSNR`, by halving the range of settings."""
    low, high = 0, len(qualities) - 1
    best = b""
    nearest = float("inf")
    while low <= high:
        middle = (low + high) // 2
        data = codec.encode(original, qualities[middle]).data
        found = psnr(original, codec.decode(data))
        if abs(found - QUALITY_PSNR) < nearest:
            best, nearest = data, abs(found - QUALITY_PSNR)
        if found < QUALITY_PSNR:
            low = middle + 1
        else:
            high = middle - 1
    return best


def _squares(original: Samples, decoded: Samples) -> npt.NDArray[np.float64]:
    error = original.astype(np.float64) - decoded
    return np.asarray((error * error).mean(axis=2))


def _places(difference: npt.NDArray[np.float64]) -> list[tuple[int, int, float]]:
    """Top, left and mean of the windows with the largest and the smallest mean."""
    height, width = difference.shape
    side_y, side_x = min(SIDE, height), min(SIDE, width)
    summed = np.pad(difference.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    means = (
        summed[side_y:, side_x:] - summed[:-side_y, side_x:] - summed[side_y:, :-side_x] + summed[:-side_y, :-side_x]
    ) / (side_y * side_x)
    places = []
    for index in (int(means.argmax()), int(means.argmin())):
        top, left = np.unravel_index(index, means.shape)
        places.append((int(top), int(left), float(means[top, left])))
    return places


def _describe(one: Candidate, index: int) -> dict[str, Any]:
    def facts(key: str) -> dict[str, Any]:
        data, decoded = one.files[key]
        height, width = decoded.shape[:2]
        found = psnr(one.original, decoded)
        return {
            "name": display_name(key),
            "bytes": len(data),
            "bpp": 8 * len(data) / (width * height),
            "psnr": found if math.isfinite(found) else None,
            "image": _data_uri(_crop(one, decoded)),
        }

    raw = one.original.nbytes
    original = {
        "name": "original",
        "bytes": raw,
        "bpp": 24.0,
        "psnr": None,
        "image": _data_uri(_crop(one, one.original)),
    }
    others = {key: facts(key) for key in one.files if key != OURS}
    peer = next(iter(others.values()))["name"] if others else ""
    nearer = "vaecodec" if one.difference > 0 else peer
    return {
        "label": f"{one.folder} {index + 1}",
        "picture": f"{one.folder}/{one.path.name}",
        "side": SIDE,
        "ours": facts(OURS),
        "others": others | {"original": original},
        "why": f"Chosen because here {nearer} is nearer to the original than {peer if one.difference > 0 else 'vaecodec'}.",
    }


def _crop(one: Candidate, samples: Samples) -> Samples:
    return samples[one.top : one.top + SIDE, one.left : one.left + SIDE]


def _data_uri(samples: Samples) -> str:
    """Without loss, so that nothing but the codec under test shows."""
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "WEBP", lossless=True, quality=100, method=6)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def thumbnail(path: Path, side: int = 220) -> str:
    """A small picture for orientation, as a data URI."""
    image = Image.fromarray(rgb_samples(path))
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=72)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
