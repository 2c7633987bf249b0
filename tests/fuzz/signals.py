"""Folders under signals at random moments: what lies on disk is whole, what was said is true, a second run finishes.

    python tests/fuzz/signals.py [--moments 20] [--pictures 16] [--seed 1] [--json FILE]

SIGINT goes to the whole process group, as a terminal sends it, SIGTERM to the command or to the group, as ``kill`` and service managers do, SIGKILL to
one worker, or to the command where there are none. Each is sent at random moments of a run, with one process and with two. A run is at fault if

- a file there does not decode to its picture's size, or a temporary one is left;
- a line names a file that is not there, names one twice, or none names one that is (only a command that is killed may owe the last line);
- the count in the last line, or the exit code, is another than what happened;
- a file was written more than 0.5 s after the signal, by the kernel's clock;
- a second run makes a finished file again, or leaves one out.

An interrupt of the interpreter's own start, before the first line of ours, ends in Python's traceback, or is swallowed by its import system: counted, not a fault.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vaecodec.api import Codec

LATEST_S = 0.5
KINDS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}
_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
_SAID = re.compile(r"^(.+) -> (.+\.vaec): ")
_OURS = re.compile(r"""File ".*[/\\]vaecodec[/\\](?!__init__|__main__)""")
_STOPPED = re.compile(r"stopped: (\d+) done, (\d+) not")
_SUMMARY = re.compile(
    r"^(\d+) compressed(?:, (\d+) finished before and skipped \(-f does them again\))?(?:, (\d+) failed:)?$"
)


@dataclass
class Run:
    """A command that was sent a signal.

    Attributes:
        late: seconds from the signal to the last file after it; 0 where there was none.
        gone: seconds from the signal until all its processes were gone.
        hit: it was still running.
        early: what the signal met was the start of the interpreter.
        faults: what was wrong, in words.
    """

    kind: str
    jobs: int
    moment: float
    written: int = 0
    late: float = 0.0
    gone: float = 0.0
    hit: bool = False
    early: bool = False
    faults: list[str] = field(default_factory=list)


def make_album(folder: Path, count: int, seed: int) -> None:
    """Small pictures of several kinds: noise with edges, flat pages, transparency, 16 bits, JPEG."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        height, width = rng.integers(120, 320, 2)
        y, x = np.mgrid[:height, :width]
        waves = 128 + 60 * np.sin(x / rng.uniform(4, 40)) + 50 * np.sign(np.sin(y / rng.uniform(4, 40)))
        samples = np.clip(waves[:, :, None] + rng.normal(0, 8, (height, width, 3)), 0, 255).astype(np.uint8)
        path = folder / f"{number % 3}" / f"{number:03d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = number % 5
        if kind == 0:
            Image.fromarray(samples).save(path.with_suffix(".jpg"))
        elif kind == 1:
            Image.fromarray(samples // 128 * 200).save(path.with_suffix(".png"))
        elif kind == 2:
            Image.fromarray(np.dstack([samples, x.astype(np.uint8)])).save(path.with_suffix(".png"))
        elif kind == 3:
            Image.fromarray(samples[:, :, 0].astype(np.uint16) * 257).save(path.with_suffix(".png"))
        else:
            Image.fromarray(samples).save(path.with_suffix(".png"))


def start(arguments: list[str]) -> subprocess.Popen[str]:
    """The command, in a process group of its own."""
    # Where this runs in the background the shell has SIGINT ignored, and children would inherit that.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "vaecodec", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)


def workers_of(run: subprocess.Popen[str]) -> list[int]:
    """Process ids of the workers that live; multiprocessing's own tracker is none of them."""
    try:
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    except OSError:
        return []


def group_lives(group: int) -> bool:
    """Whether any process of the group is there that is not only waiting to be asked how it ended."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(of_group) == group and state not in "ZX":
            return True
    return False


def outputs(folder: Path) -> dict[str, os.stat_result]:
    """The files there, by their path in the folder."""
    return {str(path.relative_to(folder)): path.stat() for path in folder.rglob("*") if path.is_file()}


def disturbed(
    album: Path, packed: Path, kind: str, jobs: int, moment: float, rng: random.Random, *, writing: bool
) -> Run:
    """Starts a command, sends it a signal after so many seconds, of all or of writing, and looks at what it leaves."""
    found = Run(kind, jobs, moment)
    sources = {str(path.relative_to(album).with_suffix(".vaec")) for path in album.rglob("*") if path.is_file()}
    run = start(["compress", "-r", str(album), "-o", str(packed), "-j", str(jobs)])
    _wait(run, packed, moment, writing=writing)
    workers = workers_of(run)
    at = time.time()
    found.hit = run.poll() is None
    alone = found.hit and KINDS[kind] == signal.SIGKILL and jobs > 1
    if found.hit:
        _send(run, KINDS[kind], jobs, workers, rng)
    out, err = run.communicate(timeout=120)
    while group_lives(run.pid):
        time.sleep(0.005)
    found.gone = time.time() - at
    there = outputs(packed)
    found.written = len(there)
    found.early = "KeyboardInterrupt" in err and _OURS.search(err) is None
    if not alone and not found.early:
        found.late = max([0.0, *(status.st_ctime - at for status in there.values())])
        if found.late > LATEST_S:
            found.faults.append(f"a file {found.late:.2f} s after the signal")
    said = [match[2] for line in out.splitlines() if (match := _SAID.match(line))]
    _compare_words(
        found, run.returncode, [str(Path(path).relative_to(packed)) for path in said], there, out, err, sources
    )
    return found


def _wait(run: subprocess.Popen[str], packed: Path, moment: float, *, writing: bool) -> None:
    while writing and run.poll() is None and not any(packed.rglob("*.vaec")):
        time.sleep(0.002)
    time.sleep(moment)


def _send(run: subprocess.Popen[str], kind: signal.Signals, jobs: int, workers: list[int], rng: random.Random) -> None:
    if kind == signal.SIGINT or (kind == signal.SIGTERM and rng.random() < 0.5):
        os.killpg(run.pid, kind)
    elif kind == signal.SIGKILL and jobs > 1:
        if workers:
            os.kill(rng.choice(workers), kind)
    else:
        os.kill(run.pid, kind)


def _compare_words(
    found: Run, code: int, said: list[str], there: dict[str, os.stat_result], out: str, err: str, sources: set[str]
) -> None:
    faults, kind, count = found.faults, KINDS[found.kind], len(sources)
    faults += [f"{name} is there" for name in there if name not in sources]
    faults += [f"{name} is said and not there" for name in said if name not in there]
    faults += [f"{name} is said {times} times" for name, times in Counter(said).items() if times > 1]
    unsaid = set(there) & sources - set(said)
    if len(unsaid) > (kind == signal.SIGKILL and found.jobs == 1):
        faults.append(f"not said: {', '.join(sorted(unsaid))}")
    if found.early:
        return
    if "Traceback" in err or "Exception ignored" in err or "Error" in err:
        faults.append(f"on standard error: {err.strip()[-600:]}")
    stopped = _STOPPED.search(err)
    if stopped is not None and (int(stopped[1]), int(stopped[2])) != (len(there), count - len(there)):
        faults.append(f"{stopped[0]!r}, and {len(there)} of {count} are there")
    summary = _SUMMARY.match(out.splitlines()[-1]) if out else None
    lost = count - len(there)
    if summary is not None and (int(summary[1]), int(summary[3] or 0)) != (len(there), lost):
        faults.append(f"{summary[0]!r}, and {len(there)} of {count} are there")
    if code == 0 or (kind == signal.SIGKILL and found.jobs > 1):
        if summary is None or code != (lost > 0) or lost > 1:
            faults.append(f"ended with {code}, {lost} of {count} missing, last line {out.splitlines()[-1:]}")
        if err.count("worker process died") != lost:
            faults.append(f"{lost} missing, and standard error: {err.strip()}")
    elif kind in _CODES:
        # Before the command's own handlers are there, and after all is done and said, the system ends it.
        if code != _CODES[kind] and not (code == -kind and (not there or not lost)):
            faults.append(f"ended with {code}")
        if there and lost and stopped is None and summary is None:
            faults.append("nothing said about what was not done")


def second_run(album: Path, packed: Path, found: Run, codec: Codec) -> None:
    """Looks into every file, runs the command again, and looks again."""
    before = outputs(packed)
    _decode(packed, found, codec)
    run = start(["compress", "-r", str(album), "-o", str(packed), "-j", str(found.jobs)])
    _, err = run.communicate(timeout=120)
    after = outputs(packed)
    count = sum(path.is_file() for path in album.rglob("*"))
    if run.returncode != 0 or err or len(after) != count:
        found.faults.append(f"second run: {run.returncode}, {len(after)} of {count}: {err.strip()[-600:]}")
    again = [name for name, status in before.items() if name not in after or after[name].st_ino != status.st_ino]
    if again:
        found.faults.append(f"second run made again {', '.join(again)}")
    _decode(packed, found, codec)


def _decode(packed: Path, found: Run, codec: Codec) -> None:
    for path in packed.rglob("*.vaec"):
        try:
            codec.decompress(path.read_bytes())
        except Exception as error:  # noqa: BLE001  whatever it is, it is what this looks for
            found.faults.append(f"{path.name} does not decode: {error}")


def runs(moments: int, pictures: int, seed: int, *, kinds: list[str], all_jobs: list[int]) -> list[Run]:
    """All runs; half of the moments lie anywhere in a run, half where it writes."""
    rng, codec, done = random.Random(seed), Codec(), []
    with tempfile.TemporaryDirectory() as name:
        album, packed = Path(name) / "album", Path(name) / "packed"
        make_album(album, pictures, seed)
        for jobs in all_jobs:
            whole, begun = _measured(album, packed, jobs)
            for kind in kinds:
                for number in range(moments):
                    shutil.rmtree(packed, ignore_errors=True)
                    writing = number % 2 == 0
                    moment = rng.uniform(0, whole - begun if writing else whole)
                    found = disturbed(album, packed, kind, jobs, moment, rng, writing=writing)
                    second_run(album, packed, found, codec)
                    done.append(found)
                    if found.faults:
                        print(
                            f"{kind} -j {jobs} {moment:.3f} s after {'its first file' if writing else 'the start'}: "
                            + "; ".join(found.faults),
                            flush=True,
                        )
    return done


def _measured(album: Path, packed: Path, jobs: int) -> tuple[float, float]:
    """Seconds of a run that nothing disturbs, and those until its first file."""
    shutil.rmtree(packed, ignore_errors=True)
    begin = time.monotonic()
    run = start(["compress", "-r", str(album), "-o", str(packed), "-j", str(jobs), "--quiet"])
    _wait(run, packed, 0.0, writing=True)
    begun = time.monotonic() - begin
    run.communicate()
    return time.monotonic() - begin, begun


def row(kind: str, jobs: int, found: list[Run]) -> dict[str, Any]:
    """What is said about all runs of a kind."""
    return {
        "signal": kind,
        "jobs": jobs,
        "runs": len(found),
        "while running": sum(run.hit for run in found),
        "of the interpreter's start": sum(run.early for run in found),
        "with files there": sum(run.hit and run.written > 0 for run in found),
        "latest file after": round(max(run.late for run in found if run.hit), 3),
        "last process after": round(max(run.gone for run in found if run.hit), 3),
        "at fault": sum(bool(run.faults) for run in found),
    }


def main() -> None:
    """Prints a line for each kind of signal and number of processes; ends with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--jobs", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    done = runs(options.moments, options.pictures, options.seed, kinds=options.kinds, all_jobs=options.jobs)
    rows = [
        row(kind, jobs, [run for run in done if (run.kind, run.jobs) == (kind, jobs)])
        for jobs in options.jobs
        for kind in options.kinds
    ]
    for found in rows:
        print(json.dumps(found))
    if options.json is not None:
        options.json.write_text(json.dumps({"seed": options.seed, "rows": rows}, indent=1) + "\n")
    sys.exit(any(run.faults for run in done))


if __name__ == "__main__":
    main()
