"""Times and memory of vaecodec on one picture, and of its peers at the same size in the same run.

    python bench/measure/speed.py PICTURE [-q QUALITY] [--repeats N] [--json FILE]

Wall clock after one warm-up, the median of the repeats, the fastest and slowest beside it. *Encode* is from samples in memory to
bytes, *decode* from bytes to samples in memory, the model loaded; *cold* is the whole process. On a shared machine only the
ratios to the peers mean something.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from vaecodec.api import DEFAULT_MODEL, DEFAULT_QUALITY, Codec
from vaecodec.errors import VaecodecError
from vaecodec.evaluation import AVIF, JPEG, WEBP
from vaecodec.evaluation.peers import SizeSearch
from vaecodec.evaluation.tables import text_table
from vaecodec.picture import Picture, read_picture
from vaecodec.version import __version__


@dataclass(frozen=True)
class Timing:
    """Seconds of repeated runs of one thing."""

    median: float
    fastest: float
    slowest: float
    repeats: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("-q", "--quality", type=float, default=DEFAULT_QUALITY)
    parser.add_argument("--repeats", type=int, default=7, help="at least 5 [%(default)s]")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="threads of torch")
    parser.add_argument("--json", type=Path, help="write everything here")
    options = parser.parse_args()
    if options.repeats < 5:
        parser.error("a median of fewer than 5 runs says little: use --repeats 5 or more")
    if options.threads:
        torch.set_num_threads(options.threads)

    picture = Picture(read_picture(options.picture).samples)
    codec = Codec(options.model, device=options.device)
    data = codec.encode(picture, quality=options.quality).data
    stages: dict[str, list[float]] = {}

    def encode() -> None:
        for stage, seconds in codec.encode(picture, quality=options.quality).seconds.items():
            stages.setdefault(stage, []).append(seconds)

    timings = {
        "vaecodec": {
            "encode": timed(encode, options.repeats),
            "decode": timed(lambda: codec.decompress(data), options.repeats),
        }
    }
    sizes = {"vaecodec": len(data)}
    for peer in (JPEG, WEBP, AVIF):
        found = SizeSearch(peer, picture.samples).best_within(len(data))
        if found is None:
            continue
        sizes[peer.name] = len(found[1])
        timings[peer.name] = {
            "encode": timed(partial(peer.encode, picture.samples, found[0]), options.repeats),
            "decode": timed(partial(peer.decode, found[1]), options.repeats),
        }
    cold = cold_timings(options.picture, options.quality, options.model, options.device, options.repeats)

    pixels = picture.width * picture.height
    print(f"{options.picture.name}, {picture.width} x {picture.height}, quality {options.quality:g}")
    print(f"{processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, device {options.device}\n")
    header = ("codec", "bytes", "encode, s", "decode, s", "decode, MP/s", "decode / ours")
    ours = timings["vaecodec"]["decode"].median
    rows = []
    for name, both in timings.items():
        decode = both["decode"].median
        rates = (f"{pixels / decode / 1e6:.2f}", f"{decode / ours:.3f}")
        rows.append((name, str(sizes[name]), shown(both["encode"]), shown(both["decode"]), *rates))
    print(text_table(header, rows))
    print(
        "\n"
        + text_table(("stage of encode", "median, s"), [(k, f"{statistics.median(v):.4f}") for k, v in stages.items()])
    )
    print(
        "\n" + text_table(("cold process", "s", "peak MB"), [(k, shown(t), f"{mb:.0f}") for k, (t, mb) in cold.items()])
    )

    if options.json:
        result: dict[str, Any] = {
            "picture": options.picture.name,
            "width": picture.width,
            "height": picture.height,
            "quality": options.quality,
            "processor": processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": options.device,
            "versions": {"vaecodec": __version__} | {name: version(name) for name in ("torch", "pillow")},
            "bytes": sizes,
            "seconds": {name: {what: asdict(t) for what, t in both.items()} for name, both in timings.items()},
            "stage_seconds": {name: statistics.median(seconds) for name, seconds in stages.items()},
            "cold": {name: {"seconds": asdict(timing), "peak_mb": mb} for name, (timing, mb) in cold.items()},
        }
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def timed(job: Callable[[], object], repeats: int) -> Timing:
    job()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - start)
    return Timing(statistics.median(seconds), min(seconds), max(seconds), repeats)


def shown(timing: Timing) -> str:
    return f"{timing.median:.4f} ({timing.fastest:.4f} to {timing.slowest:.4f})"


def cold_timings(
    picture: Path, quality: float, model: str, device: str, repeats: int
) -> dict[str, tuple[Timing, float]]:
    """Times whole processes; the peak of memory is the largest resident set of any repeat, in MB."""
    python = [sys.executable, "-m", "vaecodec"]
    load = f"from vaecodec.api import Codec; Codec({model!r}, device={device!r})"
    with tempfile.TemporaryDirectory() as folder:
        small, large = str(Path(folder, "a.vaec")), str(Path(folder, "a.ppm"))
        settings = ["--device", device, "-f", "--quiet"]
        commands = {
            "--help": [*python, "--help"],
            "import and load only": [sys.executable, "-c", load],
            "compress": [
                *python,
                "compress",
                str(picture),
                "-o",
                small,
                "-q",
                f"{quality:g}",
                "--model",
                model,
                *settings,
            ],
            "decompress": [*python, "decompress", small, "-o", large, *settings],
        }
        return {name: cold(command, repeats) for name, command in commands.items()}


# A process begins with the resident set of the one that started it, and this one has torch in it; so a small one stands between.
_LAUNCHER = """
import os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - start, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def cold(command: Sequence[str], repeats: int) -> tuple[Timing, float]:
    seconds, peaks = [], []
    for _ in range(repeats + 1):
        result = subprocess.run(
            [sys.executable, "-c", _LAUNCHER, *command], stdout=subprocess.PIPE, text=True, check=False
        )
        if result.returncode:
            sys.exit(f"speed: {' '.join(command)} failed with {result.returncode}")
        elapsed, peak = map(float, result.stdout.split())
        seconds.append(elapsed)
        # Linux counts in KiB, macOS in bytes.
        peaks.append(peak / (1e6 if sys.platform == "darwin" else 1e6 / 1024))
    # The first one warmed the disk's cache.
    seconds = seconds[1:]
    return Timing(statistics.median(seconds), min(seconds), max(seconds), repeats), max(peaks)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    try:
        main()
    except VaecodecError as error:
        sys.exit(f"speed: {error}")
