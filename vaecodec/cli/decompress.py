"""``vaecodec decompress``: files to pictures."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaecodec.cli import options
from vaecodec.cli.failures import shown
from vaecodec.cli.help import Command
from vaecodec.codec.options import Access

if TYPE_CHECKING:
    from vaecodec.api import Codec
    from vaecodec.bitstream.container import Container
    from vaecodec.cli.jobs import Line, Outcome, Task
    from vaecodec.picture import OutputFormat, Picture, PictureRows


def _region(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int, int, int] | None:
    """Reads four whole numbers with commas between them."""
    if value is None:
        return None
    parts = value.split(",")
    if len(parts) != 4 or not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
        raise click.BadParameter(f"{value!r} is not a region such as 100,200,640,480: left, top, width and height")
    left, top, width, height = map(int, parts)
    return left, top, width, height


@click.command(
    "decompress",
    cls=Command,
    short_help="Turn files back into pictures: a.vaec becomes a.png.",
    sections={
        "Where it goes": ("output", "format_name", "force", "recursive", "jobs"),
        "What is decoded": ("test", "region", "keep_going"),
        "How": ("models", "device", "backend", "threads", "limit"),
        "What is printed": ("as_json", "quiet"),
    },
    examples="""
vaecodec decompress holiday.vaec                 # makes holiday.png
vaecodec decompress holiday.vaec again.jpg       # two names, as in djxl
vaecodec decompress packed/*.vaec -o pictures/
vaecodec decompress -t packed/ -r                # test, write nothing
vaecodec decompress big.vaec --region 0,0,640,480
""",
)
@options.inputs
@options.output
@options.option(
    "--format",
    "format_name",
    metavar="FORMAT",
    show_default="by the name of OUT, else png",
    help="png, jpeg, webp, tiff, bmp, ppm or npy.",
)
@options.option("-t", "--test", is_flag=True, help="Decode and check everything, write nothing.")
@options.option(
    "--region", callback=_region, metavar="X,Y,W,H", help="Decode a part, from only the tiles that it needs."
)
@options.option("--keep-going", is_flag=True, help="Fill damaged tiles with grey and name them; the exit code is 1.")
@options.models
@options.device
@options.backend
@options.threads
@options.limit
@options.recursive
@options.jobs
@options.force
@options.as_json
@options.quiet
# click hands in every option by its name; what they ask for goes on as one `Access` and one job.
def command(
    inputs: tuple[str, ...],
    output: str | None,
    format_name: str | None,
    test: bool,
    region: tuple[int, int, int, int] | None,
    keep_going: bool,
    models: tuple[str, ...],
    device: str,
    backend: str,
    threads: int | None,
    limit: int | None,
    recursive: bool,
    jobs: int,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Turn files back into pictures: a.vaec becomes a.png, or a.npy where it holds an array, and a.vaec is kept.

    INPUT is a file, or - for a pipe, or with -r a folder, where finished files are skipped.
    """
    from vaecodec.bitstream.container import EXTENSION
    from vaecodec.cli.arrays import ARRAY_EXTENSION
    from vaecodec.cli.batch import run
    from vaecodec.cli.files import PIPE
    from vaecodec.errors import UsageError
    from vaecodec.picture import output_format

    if test and output is not None:
        raise UsageError("-t writes nothing: leave -o out")
    extension = output_format(None, format_name).extensions[0]
    if not recursive and not test:
        inputs, output = _in_and_out(inputs, output)
    if output is not None and output != PIPE and not recursive and not output.endswith((ARRAY_EXTENSION, "/")):
        # An output with an extension of no format is refused before anything is decoded.
        output_format(output, format_name)
    if region is not None and (test or keep_going):
        raise UsageError("--region excludes -t and --keep-going: they are about the whole file")
    access = Access(models, device, backend, threads)
    if limit is not None:
        access = access.changed(limits=replace(access.limits, max_pixels=limit))
    job = DecompressJob(format_name, region, keep_going, access, limit, force, as_json, quiet)
    run(
        inputs, output, job, {EXTENSION}, None if test else lambda path: _output_name(path, extension),
        verb="tested" if test else "decompressed", recursive=recursive, workers=jobs, force=force, quiet=quiet,
        summary=not as_json,
    )  # fmt: skip


def _in_and_out(inputs: tuple[str, ...], output: str | None) -> tuple[tuple[str, ...], str | None]:
    """Takes the second of two names for the output where it is a picture's: ``decompress a.vaec b.png``, as djxl has it."""
    from vaecodec.bitstream.container import EXTENSION
    from vaecodec.cli.arrays import ARRAY_EXTENSION
    from vaecodec.cli.files import PIPE, check_second, is_there
    from vaecodec.errors import UsageError
    from vaecodec.picture import OUTPUT_FORMATS

    if output is None and len(inputs) == 2:
        pictures = {extension for written in OUTPUT_FORMATS.values() for extension in written.extensions}
        if inputs[1] == PIPE or Path(inputs[1]).suffix.lower() in pictures | {ARRAY_EXTENSION}:
            return inputs[:1], inputs[1]
        check_second(*inputs)
        first, second = map(Path, inputs)
        if second.suffix.lower() == EXTENSION and first.suffix.lower() in pictures and not _is_file_of_ours(first):
            raise UsageError(f"{shown(inputs[0])}: is the name of a picture: name the input first, then the output")
        if not is_there(inputs[1]) and is_there(inputs[0]):
            name = shown(str(Path(inputs[1]).with_suffix(".png")))
            raise UsageError(f"{shown(inputs[1])}: no such file: is it the output? Then say -o {name}")
    return inputs, output


def _is_file_of_ours(path: Path) -> bool:
    """Whether a file of ours has a picture's name."""
    from vaecodec.bitstream.container import MAGIC

    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _output_name(path: Path, extension: str) -> str:
    """The name of the picture for a file; a picture in the place of a file is seen here, where both would have one name."""
    from vaecodec.bitstream.container import MAGIC
    from vaecodec.cli.arrays import ARRAY_EXTENSION, holds_array
    from vaecodec.cli.files import is_stream
    from vaecodec.errors import NotVaecodecFileError

    if path.suffix.lower() == extension and not is_stream(str(path)):
        # What cannot be opened is a failure of this input alone, later on.
        with suppress(OSError), path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise NotVaecodecFileError(f"{path}: not a .vaec file")
    return path.stem + (ARRAY_EXTENSION if holds_array(path) else extension)


@dataclass
class DecompressJob:
    """One file to its picture, or to a test of the file where there is no output."""

    format_name: str | None
    region: tuple[int, int, int, int] | None
    keep_going: bool
    access: Access
    limit: int | None
    force: bool
    as_json: bool
    quiet: bool

    def prepare(self, threads: int | None = None) -> None:
        """Which model a file needs is in the file, so it is loaded later; the library keeps those that were loaded."""
        from vaecodec.cli.files import lift_pillow_limit

        lift_pillow_limit(self.limit)
        self.access = self.access.changed(threads=self.access.threads or threads)

    def __call__(self, task: Task) -> Outcome:
        """Reads, decodes and writes."""
        from vaecodec.api import find_codec_for, read_container
        from vaecodec.bitstream.container import KIND_PICTURE
        from vaecodec.cli.failures import SOME_FAILED
        from vaecodec.cli.files import PIPE, check_source, check_target, read_input, write_output
        from vaecodec.cli.jobs import Line, Outcome
        from vaecodec.picture import encode_picture, lost_metadata, output_format

        start = time.perf_counter()
        source, target = task
        check_source(source)
        if target:
            check_target(target, force=self.force)
        container = read_container(
            read_input(source), limits=self.access.limits, keep_damaged=self.keep_going or self.region is not None
        )  # fmt: skip
        if container.header.kind != KIND_PICTURE:
            return self._array(task, container, start)
        lines: list[Line] = []
        lost: tuple[str, ...] = ()
        output = output_format(None if target in ("", PIPE) else target, self.format_name)
        picture: Picture | PictureRows
        damage = None
        codec = find_codec_for(container, self.access)
        if self._goes_by_rows(container, output):
            picture = codec.decode_rows(container)
            lost = self._write_rows(picture, task, output)
        else:
            picture, damage = self._decode(codec, container)
            if target:
                write_output(target, encode_picture(picture, output), source=source, force=self.force)
                lost = lost_metadata(picture, output)
        if target and lost and not self.quiet:
            what = f"{output.name} cannot hold {', '.join(lost)}{_advice(picture, lost)}"
            lines.append(Line(f"vaecodec: warning: {shown(target)}: {what}", to_stderr=True))
        checked = None if target else damage is None and container.check is not None
        seconds = time.perf_counter() - start
        if self.as_json:
            report = _report(task, picture, lost, checked) | {"damage": damage, "seconds": seconds}
            lines.append(Line(json.dumps(report), to_stderr=target == PIPE))
        elif not self.quiet and (target or damage is None):
            lines.append(Line(f"{_line(task, picture, checked)}, {seconds:.2f} s", to_stderr=target == PIPE))
        if damage is not None:
            return Outcome(task, tuple(lines), failure=f"{source}: {damage}", code=SOME_FAILED)
        return Outcome(task, tuple(lines))

    def _array(self, task: Task, container: Container, start: float) -> Outcome:
        """The array in a file of kind 1 or 2, to .npy."""
        from vaecodec.cli.arrays import decompress_array
        from vaecodec.cli.jobs import Outcome
        from vaecodec.errors import UsageError

        if self.region is not None or self.keep_going or self.format_name is not None:
            raise UsageError(f"{task.source}: holds an array, which takes none of --region, --keep-going and --format")
        line = decompress_array(
            task, container, self.access, start=start, force=self.force, as_json=self.as_json
        )  # fmt: skip
        return Outcome(task, () if self.quiet and not self.as_json else (line,))

    def _goes_by_rows(self, container: Container, output: OutputFormat) -> bool:
        """Whether it is a large picture without transparency, all of it wanted, in a format that can be written by rows."""
        from vaecodec.picture import LARGE_PIXELS, ROW_FORMATS

        header = container.header
        large = header.width * header.height >= LARGE_PIXELS and container.alpha is None
        return large and self.region is None and not self.keep_going and output.name in ROW_FORMATS

    def _write_rows(self, rows: PictureRows, task: Task, output: OutputFormat) -> tuple[str, ...]:
        """Decodes a picture into its output, or into nothing for a test; returns what metadata the format cannot hold."""
        from vaecodec.cli.files import write_output
        from vaecodec.picture import lost_metadata, write_rows

        if not task.target:
            for _ in rows.blocks:
                pass
            return ()
        write_output(
            task.target, lambda file: write_rows(rows, file, output.name), source=task.source, force=self.force
        )
        return lost_metadata(rows, output)

    def _decode(self, codec: Codec, container: Container) -> tuple[Picture, str | None]:
        """The picture, and what is damaged about it."""
        if self.region is not None:
            return codec.decompress_region(container, self.region), None
        if not self.keep_going:
            return codec.decompress(container), None
        salvaged = codec.salvage(container)
        if not salvaged.damaged:
            return salvaged.picture, None
        named = ", ".join(f"{n} ({r.width}x{r.height} at {r.left},{r.top})" for n, r in salvaged.damaged.items())
        return salvaged.picture, f"of {salvaged.tiles} tiles these are damaged and grey, counted from 0: {named}"


def _advice(picture: Picture | PictureRows, lost: tuple[str, ...]) -> str:
    """What keeps metadata that an output loses; nothing for what PNG loses too."""
    from vaecodec.picture import OUTPUT_FORMATS, lost_metadata

    lost_by_png = lost_metadata(picture, OUTPUT_FORMATS["png"])
    kept = [kind for kind in lost if kind not in lost_by_png]
    if not kept:
        return ""
    return f": use --format png to keep {'it' if len(kept) == len(lost) else ', '.join(kept)}"


def _report(task: Task, picture: Picture | PictureRows, lost: tuple[str, ...], checked: bool | None) -> dict[str, Any]:
    outcome: dict[str, Any] = {"output": task.target, "lost_metadata": list(lost)}
    if checked is not None:
        outcome = {"tested": True, "checksum": checked}
    size = {"width": picture.width, "height": picture.height, "channels": picture.channels}
    return {"input": task.source} | outcome | size | {"alpha": picture.alpha is not None}


def _line(task: Task, picture: Picture | PictureRows, checked: bool | None) -> str:
    kind = ("grey" if picture.channels == 1 else "RGB") + (" with alpha" if picture.alpha is not None else "")
    size = f"{picture.width} x {picture.height} {kind}"
    if checked is None:
        return f"{shown(task.source)} -> {shown(task.target)}: {size}"
    checksum = "samples match their checksum" if checked else "it has no checksum of its samples"
    return f"{shown(task.source)}: ok, {size}, {checksum}"
