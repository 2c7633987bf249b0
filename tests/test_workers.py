"""Folders by several processes with the shipped weights, killed half-way and finished by a second run."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

PICTURES = 12


def vaecodec(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vaecodec", *map(str, arguments)]
    # Where the tests run in the background the shell has SIGINT ignored, and children would inherit that.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def album(tmp_path: Path, photograph: np.ndarray) -> Path:
    for number in range(PICTURES):
        folder = tmp_path / "album" / f"{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph[number : number + 200, : 200 + number]).save(folder / f"{number}.png")
    (tmp_path / "album/0/broken.png").write_bytes(b"no picture")
    return tmp_path / "album"


def alive(process: int) -> bool:
    status = Path(f"/proc/{process}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs to see child processes")
def test_a_run_that_is_killed_leaves_whole_files_and_no_workers_and_a_second_finishes(
    album: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "packed"
    run = vaecodec("compress", "-r", album, "-o", packed, "-j", "2")
    deadline = time.monotonic() + 120
    while len(list(packed.rglob("*.vaec"))) < 2 and time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.01)
    children = [int(child) for child in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, children))
    finished = len(list(packed.rglob("*.vaec")))
    assert 2 <= finished < PICTURES

    out, err = (second := vaecodec("compress", "-r", album, "-o", packed, "-j", "2")).communicate()
    assert second.returncode == 1
    skipped = f"{finished} finished before and skipped (-f does them again)"
    assert out.splitlines()[-1] == f"{PICTURES - finished} compressed, {skipped}, 1 failed:"
    assert err.count("\n") == 1
    assert "broken.png" in err

    back = tmp_path / "back"
    out, err = (third := vaecodec("decompress", "-r", packed, "-o", back, "-j", "2")).communicate()
    assert (third.returncode, err) == (0, "")
    assert len(list(back.rglob("*.png"))) == PICTURES


def children_of(run: subprocess.Popen[str]) -> list[int]:
    return [int(child) for child in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]


def wait_for(files: Path, count: int, run: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while len(list(files.rglob("*.vaec"))) < count and time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.01)


def fuzz() -> Any:
    """The long version of these tests."""
    spec = importlib.util.spec_from_file_location("signals", Path(__file__).parent / "fuzz/signals.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs to see child processes")
@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_signals_at_random_moments_leave_whole_files_and_true_words(kind: str, jobs: int) -> None:
    done = fuzz().runs(2, 10, seed=3, kinds=[kind], all_jobs=[jobs])
    assert [run.faults for run in done] == [[], []]


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on the size of files")
def test_a_disk_that_takes_no_more_is_said_once_for_each_picture(album: Path, tmp_path: Path) -> None:
    import resource

    (album / "0/broken.png").unlink()
    packed, sizes = tmp_path / "packed", tmp_path / "sizes"
    vaecodec("compress", "-r", album, "-o", sizes, "--quiet").communicate()
    most = sorted(path.stat().st_size for path in sizes.rglob("*.vaec"))[PICTURES // 2]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        run = vaecodec("compress", "-r", album, "-o", packed, "-j", "2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    out, err = run.communicate(timeout=120)
    written = {path.relative_to(packed) for path in packed.rglob("*.vaec")}
    fits = {path.relative_to(sizes) for path in sizes.rglob("*.vaec") if path.stat().st_size <= most}
    assert written == fits
    assert not list(packed.rglob("*.part"))
    assert out.splitlines()[-1] == f"{len(fits)} compressed, {PICTURES - len(fits)} failed:"
    lines = err.splitlines()
    assert len(lines) == PICTURES - len(fits) > 0
    assert all(" -> " in line and line.endswith("file too large") for line in lines)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs to see child processes")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_signal_ends_all_work_at_once_and_what_was_said_is_true(
    album: Path, tmp_path: Path, kind: signal.Signals, jobs: str
) -> None:
    packed = tmp_path / "packed"
    run = vaecodec("compress", "-r", album, "-o", packed, "-j", jobs)
    wait_for(packed, 2, run)
    # As a terminal does it, to all of them.
    for process in [run.pid, *children_of(run)] if kind == signal.SIGINT else [run.pid]:
        os.kill(process, kind)
    out, err = run.communicate(timeout=60)
    written = {path.stem for path in packed.rglob("*.vaec")}
    time.sleep(1)
    assert {path.stem for path in packed.rglob("*.vaec")} == written
    assert run.returncode == (130 if kind == signal.SIGINT else 143)
    said = {Path(line.split(" -> ")[0]).stem for line in out.splitlines() if " -> " in line}
    assert said == written
    assert f"stopped: {len(written)} done, {PICTURES + 1 - len(written)} not" in err
    assert not list(packed.rglob("*.part"))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs to see child processes")
def test_a_worker_that_dies_is_replaced_and_costs_one_picture_at_most(album: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    run = vaecodec("compress", "-r", album, "-o", packed, "-j", "2")
    wait_for(packed, 1, run)
    # The first child is multiprocessing's own tracker.
    os.kill(children_of(run)[-1], signal.SIGKILL)
    out, err = run.communicate(timeout=120)
    written = len(list(packed.rglob("*.vaec")))
    assert written >= PICTURES - 1
    assert out.splitlines()[-1] == f"{written} compressed, {PICTURES + 1 - written} failed:"
    assert err.count("worker process died") == PICTURES - written
    assert err.count("\n") == PICTURES + 1 - written


def test_two_runs_into_one_folder_do_not_harm_each_other(album: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    runs = [vaecodec("compress", "-r", album, "-o", packed) for _ in range(2)]
    ends = [run.communicate(timeout=180) for run in runs]
    assert len(list(packed.rglob("*.vaec"))) == PICTURES
    done = 0
    for run, (out, err) in zip(runs, ends, strict=True):
        assert run.returncode == 1
        assert err.count("\n") == 1
        assert "broken.png" in err
        done += int(out.splitlines()[-1].split(" compressed")[0])
    assert done == PICTURES


def test_missing_weights_are_said_once_before_any_worker_starts(album: Path, tmp_path: Path) -> None:
    run = vaecodec("compress", "-r", album, "-o", tmp_path / "packed", "-j", "2", "--model", "nonesuch")
    out, err = run.communicate()
    assert (run.returncode, out, err.count("\n")) == (4, "", 1)


def test_a_damaged_tiff_is_one_line_whatever_its_library_prints(tmp_path: Path, photograph: np.ndarray) -> None:
    source = tmp_path / "cut.tif"
    Image.fromarray(photograph[:200, :200]).save(source, compression="tiff_lzw")
    source.write_bytes(source.read_bytes()[:-20_000])
    out, err = (run := vaecodec("compress", source)).communicate()
    assert (run.returncode, out, err.count("\n")) == (3, "", 1)
    assert err.startswith(f"vaecodec: {source}: damaged or cut short")
