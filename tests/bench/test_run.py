from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from bench.measure import machine
from bench.measure.rate import rgb_samples
from bench.measure.rows import append_time, read_table, read_times
from bench.measure.run import chosen_codecs, main, of_other_weights, spread
from bench.measure.stopwatch import mosaic
from bench.measure.timing import Series, forget_stale, nearest_setting, sides
from vaecodec.errors import UsageError
from vaecodec.evaluation import JPEG, psnr

from .conftest import ENVIRONMENT, photograph, time_row


def test_a_run_measures_real_files_and_goes_on_where_it_was(pictures: Path, tmp_path: Path) -> None:
    command = [str(pictures), "-o", str(tmp_path / "out"), "--parts", "rate", "--codecs", "jpeg"]
    assert main(command) == 0
    path = tmp_path / "out" / "small.tsv.gz"
    rows = {row.key: row for row in read_table(path).rows}
    assert len(rows) == 2 * len(JPEG.settings)
    samples = rgb_samples(pictures / "0.png")
    coded = JPEG.encode(samples, 53).data
    assert rows["jpeg", 53.0, "0.png"].bytes == len(coded)
    assert rows["jpeg", 53.0, "0.png"].psnr == pytest.approx(psnr(samples, JPEG.decode(coded)), abs=1e-4)
    assert rows["jpeg", 53.0, "0.png"].threads == 1

    # What is there stays as it is, to the last digit of its times; what is new is added.
    Image.fromarray(photograph(5)).save(pictures / "2.png")
    assert main(command) == 0
    more = {row.key: row for row in read_table(path).rows}
    assert len(more) == 3 * len(JPEG.settings)
    assert all(more[key].encode_seconds == row.encode_seconds for key, row in rows.items())


def test_rows_of_other_weights_of_ours_do_not_count(results: Path) -> None:
    table = read_table(results / "kodak.tsv.gz")
    rows = {row.codec: row for row in table.rows}
    environments = {"vaecodec": {"model_id": "another"}, "jpeg": {}}
    assert of_other_weights(table, rows["vaecodec"], environments)
    assert not of_other_weights(table, rows["vaecodec"], {"vaecodec": {"model_id": "0123456789abcdef"}})
    assert not of_other_weights(table, rows["jpeg"], environments)
    assert not of_other_weights(table, rows["vaecodec"], {"jpeg": {}})


def test_times_come_from_fresh_processes_in_two_rounds(pictures: Path, tmp_path: Path) -> None:
    command = [str(pictures), "-o", str(tmp_path), "--codecs", "jpeg", "--parts"]
    assert main([*command, "rate"]) == 0
    assert main([*command, "time", "--repeats", "3"]) == 0
    rows = read_times(tmp_path / "time.jsonl")
    assert {(row.operation, row.round) for row in rows} == {(o, r) for o in ("encode", "decode") for r in (1, 2)}
    assert all(len(row.seconds) == 3 and min(row.seconds) > 0 for row in rows)
    # A whole Python with Pillow and numpy, and not more.
    assert all(10 < row.base_mb <= row.peak_mb < 500 for row in rows)
    assert all("run" in row.environment for row in rows)


def test_times_of_other_weights_and_times_to_be_measured_again_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "time.jsonl"
    for codec, set_name, model in (("vaecodec", "kodak", "old"), ("jpeg", "kodak", None), ("vaecodec", "val", "old")):
        environment = ENVIRONMENT | ({"model_id": model} if model else {})
        append_time(path, time_row(codec, "decode", (1.0,), set=set_name, environment=environment))
    series = [Series("vaecodec", 50.0, False, {"model_id": "new"}), Series("jpeg", 50.0, False, ENVIRONMENT)]
    forget_stale(path, "kodak", series, again=False)
    assert {(row.codec, row.set) for row in read_times(path)} == {("jpeg", "kodak"), ("vaecodec", "val")}
    forget_stale(path, "kodak", series, again=True)
    assert {(row.codec, row.set) for row in read_times(path)} == {("vaecodec", "val")}


def test_times_without_rates_are_refused_with_what_to_do(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="add rate to --parts"):
        main([str(pictures), "-o", str(tmp_path), "--codecs", "jpeg", "--parts", "time"])


def test_a_codec_that_is_not_known_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(UsageError, match="gif"):
        chosen_codecs(["jpeg", "gif"])


def test_processes_side_by_side_get_cores_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    bound: list[set[int]] = []
    monkeypatch.setattr(machine.sys, "platform", "linux")
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    monkeypatch.setattr(machine.os, "sched_setaffinity", lambda _, cores: bound.append(cores), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MKL_NUM_THREADS", "1")
    monkeypatch.delitem(machine.sys.modules, "torch", raising=False)
    for index in range(4):
        machine.hold_to_threads(1, index)
    machine.hold_to_threads(2)
    assert bound == [{2}, {1}, {0}, {2}, {2, 1}]


def test_perceptual_metrics_are_measured_at_settings_spread_over_the_scale() -> None:
    assert spread(range(17), 8)[0] == 0 and spread(range(17), 8)[-1] == 16
    assert len(set(spread(range(17), 8))) == 8
    assert spread([1, 2], 8) == [1, 2]


def test_codecs_are_timed_at_the_setting_nearest_to_the_wanted_quality(results: Path) -> None:
    # The scale of these rows is 24 dB at 0 and 2 dB for each step of 10.
    assert nearest_setting(read_table(results / "kodak.tsv.gz"), "avif", 33.2, "0.png") == 50


def test_large_pictures_are_laid_together_from_photographs() -> None:
    first, second = photograph(0), photograph(1)
    large = mosaic([first, second], 150, 100)
    assert large.shape == (100, 150, 3)
    assert (large[:48, :64] == first).all() and (large[:48, 64:128] == second).all()
    width, height = sides(50)
    assert width * height == pytest.approx(50e6, rel=1e-3) and width / height == pytest.approx(4 / 3, rel=1e-2)
