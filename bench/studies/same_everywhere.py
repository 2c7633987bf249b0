"""Whether every reader gives the same integers and the same samples, on a folder of pictures.

    python -m bench.studies.same_everywhere /data/kodak -q 20,50,80 --chromium

Each picture is compressed at each quality and decoded by each backend, and with ``--chromium`` by the viewer's page; torch's result
counts as the right one.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import click

from bench.studies.browser import Browser, open_browser
from vaecodec.api import Codec
from vaecodec.picture import read_picture
from vaecodec.picture_files import find_plain_pictures


class Reader(Protocol):
    """Something that decodes files."""

    def fingerprint(self, data: bytes) -> tuple[str, str]:
        """SHA-256 of the integers, and of the samples."""
        ...

    def decode(self, data: bytes) -> object:
        """The samples alone, for its time."""
        ...


class CodecReader:
    """A backend of this package."""

    def __init__(self, backend: str) -> None:
        self.codec = Codec(backend=backend)

    def fingerprint(self, data: bytes) -> tuple[str, str]:
        """SHA-256 of the integers, and of the samples."""
        samples = self.codec.decompress(data).samples
        return self.codec.latents_digest(data), hashlib.sha256(samples.tobytes()).hexdigest()

    def decode(self, data: bytes) -> object:
        """The samples alone, for its time."""
        return self.codec.decompress(data)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-q", "--qualities", default="20,50,80", show_default=True, help="With commas between them.")
@click.option("--chromium", is_flag=True, help="In the viewer's page too.")
def main(folder: Path, qualities: str, chromium: bool) -> None:
    """Compress the pictures in FOLDER, decode them everywhere, and count what differs."""
    torch = CodecReader("torch")
    pictures = find_plain_pictures(folder)
    wrong = 0
    with ExitStack() as stack:
        readers: dict[str, Reader] = {"torch": torch, "onnx": CodecReader("onnx")}
        if chromium:
            browser: Browser = stack.enter_context(open_browser())
            readers["chromium"] = browser
        click.echo(f"{len(pictures)} pictures, model {torch.codec.model.id_hex}\n")
        click.echo("| quality | reader | same integers | same samples | seconds |\n|---:|---|---:|---:|---:|")
        for quality in map(float, qualities.split(",")):
            files = [torch.codec.encode(read_picture(path), quality=quality).data for path in pictures]
            right = [torch.fingerprint(data) for data in files]
            for name, reader in readers.items():
                got = [reader.fingerprint(data) for data in files]
                start = time.perf_counter()
                for data in files:
                    reader.decode(data)
                seconds = time.perf_counter() - start
                same = [sum(a[n] == b[n] for a, b in zip(got, right, strict=True)) for n in (0, 1)]
                wrong += 2 * len(files) - sum(same)
                counts = " | ".join(f"{count} of {len(files)}" for count in same)
                click.echo(f"| {quality:g} | {name} | {counts} | {seconds:.1f} |")
    if wrong:
        raise click.ClickException(f"{wrong} fingerprints differ")


if __name__ == "__main__":
    main()
