"""``vaecodec decompress``: files to pictures."""

from __future__ import annotations

import json
import time

import click

from vaecodec.cli import options
from vaecodec.cli.failures import for_each, say
from vaecodec.cli.progress import Progress


@click.command("decompress")
@options.inputs
@options.output
@click.option(
    "--format",
    "format_name",
    metavar="FORMAT",
    help="png, jpeg, webp, tiff, bmp or ppm; else by the name of OUT, else png.",
)
@click.option("-t", "--test", is_flag=True, help="Decode and check everything, write nothing.")
@options.models
@options.device
@options.force
@options.as_json
@options.quiet
def command(
    inputs: tuple[str, ...],
    output: str | None,
    format_name: str | None,
    test: bool,
    models: tuple[str, ...],
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Turn files back into pictures: a.vaec becomes a.png, and a.vaec is kept.

    INPUT is a file, or - for a pipe.
    """
    from vaecodec.cli.files import PIPE, check_target, plan_outputs, read_input, write_output
    from vaecodec.errors import UsageError
    from vaecodec.picture import encode_picture, lost_metadata, output_format

    if test and output is not None:
        raise UsageError("-t writes nothing: leave -o out")
    extension = output_format(None, format_name).extensions[0]
    plan = {} if test else plan_outputs(inputs, output, lambda path: path.stem + extension, force=force)
    # An output with an extension of no format is refused before anything is decoded.
    formats = {
        source: output_format(None if target == PIPE else target, format_name) for source, target in plan.items()
    }

    from vaecodec.api import find_codec_for, info

    def has_checksum(data: bytes) -> bool:
        return info(data, models=models, device=device)["check"] is not None

    def decompress_one(source: str) -> None:
        start = time.perf_counter()
        if not test:
            check_target(plan[source], force=force)
        data = read_input(source)
        picture = find_codec_for(data, models=models, device=device).decompress(data)
        target = None if test else plan[source]
        lost: tuple[str, ...] = ()
        if target is not None:
            write_output(target, encode_picture(picture, formats[source]), source=source, force=force)
            lost = lost_metadata(picture, formats[source])
        seconds = time.perf_counter() - start
        progress.clear()
        if lost and not quiet:
            say(f"warning: {target}: {formats[source].name} cannot hold {', '.join(lost)}: use --format png to keep it")
        if as_json:
            size = {
                "width": picture.width,
                "height": picture.height,
                "channels": picture.channels,
                "alpha": picture.alpha is not None,
            }
            outcome: dict[str, object] = {"output": target, "lost_metadata": list(lost)}
            if test:
                outcome = {"tested": True, "checksum": has_checksum(data)}
            click.echo(json.dumps({"input": source} | outcome | size | {"seconds": seconds}), err=target == PIPE)
        elif not quiet:
            kind = ("grey" if picture.channels == 1 else "RGB") + (" with alpha" if picture.alpha is not None else "")
            line = f"{source} -> {target}: {picture.width} x {picture.height} {kind}, {seconds:.2f} s"
            if test:
                checked = "samples match their checksum" if has_checksum(data) else "it has no checksum of its samples"
                line = f"{source}: ok, {picture.width} x {picture.height} {kind}, {checked}, {seconds:.2f} s"
            click.echo(line, err=target == PIPE)

    progress = Progress(len(inputs), quiet=quiet)
    for_each(inputs, decompress_one, progress=progress)
