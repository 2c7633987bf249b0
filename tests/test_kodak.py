"""The whole way on the 24 Kodak pictures, through the commands, in two processes, and the same files and samples as on every machine.

Skipped where the pictures are not.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaecodec.api import Codec
from vaecodec.evaluation import psnr
from vaecodec.picture import Picture, read_picture

KODAK = Path(os.environ.get("VAECODEC_DATA", Path(__file__).parents[2] / "shared" / "data")) / "kodak"
RECORDED = json.loads((Path(__file__).parent / "golden" / "kodak.json").read_text())
"""By portable C: `python -m bench.studies.same_everywhere KODAK --record tests/golden/kodak.json`."""

needs_pictures = pytest.mark.skipif(
    not KODAK.is_dir(), reason="no Kodak pictures: set VAECODEC_DATA to the folder that has kodak/"
)


@needs_pictures
def test_all_kodak_pictures_come_back_from_another_process_as_reported(tmp_path: Path) -> None:
    pictures = sorted(KODAK.glob("*.png"))
    assert len(pictures) == 24
    packed, unpacked = tmp_path / "packed", tmp_path / "unpacked"
    packed.mkdir()
    unpacked.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "vaecodec", "compress", *map(str, pictures), "-o", str(packed), "-q", "50", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    reports = {Path(report["input"]).stem: report for report in map(json.loads, done.stdout.splitlines())}
    done = subprocess.run(
        [sys.executable, "-m", "vaecodec", "decompress", *map(str, sorted(packed.iterdir())), "-o", str(unpacked)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    overhead = []
    for picture in pictures:
        report = reports[picture.stem]
        size = (packed / f"{picture.stem}.vaec").stat().st_size
        original = np.array(Image.open(picture))
        assert report["bytes"] == size
        assert report["bpp"] == 8 * size / (original.shape[0] * original.shape[1])
        assert report["psnr"] == pytest.approx(psnr(original, np.array(Image.open(unpacked / picture.name))), abs=1e-9)
        overhead.append(report["bpp"] / report["estimate_bpp"] - 1)
    assert max(overhead) < 0.01


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


@pytest.fixture(scope="module")
def fastest() -> Codec:
    """What this processor has, in two threads."""
    return Codec(threads=2)


def test_what_is_recorded_is_of_the_weights_that_ship(fastest: Codec) -> None:
    assert RECORDED["model"] == fastest.model.id_hex
    assert len(RECORDED["pictures"]) == 24
    assert all(len(by_quality) == 3 for by_quality in RECORDED["pictures"].values())


@needs_pictures
@pytest.mark.parametrize("name", RECORDED["pictures"])
def test_this_processor_makes_the_same_files_and_samples_as_all_others(fastest: Codec, name: str) -> None:
    picture = Picture(read_picture(KODAK / name).samples)
    for quality, right in RECORDED["pictures"][name].items():
        data = fastest.compress(picture, quality=float(quality))
        found = {"effort 1": digest(data), "latents": fastest.latents_digest(data)[:16]}
        found["samples"] = digest(fastest.decompress(data).samples.tobytes())
        if quality == "50":
            found["effort 0"] = digest(fastest.compress(picture, quality=50, effort=0))
        assert found.items() <= right.items()
