"""Rows as a run would write them, made from formulas, so that every figure that comes out is known beforehand."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    # bench is not installed with the package; at the end, so that an installed vaecodec comes first.
    sys.path.append(str(ROOT))

from bench.measure.rows import (
    SIZES_FILE,
    TABLE_ENDING,
    TIMES_FILE,
    QualityRow,
    QualityTable,
    TimeRow,
    append_time,
    write_table,
)

ENVIRONMENT = {"versions": {"pillow": "13.0"}, "machine": "a processor", "cores": 2, "system": "Linux"}
OUR_ENVIRONMENT = ENVIRONMENT | {"model": "psnr", "model_id": "0123456789abcdef"}

# Bytes of each codec as a multiple of JPEG's at the same PSNR.
FACTORS = {"vaecodec": 0.5, "jpeg": 1.0, "webp": 0.7, "avif": 0.55}


def quality_rows(codec: str, factor: float, pictures: int = 6) -> list[QualityRow]:
    """Ten settings; 6 dB for each doubling of the bytes times a constant; single pictures differ in level only."""
    rows = []
    for picture in range(pictures):
        for step in range(10):
            psnr = 24 + 2 * step
            size = round(factor * 4000 * 2 ** (step / 3) * (1 + 0.1 * picture))
            rows.append(
                QualityRow(codec, step * 10.0, f"{picture}.png", 512, 512, size, None, psnr, 1 - 10 ** (-psnr / 20),
                           psnr * 2, 0.2, 0.1, 300, 1, int(codec == "vaecodec"))
            )  # fmt: skip
    return rows


def time_row(codec: str, operation: str, seconds: tuple[float, ...], round_: int = 1, **other: object) -> TimeRow:
    """One row of time."""
    values: dict[str, object] = {
        "codec": codec, "setting": 50.0, "operation": operation, "picture": "0.png", "set": "kodak", "width": 512,
        "height": 512, "bytes": 9000, "psnr": 33.0, "threads": 1, "round": round_, "seconds": seconds, "peak_mb": 120.0,
        "base_mb": 100.0, "environment": ENVIRONMENT,
    }  # fmt: skip
    return TimeRow(**(values | other))  # type: ignore[arg-type]


def write_results(folder: Path, factors: dict[str, float] | None = None) -> Path:
    """A folder of results with two sets, times, sizes and costs."""
    for name in ("kodak", "val"):
        rows = [row for codec, factor in (factors or FACTORS).items() for row in quality_rows(codec, factor)]
        rows += [
            QualityRow(
                "png", 0.0, f"{picture}.png", 512, 512, 300000, None, float("inf"), None, None, 0.1, 0.1, 90, 1, 0
            )
            for picture in range(6)
        ]
        write_table(folder / f"{name}{TABLE_ENDING}", QualityTable(rows, [ENVIRONMENT, OUR_ENVIRONMENT]))
    for index in (1, 2):
        for codec, seconds in (("vaecodec", 0.1), ("jpeg", 0.01), ("avif", 0.02)):
            for operation in ("encode", "decode"):
                repeats = (seconds, seconds * 1.1, seconds * 1.3)
                append_time(folder / TIMES_FILE, time_row(codec, operation, repeats, index))
        learned = {"note": "random weights", "setting": 4.0, "psnr": None}
        append_time(folder / TIMES_FILE, time_row("mbt2018-mean", "decode", (1.1, 1.1, 1.1), index, **learned))
    for side in (256, 512, 1024, 2048):
        size = {"width": side, "height": side, "picture": f"{side}"}
        for operation in ("encode", "decode"):
            row = time_row("vaecodec", operation, (side**2 * 1e-7,), **size, peak_mb=100 + side**2 * 1e-5)
            append_time(folder / SIZES_FILE, row)
    cost = {"vaecodec": {"analysis": 6.0, "synthesis": 5.5, "prior": 2.7}}
    (folder / "cost.json").write_text(json.dumps(cost))
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results in which vaecodec takes half of JPEG's bytes on every picture."""
    return write_results(tmp_path / "results")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of two small smooth pictures with some noise."""
    folder = tmp_path / "small"
    folder.mkdir()
    for index in range(2):
        Image.fromarray(photograph(index)).save(folder / f"{index}.png")
    return folder


def photograph(seed: int = 0) -> npt.NDArray[np.uint8]:
    """uint8 [48, 64, 3], smooth with some noise."""
    rows, columns = np.mgrid[:48, :64]
    plane = 128 + 60 * np.sin(rows / 9 + seed) + 50 * np.cos(columns / 11)
    noise = np.random.default_rng(seed).normal(0, 4, (48, 64, 3))
    return np.clip(plane[:, :, np.newaxis] + noise, 0, 255).astype(np.uint8)
