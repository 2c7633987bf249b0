"""Times and memory of vaecodec on one picture, and of its peers at the same size in the same run.

    python -m bench.measure.speed PICTURE [-q QUALITY] [--repeats N] [--json FILE]

Wall clock after one warm-up, the median of the repeats, the fastest and slowest beside it. *Encode* is from samples in memory to
bytes, *decode* from bytes to samples in memory, the model loaded; *cold* is the whole process. On a shared machine only the
ratios to the peers mean something.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from bench.measure.machine import processor
from bench.measure.stopwatch import timed
from vaecodec.api import DEFAULT_MODEL, DEFAULT_QUALITY, Codec
from vaecodec.errors import VaecodecError
from vaecodec.evaluation import AVIF, JPEG, WEBP
from vaecodec.evaluation.peers import SizeSearch
from vaecodec.evaluation.tables import text_table
from vaecodec.picture import Picture, read_picture
from vaecodec.version import __version__

Timing = dict[str, float]
"""Seconds of repeated runs of one thing: median, fastest, slowest, and how many repeats."""


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
    result = measure(options)
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that is printed, ready for JSON."""
    picture = Picture(read_picture(options.picture).samples)
    codec = Codec(options.model, device=options.device)
    data = codec.encode(picture, quality=options.quality).data
    stages: dict[str, list[float]] = {}

    def encode() -> None:
        for stage, seconds in codec.encode(picture, quality=options.quality).seconds.items():
            stages.setdefault(stage, []).append(seconds)

    jobs: dict[str, tuple[int, Callable[[], object], Callable[[], object]]] = {}
    jobs["vaecodec"] = len(data), encode, partial(codec.decompress, data)
    for peer in (JPEG, WEBP, AVIF):
        found = SizeSearch(peer, picture.samples).best_within(len(data))
        if found is not None:
            quality, file = found
            jobs[peer.name] = len(file), partial(peer.encode, picture.samples, quality), partial(peer.decode, file)
    repeats = options.repeats
    return {
        "picture": options.picture.name,
        "width": picture.width,
        "height": picture.height,
        "quality": options.quality,
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": options.device,
        "versions": {"vaecodec": __version__} | {name: version(name) for name in ("torch", "pillow")},
        "bytes": {name: size for name, (size, _, _) in jobs.items()},
        "seconds": {
            name: {"encode": timing_of(encode, repeats), "decode": timing_of(decode, repeats)}
            for name, (_, encode, decode) in jobs.items()
        },
        "stage_seconds": {name: statistics.median(seconds) for name, seconds in stages.items()},
        "cold": cold_timings(options),
    }


def show(result: dict[str, Any]) -> None:
    """Prints what was measured as tables."""
    pixels, seconds, cold = result["width"] * result["height"], result["seconds"], result["cold"]
    print(f"{result['picture']}, {result['width']} x {result['height']}, quality {result['quality']:g}")
    print(f"{result['processor']}, {result['cores']} cores, {result['threads']} threads, device {result['device']}\n")
    ours, rows = seconds["vaecodec"]["decode"]["median"], []
    for name, both in seconds.items():
        decode = both["decode"]["median"]
        rates = (f"{pixels / decode / 1e6:.2f}", f"{decode / ours:.3f}")
        rows.append((name, str(result["bytes"][name]), shown(both["encode"]), shown(both["decode"]), *rates))
    print(text_table(("codec", "bytes", "encode, s", "decode, s", "decode, MP/s", "decode / ours"), rows))
    stages = [(name, f"{median:.4f}") for name, median in result["stage_seconds"].items()]
    print("\n" + text_table(("stage of encode", "median, s"), stages))
    processes = [(name, shown(process["seconds"]), f"{process['peak_mb']:.0f}") for name, process in cold.items()]
    print("\n" + text_table(("cold process", "s", "peak MB"), processes))


def timing_of(job: Callable[[], object], repeats: int) -> Timing:
    return summary(timed(job, repeats, math.inf)[0])


def summary(seconds: Sequence[float]) -> Timing:
    return {
        "median": statistics.median(seconds), "fastest": min(seconds), "slowest": max(seconds), "repeats": len(seconds),
    }  # fmt: skip


def shown(timing: Timing) -> str:
    return f"{timing['median']:.4f} ({timing['fastest']:.4f} to {timing['slowest']:.4f})"


def cold_timings(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Times whole processes; the peak of memory is the largest resident set of any repeat, in MB."""
    model, device = options.model, options.device
    python = [sys.executable, "-m", "vaecodec"]
    load = f"from vaecodec.api import Codec; Codec({model!r}, device={device!r})"
    with tempfile.TemporaryDirectory() as folder:
        small, large = str(Path(folder, "a.vaec")), str(Path(folder, "a.ppm"))
        settings = ["--device", device, "-f", "--quiet"]
        encoding = ["-q", f"{options.quality:g}", "--model", model, *settings]
        commands = {
            "--help": [*python, "--help"],
            "import and load only": [sys.executable, "-c", load],
            "compress": [*python, "compress", str(options.picture), "-o", small, *encoding],
            "decompress": [*python, "decompress", small, "-o", large, *settings],
        }
        return {name: cold(command, options.repeats) for name, command in commands.items()}


# A process begins with the resident set of the one that started it, and this one has torch in it; so a small one stands between.
_LAUNCHER = """
import os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - start, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def cold(command: Sequence[str], repeats: int) -> dict[str, Any]:
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
    return {"seconds": summary(seconds[1:]), "peak_mb": max(peaks)}


if __name__ == "__main__":
    try:
        main()
    except VaecodecError as error:
        sys.exit(f"speed: {error}")
