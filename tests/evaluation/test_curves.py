from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaecodec.errors import UsageError
from vaecodec.evaluation import (
    AVIF,
    JPEG,
    JPEG_444,
    WEBP,
    CurvePoint,
    Measurement,
    PillowCodec,
    bd_rates,
    curve,
    falls,
    find_pictures,
    measure,
    measure_pictures,
    psnr,
)
from vaecodec.evaluation.curves import json_ready, rows_as_csv
from vaecodec.evaluation.peers import SizeSearch
from vaecodec.evaluation.plots import curve_plot, grid
from vaecodec.evaluation.tables import bd_rate_cell, curve_table, text_table
from vaecodec.picture import read_picture

DATA = Path(os.environ.get("VAECODEC_DATA", Path(__file__).parents[3] / "shared" / "data"))


def photograph(side: int = 64, channels: int = 3) -> np.ndarray:
    """Smooth shapes and a little texture: enough for a codec to have something to do."""
    rows, columns = np.mgrid[0:side, 0:side]
    texture = np.random.default_rng(1).normal(0, 6, (side, side, 1))
    base = 120 + 50 * np.sin(rows / 7)[:, :, None] + 40 * np.cos(columns / 11)[:, :, None] * np.ones(channels)
    return np.clip(base + texture, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("codec", [JPEG, JPEG_444, WEBP, AVIF], ids=lambda codec: codec.name)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_measurement_is_that_of_the_real_file(codec: PillowCodec, channels: int) -> None:
    samples = photograph(channels=channels)
    row = measure(codec, "a", samples, 60)
    data = codec.encode(samples, 60).data
    rgb = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert row.bytes == len(data)
    assert row.bpp == 8 * len(data) / 64**2
    assert row.psnr == psnr(samples.repeat(3 // channels, axis=2), rgb)
    assert row.ms_ssim is None
    assert row.psnr > 25


def test_avif_has_the_same_bytes_on_machines_of_more_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = photograph(side=512)
    sizes = set()
    for threads in (1, 4):
        monkeypatch.setattr("PIL.AvifImagePlugin.DEFAULT_MAX_THREADS", threads)
        sizes.add(len(AVIF.encode(samples, 40).data))
    assert len(sizes) == 1


def test_jpeg_is_the_reference_of_the_protocol() -> None:
    image = Image.open(io.BytesIO(JPEG.encode(photograph(), 50).data))
    assert [component[1:3] for component in image.layer] == [(2, 2), (1, 1), (1, 1)]  # type: ignore[attr-defined]
    assert JPEG.settings == tuple(range(5, 96, 6))


def test_a_curve_is_the_mean_of_rates_and_of_psnrs() -> None:
    row = Measurement("c", 1, "a", 10, 10, 100, 8.0, 7.0, 70.0, 30.0, 0.9, 1.0, 2.0)
    other = dataclasses.replace(row, picture="b", bpp=4.0, estimate_bpp=3.0, ssimulacra2=80.0, psnr=34.0, ms_ssim=0.8)
    assert curve([row, other]) == [CurvePoint(1, 6.0, 5.0, 75.0, 32.0, pytest.approx(0.85), 1.0, 2.0)]


def test_a_mean_of_some_pictures_only_is_not_given() -> None:
    row = Measurement("c", 1, "a", 10, 10, 100, 8.0, None, 70.0, 30.0, 0.9, 1.0, 2.0)
    (point,) = curve([row, dataclasses.replace(row, ms_ssim=None, ssimulacra2=None)])
    assert point.ms_ssim is None and point.ssimulacra2 is None
    assert point.estimate_bpp is None


def test_falls_name_the_picture_and_the_step() -> None:
    rows = measure_pictures([JPEG], [("good", photograph())])[JPEG.name]
    assert falls(rows) == []
    broken = [dataclasses.replace(row, ssimulacra2=1.0, bytes=5) if row.setting == 47 else row for row in rows]
    assert [line.split()[-3:] for line in falls(broken)] == [["5", "at", "47"], ["1.000", "at", "47"]]
    # A picture that is too small for a score is judged by its PSNR.
    small = [dataclasses.replace(row, ssimulacra2=None) for row in rows]
    assert falls(small) == []
    (line,) = falls([dataclasses.replace(row, psnr=20.0) if row.setting == 47 else row for row in small])
    assert line.startswith("good: ") and line.endswith(", 20.000 at 47")
    # What is exact has nothing more to give.
    exact = [dataclasses.replace(row, bytes=90, ssimulacra2=100.0, psnr=math.inf) for row in rows]
    assert falls(exact) == []


def test_bd_rate_of_a_codec_against_itself_is_zero() -> None:
    pytest.importorskip("scipy")
    points = curve(measure_pictures([JPEG], [("a", photograph())])[JPEG.name])
    for result in bd_rates(points, points).values():
        assert result.percent is None or result.percent == pytest.approx(0)


def test_the_peer_at_a_size_is_the_best_that_fits() -> None:
    samples = photograph()
    sizes = [len(JPEG.encode(samples, quality).data) for quality in range(101)]
    search = SizeSearch(JPEG, samples)
    found = search.best_within(sizes[40] + 3)
    assert found is not None
    assert len(found[1]) <= sizes[40] + 3
    assert abs(found[0] - 40) <= 1
    assert search.best_within(sizes[0] - 1) is None


def test_pictures_of_a_folder_are_found_in_order(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.webp", "notes.txt", "c.jpg"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "d.png").mkdir()
    assert [path.name for path in find_pictures(tmp_path)] == ["a.webp", "b.PNG", "c.jpg"]


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no pictures"):
        find_pictures(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        find_pictures(tmp_path / "none")


def test_rows_become_csv_and_json() -> None:
    row = Measurement("c", 1, "a,b", 10, 10, 100, 8.0, None, None, float("inf"), None, 1.0, 2.0)
    (read,) = csv.DictReader(io.StringIO(rows_as_csv([row])))
    assert (read["picture"], read["bytes"], read["estimate_bpp"], read["psnr"]) == ("a,b", "100", "", "inf")
    assert json.loads(json.dumps(json_ready(row), allow_nan=False))["psnr"] is None


def test_a_table_is_aligned() -> None:
    table = text_table(("name", "value"), [("a", "1"), ("long name", None)])
    assert table.splitlines() == ["name       value", "---------  -----", "a              1", "long name    n/a"]


def test_tables_say_what_is_missing() -> None:
    point = CurvePoint(1, 6.0, None, 71.25, float("inf"), None, 1.0, 2.0)
    assert curve_table([point]).splitlines()[-1].split() == [
        "1",
        "6.00",
        "n/a",
        "71.25",
        "inf",
        "n/a",
        "1.00",
        "2.00",
    ]


def test_bd_rate_cells_name_a_range_that_is_not_the_window() -> None:
    from vaecodec.evaluation import BDRate

    assert bd_rate_cell(BDRate(-20.04, 25, 32, covers=True)) == "-20.0 %"
    assert bd_rate_cell(BDRate(3.0, 26, 32, covers=False)) == "+3.0 % (only 26.0–32.0)"
    assert bd_rate_cell(BDRate(None, 3, 2, covers=False)) is None


@pytest.mark.parametrize("value", [None, 0.9])
def test_curves_are_drawn(value: float | None) -> None:
    pytest.importorskip("matplotlib")
    points = [CurvePoint(k, k + 1.0, None, value and 60.0 + k, 30.0 + k, value, 1.0, 2.0) for k in range(3)]
    plot = read_picture(Image.open(io.BytesIO(curve_plot({"ours": points}, "title"))).convert("RGB"))
    assert plot.width > 500
    assert plot.samples.std() > 5


def test_pictures_are_set_side_by_side_sample_for_sample() -> None:
    first, second = photograph(), photograph()[::-1]
    sheet = grid([[("first\ntwo lines", first), ("second", second)]])
    assert (sheet[12:76, 12:76] == first).all()
    assert (sheet[12:76, 88:152] == second).all()
    assert sheet[80:].min() < 100


def test_the_harness_reproduces_known_bd_rates() -> None:
    """JPEG 4:4:4 against 4:2:0 on a few pictures of Kodak; over all 24 the main window gives +4.7 %."""
    pytest.importorskip("scipy")
    folder = DATA / "kodak"
    if not folder.is_dir():
        pytest.skip(f"no pictures at {folder}: set VAECODEC_DATA to the folder that has kodak/")
    pictures = [(path.stem, read_picture(path).samples) for path in find_pictures(folder)[:24:8]]
    rows = measure_pictures((JPEG, JPEG_444), pictures, with_ms_ssim=False)
    curves = [curve(rows[codec.name]) for codec in (JPEG, JPEG_444)]
    result = bd_rates(*curves)["main"]
    assert result.covers
    assert result.percent == pytest.approx(4.7, abs=4)
