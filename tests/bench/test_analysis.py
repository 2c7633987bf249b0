from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.measure.rows import read_table, write_table
from bench.show.analysis import (
    PUBLISHED_FILE,
    Point,
    bd_table,
    compare,
    fitted_exponent,
    load_published,
    load_results,
    mean_curve,
    picture_gains,
    published_table,
    rising,
    summarise_times,
)
from bench.show.readme_results import RELEASES, newest_release
from vaecodec.evaluation import WINDOWS

from .conftest import ROOT, quality_rows

# Main, wide, low, high window, as measured elsewhere with the same protocol.
KNOWN = {
    ("kodak", "jpeg444"): (4.7, 4.3, 10.2, 2.9),
    ("kodak", "jxl"): (-24.5, -25.0, -18.6, -27.9),
    ("kodak", "webp"): (-34.6, -34.2, -34.7, -33.7),
    ("kodak", "avif"): (-47.6, -46.0, -51.5, -42.8),
    ("kodak", "heic"): (-49.8, -47.1, -55.9, -42.2),
    ("val", "webp"): (-35.2, -35.0, -35.0, -35.0),
    ("val", "avif"): (-57.1, -57.4, -57.3, -57.5),
    ("val-large", "webp"): (-37.7, -36.5, -39.9, -35.6),
    ("val-large", "avif"): (-58.7, -56.7, -62.3, -54.9),
}
KNOWN_PUBLISHED = {
    "JPEG 2000": (-31.1, -29.0, -36.2, -25.5),
    "BPG 4:4:4": (-55.4, -54.1, -60.6, -51.3),
    "mbt2018-mean": (-56.2, -55.3, -57.8, -53.7),
    "VTM": (-65.4, -63.7, -70.6, -60.2),
    "ELIC 2022": (-66.5, -65.9, -69.6, -63.8),
    "Cool-chic 5.0": (-66.6, -65.7, -68.6, -63.8),
}


def released() -> Path:
    if not RELEASES.is_dir() or not any(RELEASES.iterdir()):
        pytest.skip("no release has results yet")
    return newest_release()


@pytest.mark.parametrize(("set_name", "codec"), KNOWN)
def test_the_rows_of_the_release_reproduce_what_is_known_of_the_peers(set_name: str, codec: str) -> None:
    results = load_results(released())
    if set_name not in results.tables:
        pytest.skip(f"no rows of {set_name}")
    found = bd_table(results.tables[set_name], [codec])[codec]
    for window, known in zip(WINDOWS, KNOWN[set_name, codec], strict=True):
        one = found[window]
        assert one is not None and one.percent is not None
        if window == "low" and one.low > WINDOWS["low"][0]:
            # How far below 28 dB such a curve begins is a matter of the lowest setting measured, and decides this figure.
            continue
        assert one.percent == pytest.approx(known, abs=3)


@pytest.mark.parametrize("codec", KNOWN_PUBLISHED)
def test_published_curves_stand_where_they_are_known_to_stand(codec: str) -> None:
    found = published_table(load_results(released()).tables["kodak"])[codec]
    for window, known in zip(WINDOWS, KNOWN_PUBLISHED[codec], strict=True):
        one = found[window]
        assert one is not None and one.percent is not None
        assert one.percent == pytest.approx(known, abs=1)


def test_every_published_curve_names_its_source() -> None:
    assert all(curve.source and curve.psnr for curve in load_published())


def test_the_published_curves_are_those_of_the_common_file() -> None:
    common = ROOT.parent / "shared" / "anchors" / "kodak_curves.json"
    if not common.is_file():
        pytest.skip("../shared/anchors is not here")
    assert json.loads(PUBLISHED_FILE.read_text()) == json.loads(common.read_text())


def test_half_the_bytes_is_minus_fifty_per_cent_in_every_window_and_metric(results: Path) -> None:
    table = load_results(results).tables["val"]
    for found in bd_table(table, ["vaecodec"])["vaecodec"].values():
        assert found is not None and found.percent == pytest.approx(-50, abs=0.1)


def test_every_picture_has_its_own_gain(results: Path) -> None:
    gains = picture_gains(load_results(results).tables["kodak"], "vaecodec", "webp")
    assert sorted(gains) == [f"{index}.png" for index in range(6)]
    assert all(one.percent == pytest.approx(100 * (0.5 / 0.7 - 1), abs=0.1) for one in gains.values())


def test_a_setting_that_was_not_measured_on_every_picture_is_no_point_of_the_curve() -> None:
    rows = quality_rows("jpeg", 1.0)
    assert len(mean_curve(rows, "jpeg", "psnr")) == 10
    assert len(mean_curve(rows[:-1], "jpeg", "psnr")) == 9


def test_a_codec_that_lacks_a_picture_is_left_out_of_every_figure(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = read_table(results / "val.tsv.gz")
    table.rows = [row for row in table.rows if (row.codec, row.picture) != ("avif", "2.png")]
    write_table(results / "val.tsv.gz", table)
    loaded = load_results(results)
    assert {row.codec for row in loaded.tables["val"].rows} == {"vaecodec", "jpeg", "webp", "png"}
    assert {row.codec for row in loaded.tables["kodak"].rows} == {"vaecodec", "jpeg", "webp", "avif", "png"}
    assert "val: avif was measured on 5 of 6 pictures" in capsys.readouterr().err


def test_too_few_points_give_no_figure_unless_they_are_let_through() -> None:
    few = [Point(0, 2.0**step, 26.0 + 3 * step) for step in range(5)]
    assert compare(few, few, WINDOWS["main"]) is None
    one = compare(few, few, WINDOWS["main"], fewest=5)
    assert one is not None and one.percent == pytest.approx(0)


def test_points_that_fall_are_left_out_of_single_pictures() -> None:
    points = [Point(0, 1.0, 30.0), Point(1, 2.0, 29.0), Point(2, 3.0, 31.0)]
    assert [point.setting for point in rising(points)] == [0, 2]


def test_the_rounds_of_a_time_lie_within_its_spread(results: Path) -> None:
    ours = next(one for one in summarise_times(load_results(results).times) if one.codec == "vaecodec")
    assert (ours.repeats, ours.fastest, ours.slowest) == (6, 0.1, pytest.approx(0.13))
    assert ours.median == pytest.approx(0.11)
    assert ours.rounds_differ == 0 and ours.spread == pytest.approx(0.03 / 0.11)


def test_the_exponent_of_a_power_law_is_found() -> None:
    assert fitted_exponent([1, 2, 4, 8], [3 * size**1.5 for size in (1, 2, 4, 8)]) == pytest.approx(1.5)
    assert fitted_exponent([1, 2], [1, 2]) is None
