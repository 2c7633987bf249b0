"""Long runs of what strangers might send: mutated files and weights; every case ends in one line of error or a picture.

    python tests/fuzz/fuzz.py [--cases 100000] [--weights 200] [--hypothesis 2000] [--seed 1] [--json FILE]

Files are the golden ones, of every kind of samples, changed as tests/test_damage.py does, half of them with all checksums made
right again. Time is the processor's; memory is the peak of the process during a case above what it had
with the model loaded, as the kernel counts it, beside what decoding a sound file of the largest size allowed here takes. Weights: bytes of the shipped file
changed, half of them with the id made right. Hypothesis builds containers with right checksums out of arbitrary fields and bytes.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib.util
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vaecodec.api import DEFAULT_MODEL, Codec, find_weights
from vaecodec.bitstream.container import Limits, read_header
from vaecodec.errors import VaecodecError
from vaecodec.picture import Picture

TESTS = Path(__file__).parents[1]
LIMITS = Limits(max_pixels=1 << 17)
"""A little more than the largest golden file."""
SLOWEST = 5.0
LARGE_FILE = 800
MEBI = 1 << 20


def load(path: Path) -> Any:
    """A module that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Memory:
    """The most memory of this process, by the kernel's count, above what it had when this was made."""

    def __init__(self) -> None:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        self.before = self._read("VmRSS")

    def start(self) -> None:
        """Forgets earlier peaks, but not what the process has kept: a leak is seen."""
        Path("/proc/self/clear_refs").write_text("5")

    def above(self) -> int:
        """Bytes of the peak since the start."""
        return self._read("VmHWM") - self.before

    def _read(self, name: str) -> int:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        raise SystemExit("this needs /proc/self/status of Linux")


class Tally:
    """Outcomes, and the slowest and largest case."""

    def __init__(self, limit: float) -> None:
        self.outcomes: Counter[str] = Counter()
        self.seconds = 0.0
        self.memory = 0
        self.limit = limit
        self.bad: list[str] = []

    def run(self, what: str, case: Callable[[], str], memory: Memory) -> None:
        """Runs a case; anything but a VaecodecError of one line, or too much time or memory, is written down."""
        memory.start()
        start = time.process_time()
        try:
            outcome = case()
        except VaecodecError as error:
            outcome = type(error).__name__
            if "\n" in str(error) or not str(error):
                self.bad.append(f"{what}: not one line: {error!r}")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            outcome = "crash"
            self.bad.append(f"{what}: {error!r}")
        seconds = time.process_time() - start
        used = memory.above()
        self.outcomes[outcome] += 1
        self.seconds, self.memory = max(self.seconds, seconds), max(self.memory, used)
        if seconds > SLOWEST:
            self.bad.append(f"{what}: {seconds:.1f} s")
        if used > 2 * self.limit:
            self.bad.append(f"{what}: {used / MEBI:.0f} MiB")

    def facts(self) -> dict[str, Any]:
        """For the report."""
        return {
            "cases": self.outcomes.total(),
            "outcomes": dict(self.outcomes.most_common()),
            "slowest_seconds": self.seconds,
            "most_memory_mib": self.memory / MEBI,
            "bad": self.bad[:20],
            "bad_cases": len(self.bad),
        }


def decoded(codec: Codec, data: bytes) -> str:
    """Decodes a file; the picture must be what the header declares."""
    picture = codec.decompress(data, limits=LIMITS)
    header = read_header(data)
    if picture.samples.shape != (header.height, header.width, header.channels):
        raise AssertionError(f"{picture.samples.shape} for {header}")
    return "a picture"


def clean_memory(codec: Codec, memory: Memory) -> int:
    """What decoding a sound file of the largest size takes."""
    rng = np.random.default_rng(1)
    side = int(LIMITS.max_pixels**0.5) // 8
    smooth = rng.integers(0, 256, (side, side, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    noisy = np.clip(smooth.astype(int) + rng.integers(-9, 9, smooth.shape), 0, 255).astype(np.uint8)
    used = []
    for samples in (noisy, noisy.astype(np.uint16) * 257):
        data = codec.compress(Picture(samples, alpha=noisy[:, :, 0]))
        for _ in range(3):
            memory.start()
            codec.decompress(data, limits=LIMITS)
            used.append(memory.above())
    return max(used)


def files(codec: Codec, cases: int, seed: int) -> dict[str, Any]:
    """Mutated files; the large ones of them come up more rarely."""
    memory = Memory()
    limit = clean_memory(codec, memory)
    damage = load(TESTS / "test_damage.py")
    golden = {path.stem: path.read_bytes() for path in sorted((TESTS / "golden").rglob("*.vaec"))}
    names = [name for name in golden if len(golden[name]) < LARGE_FILE] * 4 + list(golden)
    rng = random.Random(seed)
    tallies = {"checksums as they are": Tally(limit), "checksums made right": Tally(limit)}
    for number in range(cases):
        name = names[number % len(names)]
        bad = damage.mutate(golden[name], rng)
        kind = list(tallies)[number // len(names) % 2]
        if kind == "checksums made right":
            bad = damage.with_right_checksums(bad)
        tallies[kind].run(f"{name} {bad.hex()[:400]}", lambda bad=bad: decoded(codec, bad), memory)  # type: ignore[misc]
        if number % 5000 == 4999:
            print(f"{number + 1} files", {kind: len(tally.bad) for kind, tally in tallies.items()}, flush=True)
    return {"clean_memory_mib": limit / MEBI} | {kind: tally.facts() for kind, tally in tallies.items()}


def weights(cases: int, seed: int) -> dict[str, Any]:
    """Mutated weights files: bytes of the header or of the tensors changed, cut off, and half of them with the right id."""
    from vaecodec.models.weights import load_weights

    whole = find_weights(DEFAULT_MODEL).read_bytes()
    size = int.from_bytes(whole[:8], "little")
    rng = random.Random(seed)
    memory = Memory()
    memory.start()
    Codec(find_weights(DEFAULT_MODEL), device="cpu").decompress((TESTS / "golden" / "small.vaec").read_bytes())
    tally = Tally(memory.above())
    golden = (TESTS / "golden" / "small.vaec").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutated.safetensors"

        def case() -> str:
            gc.collect()
            loaded = load_weights(path)
            Codec(path, device="cpu").decompress(golden)
            return f"loaded, id {'kept' if loaded.model_id().hex().encode() in whole[: 8 + size] else 'new'}"

        for number in range(cases):
            bad = bytearray(whole)
            for _ in range(rng.choice([1, 1, 3])):
                at = rng.randrange(8 + size) if rng.random() < 0.5 else rng.randrange(len(bad))
                bad[at] = rng.choice([rng.randrange(256), bad[at] ^ 1 << rng.randrange(8)])
            if rng.random() < 0.1:
                del bad[rng.randrange(len(bad)) :]
            if number % 2:
                bad = _with_right_id(bad)
            path.write_bytes(bad)
            tally.run(f"weights {number} of seed {seed}", case, memory)
    return {"weights": tally.facts()}


def _with_right_id(data: bytearray) -> bytearray:
    """The id that the bytes have, written into the header where that can still be read; otherwise as it was."""
    import hashlib

    try:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(bytes(data[8 : 8 + size]))
        metadata = header.pop("__metadata__")
        digest = hashlib.sha256(metadata["decoder"].encode() + b"\0")
        for name in sorted(name for name in header if not name.startswith("encoder/")):
            start, end = header[name]["data_offsets"]
            dtype = {"I16": "<i2", "I32": "<i4"}[header[name]["dtype"]]
            values = np.frombuffer(bytes(data[8 + size + start : 8 + size + end]), dtype)
            shape = "x".join(map(str, header[name]["shape"]))
            digest.update(name.encode() + b"\0" + shape.encode() + b"\0" + values.astype("<i4").tobytes())
        old, new = metadata["id"].encode(), digest.digest()[:8].hex().encode()
        return bytearray(bytes(data).replace(old, new, 1)) if len(old) == len(new) else data
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return data


def containers(codec: Codec, examples: int) -> dict[str, Any]:
    """Hypothesis: sound containers around arbitrary fields and payloads."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    from vaecodec.bitstream.container import Container, Header, Tile, tile_count, write_container

    memory = Memory()
    tally = Tally(clean_memory(codec, memory))
    side = st.one_of(st.integers(1, 40), st.integers(1, 1000))
    blob = st.one_of(st.binary(max_size=64), st.binary(max_size=1000))
    alpha = st.one_of(
        st.none(), st.tuples(st.integers(1, 2), st.binary(min_size=1, max_size=99)), st.just((3, b"\x7f"))
    )

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data: st.DataObject) -> None:
        exponent = data.draw(st.sampled_from([0, 0, 6, 7, 8]))
        header = Header(
            0, codec.model.id, data.draw(side), data.draw(side), data.draw(st.sampled_from([1, 3])),
            data.draw(st.sampled_from([8, 16])), data.draw(st.integers(0, 1600)), exponent,
        )  # fmt: skip
        count = tile_count(header.width, header.height, exponent)
        if count > 64 or header.width * header.height > LIMITS.max_pixels:
            return
        tiles = tuple(
            Tile(data.draw(st.sampled_from([0, 0, 0, 1, 2])), data.draw(st.one_of(blob, st.just(b""))))
            for _ in range(count)
        )
        container = Container(header, tiles, exif=data.draw(st.one_of(st.none(), blob)), alpha=data.draw(alpha))
        file = write_container(container)
        tally.run(f"container {file.hex()[:400]}", lambda: decoded(codec, file), memory)

    run()
    return {"containers": tally.facts()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--weights", type=int, default=200)
    parser.add_argument("--hypothesis", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    codec = Codec(device="cpu")
    found: dict[str, Any] = {"seed": arguments.seed}
    parts: dict[str, tuple[int, Callable[[], dict[str, Any]]]] = {
        "containers": (arguments.hypothesis, lambda: containers(codec, arguments.hypothesis)),
        "weights": (arguments.weights, lambda: weights(arguments.weights, arguments.seed)),
        "files": (arguments.cases, lambda: files(codec, arguments.cases, arguments.seed)),
    }
    for count, part in parts.values():
        if count:
            found |= part()
            if arguments.json is not None:
                arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
