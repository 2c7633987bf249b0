"""Compresses crops of real photographs on a local Dask cluster, kills a worker in the middle, and checks what is left.

    python bench/studies/cluster.py PHOTOS --pictures 300 --workers 3

Every line of the manifest is compared with the file that it names: its size, its rate, and the PSNR of what it decodes to.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from distributed import Client, LocalCluster

from vaecodec.api import Codec
from vaecodec.cluster import Result, Row, Settings, compress_on_dask, read_manifest
from vaecodec.evaluation import psnr
from vaecodec.picture import Picture, read_picture, write_picture
from vaecodec.picture_files import READABLE_EXTENSIONS

SIDE = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--workers", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store, out = Path(folder) / "in", Path(folder) / "out"
        write_crops(arguments.photos, store, arguments.pictures)
        with (
            LocalCluster(n_workers=arguments.workers, threads_per_worker=1, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            start = time.perf_counter()
            first = compress_on_dask([str(store)], str(out), Settings(quality=61), client, on_row=killer(client))
            seconds = time.perf_counter() - start
            start = time.perf_counter()
            second = compress_on_dask([str(store)], str(out), Settings(quality=61), client)
            again = time.perf_counter() - start
        report(first, second, seconds, again)
        check(read_manifest(str(out)), sorted(out.rglob("*.vaec")))


def write_crops(photos: Path, store: Path, count: int) -> None:
    """Writes crops of SIDE × SIDE, from the photographs in turn, at places that a fixed seed draws."""
    paths = sorted(path for path in photos.iterdir() if path.suffix.lower() in READABLE_EXTENSIONS)
    draw = np.random.default_rng(1)
    store.mkdir()
    for number, path in enumerate(paths):
        samples = read_picture(path).samples
        for n in range(number, count, len(paths)):
            top, left = (int(draw.integers(0, side - SIDE + 1)) for side in samples.shape[:2])
            write_picture(Picture(samples[top : top + SIDE, left : left + SIDE]), store / f"{n:04}.png")


def killer(client: Client):  # type: ignore[no-untyped-def]
    """Kills one worker once a third is done."""
    pids = list(client.run(os.getpid).values())

    def on_row(_: Row, done: int, total: int) -> None:
        if done == total // 3:
            os.kill(pids[0], signal.SIGKILL)
            print(f"worker process {pids[0]} killed after {done} of {total}")

    return on_row


def report(first: Result, second: Result, seconds: float, again: float) -> None:
    done = Counter(row["worker"].split(":")[1] for row in first.rows)
    sizes, rates = [row["bytes"] or 0 for row in first.rows], [row["bpp"] or 0.0 for row in first.rows]
    print(f"first run: {len(first.rows)} pictures in {seconds:.1f} s, {len(first.failed)} failed")
    print(f"done by worker process: {', '.join(f'{pid} {count}' for pid, count in done.items())}")
    print(f"{sum(sizes):,} bytes, {np.mean(rates):.3f} bpp, {np.mean([row['psnr'] or 0 for row in first.rows]):.2f} dB")
    print(f"second run: {len(second.rows)} pictures done, {len(second.finished)} skipped, {again:.1f} s")


def check(manifest: list[Row], files: list[Path]) -> None:
    """Compares every row with its file.

    Raises:
        SystemExit: one of them is not true.
    """
    codec = Codec()
    for row in manifest:
        data = Path(row["target"].removeprefix("file://")).read_bytes()
        source = read_picture(row["source"].removeprefix("file://")).samples
        distortion = psnr(source, codec.decompress(data).samples)
        if row["bytes"] != len(data) or row["bpp"] != 8 * len(data) / SIDE**2 or row["psnr"] != distortion:
            raise SystemExit(f"{row['source']}: the manifest is not true: {row}")
    if len(files) != len(manifest):
        raise SystemExit(f"{len(files)} files, {len(manifest)} rows")
    print(f"manifest: {len(manifest)} rows, all true of their files")


if __name__ == "__main__":
    main()
