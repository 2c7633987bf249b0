"""Whether every reader gives the same integers and the same samples, on a folder of pictures.

    python -m bench.same_everywhere /data/kodak -q 20,50,80

Each picture is compressed at each quality and decoded by each backend; torch's result counts as the right one.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import click

from vaecodec.api import Codec
from vaecodec.picture import read_picture
from vaecodec.training.pictures import find_pictures

READERS = ("torch", "onnx")


def fingerprint(codec: Codec, data: bytes) -> tuple[str, str]:
    """SHA-256 of the integers, and of the samples."""
    return codec.latents_digest(data), hashlib.sha256(codec.decompress(data).samples.tobytes()).hexdigest()


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-q", "--qualities", default="20,50,80", show_default=True, help="With commas between them.")
def main(folder: Path, qualities: str) -> None:
    """Compress the pictures in FOLDER, decode them everywhere, and count what differs."""
    codecs = {name: Codec(backend=name) for name in READERS}
    pictures = find_pictures(folder)
    click.echo(f"{len(pictures)} pictures, model {codecs['torch'].model.id_hex}\n")
    click.echo("| quality | reader | same integers | same samples | seconds |\n|---:|---|---:|---:|---:|")
    wrong = 0
    for quality in map(float, qualities.split(",")):
        files = [codecs["torch"].encode(read_picture(path), quality=quality).data for path in pictures]
        right = [fingerprint(codecs["torch"], data) for data in files]
        for name, codec in codecs.items():
            got = [fingerprint(codec, data) for data in files]
            start = time.perf_counter()
            for data in files:
                codec.decompress(data)
            seconds = time.perf_counter() - start
            integers = sum(a[0] == b[0] for a, b in zip(got, right, strict=True))
            samples = sum(a[1] == b[1] for a, b in zip(got, right, strict=True))
            wrong += 2 * len(files) - integers - samples
            click.echo(
                f"| {quality:g} | {name} | {integers} of {len(files)} | {samples} of {len(files)} | {seconds:.1f} |"
            )
    if wrong:
        raise click.ClickException(f"{wrong} fingerprints differ")


if __name__ == "__main__":
    main()
