"""A folder of 200 mixed files, five of them broken: two workers, killed half-way, and finished by a second run.

    python bench/studies/folder.py PHOTOS [--files 200] [--jobs 2] [--json FILE]

Kinds are mixed: JPEG, PNG, grey, palette, transparency, WebP, TIFF, 16 bits. The first run and its workers are killed (SIGKILL)
when half of the outputs are there; what is left must be whole outputs or none, and the second run must leave finished ones alone,
do the rest, list exactly the broken ones and end with exit code 1. Then every file is tested with ``decompress -t``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from vaecodec.bitstream.container import read_container
from vaecodec.picture import OUTPUT_FORMATS, Picture, encode_picture, read_picture

SIDE = 192
COMMAND = [sys.executable, "-c", "import sys; from vaecodec.cli import main; sys.exit(main())"]


def make(photos: Path, folder: Path, count: int) -> list[Path]:
    """Writes the files in some subfolders; returns the five broken ones."""
    paths = sorted(photos.iterdir())
    rng = np.random.default_rng(5)
    kinds = ("jpeg", "png", "grey", "palette", "alpha", "webp", "tiff", "16-bit")
    files = []
    for number in range(count):
        samples = read_picture(paths[number % len(paths)]).samples
        top, left = (int(rng.integers(side - SIDE + 1)) for side in samples.shape[:2])
        crop = np.ascontiguousarray(samples[top : top + SIDE, left : left + SIDE])
        kind = kinds[number % len(kinds)]
        picture, name = Picture(crop), kind
        if kind == "grey":
            picture, name = Picture(crop[:, :, 1:2]), "png"
        elif kind == "alpha":
            picture, name = Picture(crop, alpha=np.tile(np.arange(SIDE, dtype=np.uint8), (len(crop), 1))), "png"
        elif kind == "palette":
            picture, name = Picture(crop // 64 * 85), "png"
        elif kind == "16-bit":
            picture, name = Picture(crop.astype(np.uint16) * 257), "png"
        path = folder / f"album{number % 7}" / f"{number:03d}{OUTPUT_FORMATS[name].extensions[0]}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_picture(picture, OUTPUT_FORMATS[name]))
        files.append(path)
    broken = [files[number] for number in np.linspace(3, count - 4, 5).astype(int)]
    for number, path in enumerate(broken):
        data = path.read_bytes()
        path.write_bytes((b"", data[: len(data) // 3], b"not a picture", data[:20], bytes(500))[number])
    return broken


def outputs(folder: Path) -> dict[Path, int]:
    """Finished outputs and their time stamps."""
    return {path: path.stat().st_ino for path in folder.rglob("*.vaec")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source, packed = Path(name) / "album", Path(name) / "packed"
        source.mkdir()
        broken = make(arguments.photos, source, arguments.files)
        command = [*COMMAND, "compress", str(source), "-r", "-o", str(packed), "-j", str(arguments.jobs), "--check"]

        start = time.perf_counter()
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        while len(outputs(packed)) < arguments.files // 2:
            if first.poll() is not None:
                raise SystemExit(f"the first run ended by itself, with {first.returncode}")
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        found: dict[str, Any] = {"files": arguments.files, "broken": len(broken), "jobs": arguments.jobs}
        found["first_run_seconds"] = time.perf_counter() - start
        half = outputs(packed)
        for path in half:
            read_container(path.read_bytes())
        found["finished_when_killed"] = len(half)
        found["left_over_temporary_files"] = sum(1 for _ in packed.rglob(".vaecodec-*"))

        start = time.perf_counter()
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        found["second_run_seconds"] = time.perf_counter() - start
        found["exit_code"] = second.returncode
        found["summary"] = second.stdout.strip().splitlines()[-1]
        done = outputs(packed)
        found["finished"] = len(done)
        named = [path for path in broken if str(path) in second.stderr]
        found["broken_named"], found["lines_of_errors"] = len(named), len(second.stderr.strip().splitlines())
        found["done_again"] = sum(done[path] != inode for path, inode in half.items())

        tested = subprocess.run(
            [*COMMAND, "decompress", "-t", "-r", str(packed), "-j", str(arguments.jobs), "--quiet"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        found["test_exit_code"] = tested.returncode
        good = (
            second.returncode == 1 and len(done) == arguments.files - len(broken) and len(named) == len(broken)
            and found["lines_of_errors"] == len(broken) and not found["done_again"] and tested.returncode == 0
        )  # fmt: skip
        found["as_it_should_be"] = good
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
