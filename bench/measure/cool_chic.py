"""Times Cool-chic's decoder on the sample file that its repository carries; encoding takes it minutes, and is not measured.

    python -m bench.measure.cool_chic CHECKOUT KODAK [-o RESULTS] [--python PYTHON]

CHECKOUT is a checkout of Cool-chic (BSD-3-Clause) with its sample of Kodak's picture 14, PYTHON the interpreter of an environment
that has what it requires. Nothing of it is part of vaecodec.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench.measure.machine import environment, usable_cores
from bench.measure.rate import rgb_samples
from bench.measure.rows import TIMES_FILE, TimeRow, append_time, read_times, write_times
from bench.measure.timing import ROUNDS
from vaecodec.errors import VaecodecError
from vaecodec.evaluation import psnr

# The name under which its published curve is known, so that time and curve come together.
NAME = "Cool-chic 5.0"
SAMPLE = "samples/bitstreams/kodim14.cool"
PICTURE = "kodim14.png"
NOTE = "its own sample file"

# Runs in the other environment, which does not have this package.
_PROGRAM = """
import json, os, sys, time
threads, repeats, source, target = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
sys.path.insert(0, os.getcwd())
import torch
torch.set_num_threads(threads)
from coolchic.bitstream.decode import decode_video
def memory(name):
    try:
        lines = open("/proc/self/status").read().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) * 1024e-6 for line in lines if line.startswith(name))
base, seconds = memory("VmRSS:"), []
for _ in range(repeats + 1):
    start = time.perf_counter()
    decode_video(source, decoded_path=target, verbosity=0)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": seconds[1:], "base_mb": round(base, 1), "peak_mb": round(memory("VmHWM:"), 1)}))
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.measure.cool_chic",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkout", type=Path, metavar="CHECKOUT")
    parser.add_argument("kodak", type=Path, metavar="KODAK", help=f"folder with {PICTURE}")
    parser.add_argument("-o", "--output", type=Path, default=Path("bench-results"), help="folder of rows [%(default)s]")
    parser.add_argument("--python", default=sys.executable, help="interpreter that has its requirements [this one]")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    source = (options.checkout / SAMPLE).resolve()
    original = rgb_samples(options.kodak / PICTURE)
    height, width = original.shape[:2]
    run = environment() | {"run": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M")}
    for index in range(1, ROUNDS + 1):
        for threads in sorted({1, usable_cores()}):
            with tempfile.TemporaryDirectory() as scratch:
                target = Path(scratch, "decoded.png")
                outcome = decode(options.python, options.checkout, source, target, threads, options.repeats)
                quality = psnr(original, rgb_samples(target))
            row = TimeRow(
                codec=NAME, setting=0.0, operation="decode", picture=PICTURE, set=options.kodak.resolve().name, width=width,
                height=height, bytes=source.stat().st_size, psnr=round(quality, 4), threads=threads, round=index,
                seconds=tuple(outcome["seconds"]), peak_mb=outcome["peak_mb"], base_mb=outcome["base_mb"], environment=run,
                note=NOTE,
            )  # fmt: skip
            append_time(options.output / TIMES_FILE, row)
    write_times(options.output / TIMES_FILE, read_times(options.output / TIMES_FILE))
    return 0


def decode(python: str, checkout: Path, source: Path, target: Path, threads: int, repeats: int) -> dict[str, Any]:
    """Decodes in a process of its own; file to file, since that is what its decoder does.

    Raises:
        VaecodecError: it failed; the message is the last line that it wrote.
    """
    command = [python, "-c", _PROGRAM, str(threads), str(repeats), str(source), str(target)]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise VaecodecError(f"Cool-chic does not run: {lines[-1]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VaecodecError as error:
        sys.exit(f"bench.measure.cool_chic: {error}")
