"""The whole way on the 24 Kodak pictures, through the commands, in two processes. Skipped where the pictures are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaecodec.evaluation import psnr

KODAK = Path(os.environ.get("VAECODEC_DATA", Path(__file__).parents[2] / "shared" / "data")) / "kodak"


@pytest.mark.skipif(not KODAK.is_dir(), reason="no Kodak pictures: set VAECODEC_DATA to the folder that has kodak/")
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
