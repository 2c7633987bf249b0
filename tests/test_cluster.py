"""Stores of pictures on a Dask cluster: what is done, what is skipped, and what a dead worker leaves behind."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vaecodec.api import Codec
from vaecodec.cli import main
from vaecodec.errors import PictureNotFoundError, UnknownModelError, UsageError
from vaecodec.evaluation import psnr

distributed = pytest.importorskip("distributed", reason="Dask distributed is not installed")
pytest.importorskip("pyarrow", reason="pyarrow is not installed")
fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")

from vaecodec.cluster import (
    Row,
    Settings,
    compress_on_dask,
    compress_one,
    plan,
    read_manifest,
    write_manifest,
)

# What a library that is not ours says about itself is no error of ours.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Two worker processes."""
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", processes=True) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def png(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(samples).save(file, "PNG")
    return file.getvalue()


def fill(folder: Path, photograph: np.ndarray, count: int) -> Path:
    for n in range(count):
        path = folder / f"{n % 3}" / f"{n:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(photograph[n : n + 40, 10 * n : 10 * n + 32]))
    return folder


def check(rows: list[Row], codec: Codec) -> None:
    """That a manifest says what is true of the files."""
    for row in rows:
        assert row["error"] is None
        with fsspec.open(row["target"]) as file:
            data = file.read()
        with fsspec.open(row["source"]) as file:
            original = np.array(Image.open(file))
        assert row["bytes"] == len(data)
        assert row["bpp"] == 8 * len(data) / (original.shape[0] * original.shape[1])
        assert row["psnr"] == pytest.approx(psnr(original, codec.decompress(data).samples))
        assert (row["width"], row["height"], row["model_id"]) == (32, 40, codec.model.id_hex)


def test_a_worker_killed_in_the_middle_loses_nothing_and_a_second_run_does_nothing(
    client: Any, codec: Codec, photograph: np.ndarray, tmp_path: Path
) -> None:
    store, out = str(fill(tmp_path / "in", photograph, 14)), str(tmp_path / "out")
    pids = client.run(os.getpid)
    seen = []

    def kill_one(row: Row, done: int, total: int) -> None:
        seen.append((done, total))
        if done == 3:
            os.kill(next(iter(pids.values())), signal.SIGKILL)

    result = compress_on_dask([store], out, Settings(quality=30), client, on_row=kill_one)
    assert seen == [(n, 14) for n in range(1, 15)]
    assert (len(result.rows), result.failed, result.finished) == (14, (), ())
    manifest = read_manifest(out)
    assert {Path(row["source"]).name for row in manifest} == {f"{n:03}.png" for n in range(14)}
    check(manifest, codec)
    assert sorted(path.name for path in Path(out).rglob("*.vaec")) == [f"{n:03}.vaec" for n in range(14)]

    before = {path: path.stat().st_mtime_ns for path in Path(out).rglob("*")}
    again = compress_on_dask([store], out, Settings(quality=30), client)
    assert (again.rows, len(again.finished)) == ((), 14)
    assert {path: path.stat().st_mtime_ns for path in Path(out).rglob("*")} == before


def test_the_command_does_what_is_new_and_says_what_failed(
    client: Any, codec: Codec, photograph: np.ndarray, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store, out = fill(tmp_path / "in", photograph, 3), tmp_path / "out"
    (store / "notes.txt").write_text("no picture")
    (store / "broken.png").write_bytes(b"\x89PNG and so on")
    command = ["compress", str(store), "-o", str(out), "-q", "20", "--scheduler", client.scheduler.address]
    assert main(command) == 1
    said = capfd.readouterr()
    assert said.out == f"3 compressed, 0 finished before and skipped, 1 failed: file://{out}/manifest.parquet\n"
    assert said.err.splitlines() == [line for line in said.err.splitlines() if "broken.png" in line]
    assert len(said.err.splitlines()) == 1

    (store / "broken.png").write_bytes(png(photograph[:40, :32]))
    Path(out / "1" / "001.vaec").unlink()
    assert main([*command, "--json"]) == 0
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert {Path(row["source"]).name for row in rows} == {"broken.png", "001.png"}
    assert len(read_manifest(str(out))) == 4
    check(read_manifest(str(out)), codec)
    # Other settings make other files.
    assert len(plan([str(store)], str(out), Settings(quality=21)).work) == 4
    assert len(plan([str(store)], str(out), Settings(quality=20), force=True).work) == 4
    assert len(plan([str(store)], str(out), Settings(quality=20)).work) == 0


def test_a_store_in_memory_is_done_by_threads(codec: Codec, photograph: np.ndarray) -> None:
    memory = fsspec.filesystem("memory")
    for n in range(3):
        memory.pipe_file(f"/in/{n}/picture.png", png(photograph[n : n + 40, :32]))
    memory.pipe_file("/in/0/picture.tif", b"II*")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0", processes=False) as cluster,
        distributed.Client(cluster) as client,
    ):
        result = compress_on_dask(["memory://in"], "memory://out", Settings(target={"psnr": 32}), client)
    assert result.manifest == "memory:///out/manifest.parquet"
    assert sorted(memory.find("/out")) == ["/out/0/picture.vaec", "/out/1/picture.vaec", "/out/2/picture.vaec",
                                           "/out/manifest.parquet"]  # fmt: skip
    (failed,) = result.failed
    assert "would have the output of" in str(failed["error"])
    done = [row for row in read_manifest("memory://out") if row["error"] is None]
    check(done, codec)
    assert min(row["psnr"] or 0 for row in done) >= 32


def test_what_is_wrong_with_one_picture_is_in_its_row_and_what_is_wrong_with_the_store_is_raised(
    tmp_path: Path,
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"no picture")
    (work,) = plan([str(tmp_path / "in")], str(tmp_path / "out"), Settings()).work
    row = compress_one(work, Settings())
    assert "a.png" in str(row["error"])
    assert row["bytes"] is None
    assert not (tmp_path / "out").exists()
    (tmp_path / "in" / "a.png").unlink()
    with pytest.raises(FileNotFoundError):
        compress_one(work, Settings())
    with pytest.raises(UnknownModelError):
        compress_one(work, Settings(model="nonesuch"))


def test_wrong_stores_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PictureNotFoundError):
        plan([str(tmp_path / "none")], str(tmp_path), Settings())
    with pytest.raises(UsageError, match="nope"):
        plan(["nope://x"], str(tmp_path), Settings())
    (tmp_path / "manifest.parquet").write_bytes(b"something else")
    with pytest.raises(UsageError, match="not a manifest"):
        plan([str(tmp_path)], str(tmp_path), Settings())
    assert main(["compress", str(tmp_path), "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "-o" in capfd.readouterr().err


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    rows = [
        Row(
            source=name, target="t", source_bytes=2**40, source_version="v", settings="{}", model_id="m", width=1, height=2,
            quality=61.5, bytes=3, bpp=1.25, psnr=None, seconds=0.5, worker="w", error=None,
        )
        for name in ("b", "a")
    ]  # fmt: skip
    write_manifest(str(tmp_path), rows)
    assert read_manifest(str(tmp_path)) == rows[::-1]
