"""Whether everything that computes gives the same integers, the same samples and the same files, on a folder of pictures.

    python -m bench.studies.same_everywhere /data/kodak -q 20,50,80 --results same.jsonl --chromium --qemu

Each picture is compressed at each quality, with efforts 0 and 1, by each implementation, and what portable C made at effort 1 is decoded
by each; portable C counts as right. The golden files of the model are decoded as well. ``--results`` keeps what is done: the same command
goes on where it was stopped, after ``--minutes`` for example, and other weights begin anew. ``--record`` writes what is right for
``tests/test_kodak.py``, which compares it with what the processor at hand gives.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import click
import numpy as np
import numpy.typing as npt

from bench.studies.browser import open_browser
from bench.studies.remote_kernels import neon_under_qemu
from vaecodec.api import Codec
from vaecodec.backends.native_backend import NativeBackend
from vaecodec.exact.arithmetic import Arithmetic
from vaecodec.exact.kernels import VARIABLE, Kernels, available_kernels
from vaecodec.picture import Picture, read_picture
from vaecodec.picture_files import find_plain_pictures

RIGHT = "portable"
EFFORTS = (0, 1)
GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
DIGITS = 16

Samples = npt.NDArray[np.uint8]


class Implementation(Protocol):
    """Something that writes and reads files."""

    def encode(self, samples: Samples, quality: float, effort: int) -> bytes:
        """The file of samples [H, W, C]."""
        ...

    def fingerprint(self, data: bytes) -> tuple[str, str]:
        """SHA-256 of the integers, and of the samples."""
        ...


class OfPackage:
    """The package, with some backend."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec

    def encode(self, samples: Samples, quality: float, effort: int) -> bytes:
        """The file of samples [H, W, C]."""
        return self.codec.compress(Picture(samples), quality=quality, effort=effort)

    def fingerprint(self, data: bytes) -> tuple[str, str]:
        """SHA-256 of the integers, and of the samples."""
        samples = self.codec.decompress(data).samples
        return self.codec.latents_digest(data), hashlib.sha256(samples.tobytes()).hexdigest()


def with_kernels(name: str) -> OfPackage:
    """The native backend with kernels of a name."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = name
    try:
        return OfPackage(Codec(backend="native", threads=1))
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


def with_functions(functions: Any) -> OfPackage:
    """The native backend with other functions in place of the extension's."""
    codec = Codec(backend="native", threads=1)
    weights = codec.model.weights
    codec.model.backend = NativeBackend(
        weights.data, weights.analysis, threads=1, kernels=Kernels(functions, functions.name)
    )
    return OfPackage(codec)


@contextmanager
def all_implementations(chromium: bool, qemu: bool) -> Iterator[dict[str, Implementation]]:
    """By name, the right one first."""
    with ExitStack() as stack:
        names = [RIGHT, *(name for name in available_kernels() if name != RIGHT)]
        found: dict[str, Implementation] = {name: with_kernels(name) for name in names}
        for arithmetic in Arithmetic:
            found[f"torch {arithmetic.value}"] = OfPackage(Codec(backend="torch", arithmetic=arithmetic))
        if chromium:
            found["wasm in Chromium"] = stack.enter_context(open_browser())
        if qemu:
            found["neon under qemu"] = with_functions(stack.enter_context(neon_under_qemu()))
        yield found


class Results:
    """What is done, a line of JSON each."""

    def __init__(self, path: Path, model: str) -> None:
        self.path, self.model = path, model
        self.rows: dict[tuple[str, float, str], dict[str, str]] = {}
        if path.is_file():
            for line in path.read_text().splitlines():
                row = json.loads(line)
                if row["model"] == model:
                    self.rows[row["picture"], row["quality"], row["by"]] = row["found"]

    def add(self, picture: str, quality: float, by: str, found: dict[str, str]) -> None:
        """Keeps one more."""
        self.rows[picture, quality, by] = found
        row = {"model": self.model, "picture": picture, "quality": quality, "by": by, "found": found}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def table(self) -> tuple[list[str], int]:
        """Lines of Markdown, and how many things differ."""
        lines, wrong = ["| by | of | same integers | same samples | same files |", "|---|---|---:|---:|---:|"], 0
        for by in dict.fromkeys(by for *_, by in self.rows):
            for what, golden in (("pictures", False), ("golden files", True)):
                mine = {key: found for key, found in self.rows.items() if key[2] == by and (key[1] < 0) == golden}
                if not mine:
                    continue
                cells = []
                for kinds in (("latents",), ("samples",), tuple(f"effort {effort}" for effort in EFFORTS)):
                    pairs = [
                        (found[kind], self.rows[picture, quality, RIGHT][kind])
                        for (picture, quality, _), found in mine.items()
                        for kind in kinds
                        if kind in found
                    ]
                    same = sum(a == b for a, b in pairs)
                    wrong += len(pairs) - same
                    cells.append(f"{same} of {len(pairs)}" if pairs else "")
                pictures = len({picture for picture, *_ in mine})
                lines.append(f"| {by} | {pictures} {what} | {' | '.join(cells)} |")
        return lines, wrong

    def record(self, path: Path) -> None:
        """Writes what is right for the pictures, by picture and quality."""
        pictures: dict[str, dict[str, dict[str, str]]] = {}
        for (picture, quality, by), found in sorted(self.rows.items()):
            if by == RIGHT and quality >= 0:
                pictures.setdefault(picture, {})[f"{quality:g}"] = found
        path.write_text(json.dumps({"model": self.model, "pictures": pictures}, indent=1) + "\n")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def _fingerprint(by: Implementation, data: bytes) -> dict[str, str]:
    latents, samples = by.fingerprint(data)
    return {"latents": latents[:DIGITS], "samples": samples[:DIGITS]}


def compare(
    paths: list[Path], qualities: list[float], found: dict[str, Implementation], results: Results, ends: float
) -> bool:
    """Does what is not done yet; whether all is."""
    right = found[RIGHT]
    model_id = bytes.fromhex(results.model)
    for path in sorted(GOLDEN.glob("*.vaec")):
        data = path.read_bytes()
        if model_id not in data[:32]:
            continue
        for name, by in found.items():
            if (path.name, -1.0, name) not in results.rows:
                results.add(path.name, -1.0, name, _fingerprint(by, data))
    for path in paths:
        samples = np.ascontiguousarray(read_picture(path).samples)
        for quality in qualities:
            missing = [name for name in found if (path.name, quality, name) not in results.rows]
            if not missing:
                continue
            data = right.encode(samples, quality, 1)
            for name in missing:
                if time.monotonic() > ends:
                    return False
                by = found[name]
                files = {f"effort {effort}": _digest(by.encode(samples, quality, effort)) for effort in EFFORTS}
                results.add(path.name, quality, name, files | _fingerprint(by, data))
    return True


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-q", "--qualities", default="20,50,80", show_default=True, help="With commas between them.")
@click.option("--results", type=click.Path(path_type=Path), default="same_everywhere.jsonl", show_default=True)
@click.option("--pictures", type=int, help="Only so many, spread over the folder.")
@click.option("--minutes", type=float, help="Stop after so many.")
@click.option("--chromium", is_flag=True, help="By the viewer's page too.")
@click.option("--qemu", is_flag=True, help="By the kernels for ARM too, under qemu.")
@click.option("--only", multiple=True, help="Only by these implementations, beside the right one.")
@click.option("--record", type=click.Path(path_type=Path), help="Write what is right to this file.")
def main(
    folder: Path, qualities: str, results: Path, pictures: int | None, minutes: float | None, chromium: bool, qemu: bool,
    only: tuple[str, ...], record: Path | None,
) -> None:  # fmt: skip
    """Compress and decompress the pictures in FOLDER everywhere, and count what differs."""
    paths = find_plain_pictures(folder)
    if pictures:
        paths = [paths[i * len(paths) // pictures] for i in range(pictures)]
    ends = time.monotonic() + 60 * minutes if minutes else float("inf")
    with all_implementations(chromium, qemu) as found:
        if only:
            found = {name: by for name, by in found.items() if name == RIGHT or name in only}
        right = found[RIGHT]
        assert isinstance(right, OfPackage)
        kept = Results(results, right.codec.model.id_hex)
        whole = compare(paths, [float(q) for q in qualities.split(",")], found, kept, ends)
    lines, wrong = kept.table()
    click.echo(f"model {kept.model}\n\n" + "\n".join(lines))
    if record is not None:
        kept.record(record)
    if not whole:
        click.echo("\nStopped: the same command goes on.")
    if wrong:
        raise click.ClickException(f"{wrong} differ")


if __name__ == "__main__":
    main()
