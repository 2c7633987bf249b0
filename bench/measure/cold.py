"""Whole processes, from the shell to the file: ours beside cjxl, djxl, avifenc and avifdec, by processor time and peak memory.

    python -m bench.measure.cold kodim05.png
    python -m bench.measure.cold big.png --rounds 3          (12 megapixels)

Every round runs every program once, so that what the machine does meanwhile meets all of them. The first round warms the disk's cache and
is not counted; it also writes the bytecode of our modules, which an installation by pip has (``PYTHONDONTWRITEBYTECODE`` would have every start
compile them again, so it is taken out of the environment). Time is the processor's, user and system, of the process and its threads: waiting
does not count. All are bound to one core, and have one thread. Files of the peers are as large as ours, or the next smaller. The peers are the system's: `apt-get install libjxl-tools libavif-bin`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

BARE = [sys.executable, "-c", "import numpy, click, PIL.Image"]
AVIF_QUANTISERS = 63
JXL_QUALITIES = 100
KIB = 1024


def run(command: list[str]) -> tuple[float, float]:
    """Processor seconds, and peak memory in MB, of a command that has to succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    # The object does not know that its process is over.
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"cold: {' '.join(command)} failed with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * KIB / 1e6


def best_within(encode: Callable[[int], list[str]], path: str, settings: int, limit: int) -> list[str]:
    """The command of the highest setting, 0 to ``settings``, whose file has at most so many bytes."""
    low, high = 0, settings
    while low < high:
        middle = (low + high + 1) // 2
        run(encode(middle))
        low, high = (middle, high) if Path(path).stat().st_size <= limit else (low, middle - 1)
    run(encode(low))
    return encode(low)


def commands(picture: Path, quality: float | None, folder: Path) -> tuple[dict[str, list[str]], dict[str, str]]:
    """What is run, by name, encoders before their decoders; and the file that each encoder makes."""
    ours, jxl, avif, out = (str(folder / name) for name in ("a.vaec", "a.jxl", "a.avif", "a.png"))
    vaecodec, settings = [sys.executable, "-m", "vaecodec"], ["-f", "--quiet"]
    asked = [] if quality is None else ["-q", f"{quality:g}"]
    found = {"import numpy, click, PIL.Image": BARE, "vaecodec --help": [*vaecodec, "--help"]}
    found["vaecodec compress"] = [*vaecodec, "compress", str(picture), "-o", ours, *asked, *settings]
    found["vaecodec decompress"] = [*vaecodec, "decompress", ours, "-o", out, *settings]
    run(found["vaecodec compress"])
    size = Path(ours).stat().st_size
    if shutil.which("cjxl"):

        def cjxl(setting: int) -> list[str]:
            return ["cjxl", str(picture), jxl, "-q", str(setting), "--num_threads=0", "--quiet"]

        found["cjxl"] = best_within(cjxl, jxl, JXL_QUALITIES - 1, size)
        found["djxl"] = ["djxl", jxl, out, "--num_threads=0", "--quiet"]
    if shutil.which("avifenc"):

        def avifenc(setting: int) -> list[str]:
            quantiser = str(AVIF_QUANTISERS - setting)
            return ["avifenc", "-s", "6", "-j", "1", "--min", quantiser, "--max", quantiser, str(picture), avif]

        found["avifenc, speed 6"] = best_within(avifenc, avif, AVIF_QUANTISERS, size)
        found["avifdec"] = ["avifdec", "-j", "1", avif, out]
    return found, {"vaecodec compress": ours, "cjxl": jxl, "avifenc, speed 6": avif}


def processor() -> str:
    """Its name, where the system tells."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown processor")


def main() -> None:
    """Runs all of them and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("-q", "--quality", type=float, help="of ours; the default if left out")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        found, files = commands(options.picture, options.quality, Path(folder))
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
        for _ in range(options.rounds + 1):
            for name, command in found.items():
                measured[name].append(run(command))
        sizes = {name: Path(path).stat().st_size for name, path in files.items() if name in found}
    bare = min(seconds for seconds, _ in measured[next(iter(found))][1:])
    print(f"{options.picture.name}, {processor()}, one thread, {options.rounds} rounds\n")
    print(
        "| program | processor time, least | median | of the bare imports | peak memory | bytes |\n|---|---:|---:|---:|---:|---:|"
    )
    for name, runs in measured.items():
        seconds = [seconds for seconds, _ in runs[1:]]
        peak = max(megabytes for _, megabytes in runs)
        least, middle = min(seconds), statistics.median(seconds)
        size = f"{sizes[name]:,}" if name in sizes else ""
        print(f"| {name} | {least:.2f} s | {middle:.2f} s | {least / bare:.1f} | {peak:.0f} MB | {size} |")


if __name__ == "__main__":
    main()
