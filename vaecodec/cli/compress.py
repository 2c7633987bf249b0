"""``vaecodec compress``: pictures to files."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from vaecodec.bitstream.container import EXTENSION
from vaecodec.cli import options
from vaecodec.cli.failures import shown
from vaecodec.cli.help import Command
from vaecodec.codec.options import DEFAULT_EFFORT, MAX_EFFORT, Access, EncodeOptions
from vaecodec.codec.rate_control import MEASURES
from vaecodec.models.tunes import TUNES

if TYPE_CHECKING:
    from vaecodec.api import Codec, Encoded, EncodedFile
    from vaecodec.cli.jobs import Outcome, Task
    from vaecodec.picture import Picture, PictureRows

METRICS = {"ssimulacra2": ("SSIMULACRA2", 2), "ms_ssim": ("MS-SSIM", 4)}
"""That may be reported besides PSNR: what a line calls them, and its decimals."""

_METAVARS = {"size": "BYTES", "bpp": "BPP", "ssimulacra2": "SCORE", "psnr": "DB", "ms_ssim": "0..1"}

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def _bytes(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Reads a number of bytes with a unit: kB and MB are thousands, KiB and MiB are powers of two."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*([0-9]+\.?[0-9]*|\.[0-9]+)\s*([a-z]*)\s*", value.lower())
    if found is None or found[2] not in _UNITS:
        raise click.BadParameter(f"{value!r} is not a size such as 100kB, 1.5MB, 64KiB or 2000")
    return int(float(found[1]) * _UNITS[found[2]])


def _targets(command: Callable[..., None]) -> Callable[..., None]:
    """An option for every target that there is."""
    for name, measure in reversed(list(MEASURES.items())):
        how: dict[str, Any] = {"metavar": _METAVARS[name]} | (
            {"callback": _bytes} if name == "size" else {"type": float}
        )
        command = options.option(f"--{name.replace('_', '-')}", help=measure.help, **how)(command)
    return command


@click.command(
    "compress",
    cls=Command,
    short_help="Compress pictures: a.png becomes a.vaec.",
    sections={
        "Where it goes": ("output", "force", "recursive", "jobs", "scheduler"),
        "Quality or size (one of these)": ("quality", *MEASURES, "lossless"),
        "How": ("effort", "model", "device", "threads", "limit"),
        "What is kept": ("strip", "first_frame", "to_8_bit", "check"),
        "What is printed": ("measure", "as_json", "quiet"),
    },
    examples="""
vaecodec compress holiday.jpg                    # makes holiday.vaec
vaecodec compress holiday.jpg small.vaec -q 50   # two names, as in cjxl
vaecodec compress holiday.jpg --size 100kB
vaecodec compress a.png --lossless
vaecodec compress photos/*.png -o packed/ -q 70
vaecodec compress album/ -r -o packed/ -j 2      # a second run goes on
cat a.png | vaecodec compress - -o b.vaec
""",
)
@options.inputs
@options.output
@options.option(
    "-q",
    "--quality",
    type=options.Number(0, 100),
    metavar="0..100",
    show_default=", ".join(f"{tune.quality:g} with {name}" for name, tune in TUNES.items()),
    help="0 (smallest) to 100 (best); for eye about the SSIMULACRA2 score.",
)
@_targets
@options.option(
    "--effort",
    type=options.Count(0, MAX_EFFORT),
    default=DEFAULT_EFFORT,
    metavar=f"0..{MAX_EFFORT}",
    help="Higher is slower, and smaller at equal quality; from 2 on needs vaecodec[torch].",
)
@options.model
@options.device
@options.threads
@options.option(
    "--lossless", is_flag=True, help="Keep every sample: pictures as JPEG XL, WebP or PNG, arrays by bits-back."
)
@options.option("--check", is_flag=True, help="Add a checksum of the decoded samples, for decompress -t.")
@options.option(
    "--measure",
    type=click.Choice([name.replace("_", "-") for name in METRICS]),
    multiple=True,
    metavar="NAME",
    help="Report this too: ssimulacra2 or ms-ssim; may be repeated. PSNR always is.",
)
@options.option("--strip", is_flag=True, help="Drop metadata; turn the picture upright and convert it to sRGB.")
@options.option("--first-frame", is_flag=True, help="For animations and multi-page files, use the first frame.")
@options.option("--to-8-bit", is_flag=True, help="Round samples of more than 8 bits to 8.")
@options.limit
@options.recursive
@options.jobs
@options.option(
    "--scheduler", metavar="ADDRESS", help="Work on a Dask cluster; INPUT and OUT may be URLs such as s3://."
)
@options.force
@options.as_json
@options.quiet
# click hands in every option by its name; what they ask for goes on as `EncodeOptions`, `Access` and one job.
def command(
    inputs: tuple[str, ...],
    output: str | None,
    measure: tuple[str, ...],
    model: str | None,
    device: str,
    threads: int | None,
    recursive: bool,
    jobs: int,
    scheduler: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    **request: Any,
) -> None:
    """Compress pictures: a.png becomes a.vaec, and a.png is kept.

    INPUT is a file, or - for a pipe, or with -r a folder, where finished files are skipped. Arrays of small items
    (IDX, .npy, .npz; with --lossless folders of small pictures too) are coded by a model of the VAE family.
    """
    from vaecodec.cli.arrays import compress_arrays, names_arrays
    from vaecodec.cli.batch import run
    from vaecodec.errors import UsageError
    from vaecodec.picture_files import READABLE_EXTENSIONS

    if not recursive and scheduler is None:
        inputs, output = _in_and_out(inputs, output)
        if len(inputs) == 1:
            _check_name(output, force=force)
    targets = [f"--{name.replace('_', '-')}" for name in MEASURES]
    if sum(request[name] is not None for name in ("quality", *MEASURES)) + request["lossless"] > 1:
        *names, last = ("-q", "--lossless", *targets)
        raise UsageError(f"{', '.join(names)} and {last} exclude each other: give one of them")
    asked = EncodeOptions().changed(**request)
    access = Access(models=() if model is None else (model,), device=device, threads=threads)
    if names_arrays(inputs, folders=asked.lossless and not recursive):
        if asked.target or asked.strip or asked.first_frame or recursive or scheduler is not None:
            raise UsageError(
                f"arrays take none of {', '.join(targets)}, --strip, --first-frame, --scheduler and -r"
            )  # fmt: skip
        compress_arrays(inputs, output, asked, access, force=force, as_json=as_json, quiet=quiet)
        return
    if not recursive and scheduler is None:
        _check_second(inputs, output)
    if scheduler is not None:
        if threads is not None:
            raise UsageError("--scheduler excludes --threads: the cluster's workers have their own")
        from vaecodec.cli.on_cluster import run_on_cluster
        from vaecodec.cluster import Settings

        settings = Settings(**vars(asked), model=model, device=device)
        run_on_cluster(inputs, output, settings, scheduler, force=force, quiet=quiet, as_json=as_json)
        return
    run(
        inputs, output, CompressJob(asked, access, force, as_json, quiet, tuple(name.replace("-", "_") for name in measure)), READABLE_EXTENSIONS,
        lambda path: path.stem + EXTENSION, verb="compressed", recursive=recursive, workers=jobs, force=force,
        quiet=quiet, summary=not as_json,
    )  # fmt: skip


def _in_and_out(inputs: tuple[str, ...], output: str | None) -> tuple[tuple[str, ...], str | None]:
    """Takes the second of two names for the output where it can be no picture: ``compress in.png out.vaec``, as cjxl has it."""
    from vaecodec.errors import UsageError

    if output is None and len(inputs) == 2 and (_is_ours(inputs[1]) or inputs[1] == "-") and not _is_ours(inputs[0]):
        return inputs[:1], inputs[1]
    for source in inputs:
        if _is_ours(source):
            raise UsageError(
                f"{shown(source)}: is the name of a compressed file: decompress it, or name an output with -o"
            )
    return inputs, output


def _check_second(inputs: tuple[str, ...], output: str | None) -> None:
    """Asks about a second name that is no file, before the first one is compressed."""
    from vaecodec.cli.files import check_second, is_there
    from vaecodec.errors import UsageError

    if output is None and len(inputs) == 2:
        check_second(*inputs)
        first, second = inputs
        if is_there(first) and not is_there(second):
            name = shown(str(Path(second).with_suffix(EXTENSION)))
            raise UsageError(f"{shown(inputs[1])}: no such file: is it the output? Then say -o {name}")


def _is_ours(name: str) -> bool:
    """Whether a name ends as our files' do, and what is there, if anything is, is no picture."""
    from vaecodec.bitstream.container import MAGIC

    path = Path(name)
    if path.suffix.lower() != EXTENSION:
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return not path.exists()


def _check_name(output: str | None, *, force: bool) -> None:
    """Asks about an output whose name does not say what it is."""
    from vaecodec.cli.files import PIPE, is_stream
    from vaecodec.errors import UsageError

    if output is None or output == PIPE or force or output.endswith("/") or Path(output).is_dir() or is_stream(output):
        return
    if Path(output).suffix.lower() != EXTENSION:
        name = shown(str(Path(output).with_suffix(EXTENSION)))
        raise UsageError(
            f"{shown(output)}: compressed files are called {EXTENSION}: say -o {name}, -o {shown(output)}/ for a folder, or -f to use this name"
        )


class _Made(NamedTuple):
    """A file, its report, and what of the source was changed or is not in it."""

    data: bytes
    report: dict[str, Any]
    notes: tuple[str, ...]


@dataclass
class CompressJob:
    """One picture to its file."""

    options: EncodeOptions
    access: Access
    force: bool
    as_json: bool
    quiet: bool
    metrics: tuple[str, ...] = ()
    codec: Codec | None = field(default=None, repr=False)

    def prepare(self, threads: int | None = None) -> None:
        """Loads the model."""
        from vaecodec.api import Codec
        from vaecodec.cli.files import lift_pillow_limit
        from vaecodec.cli.libtiff import silence_libtiff

        lift_pillow_limit(self.options.limit)
        silence_libtiff()
        self.codec = Codec(self.access.model, device=self.access.device, threads=self.access.threads or threads)

    def __call__(self, task: Task) -> Outcome:
        """Reads, encodes and writes."""
        from vaecodec.cli.files import check_source, check_target, is_stream, read_picture_stream

        start = time.perf_counter()
        source, target = task
        check_source(source)
        check_target(target, force=self.force)
        if is_stream(source):
            # What can be read once only is read here, and nowhere else.
            data = read_picture_stream(source, self.options.limit)
            source_size = len(data)
        else:
            data, source_size = None, Path(source).stat().st_size if Path(source).exists() else 0
        # Targets and --strip need the whole picture.
        made = None if data is not None or self.options.target or self.options.strip else self._by_rows(source)
        if made is None:
            made = self._whole(source if data is None else data)
        return self._written(task, made, source_size=source_size, start=start)

    def _written(self, task: Task, made: _Made, *, source_size: int, start: float) -> Outcome:
        from vaecodec.cli.files import PIPE, write_output
        from vaecodec.cli.jobs import Line, Outcome

        source, target = task
        write_output(target, made.data, source=source, force=self.force)
        if self.quiet and not self.as_json:
            return Outcome(task)
        warnings = (
            [Line(f"vaecodec: warning: {shown(source)}: {'; '.join(made.notes)}", to_stderr=True)] if made.notes else []
        )
        report = made.report | {"warnings": list(made.notes), "source_bytes": source_size}
        report["seconds"] = time.perf_counter() - start
        line = _line(source, target, report)
        if self.as_json:
            line = json.dumps({"input": source, "output": target} | report)
        # With the file itself on standard output, the report goes where it does not get into it.
        return Outcome(task, (*warnings, Line(line, to_stderr=target == PIPE)))

    def _by_rows(self, source: str) -> _Made | None:
        """The file and its report for a large picture that can be read by rows; None for others."""
        from vaecodec.picture import DEFAULT_MAX_ROW_PIXELS, LARGE_PIXELS, open_rows, rounded_to_8_bit

        assert self.codec is not None  # prepared
        asked = self.options
        most = DEFAULT_MAX_ROW_PIXELS if asked.limit is None else asked.limit
        with open_rows(source, max_pixels=most, first_frame=asked.first_frame) as rows:
            if rows is None or rows.width * rows.height < LARGE_PIXELS:
                return None
            if asked.to_8_bit and rows.bit_depth > 8:
                rows = replace(rows, bit_depth=8, blocks=map(rounded_to_8_bit, rows.blocks))
            encoded = self.codec.encode_rows(rows, asked)
            return _Made(
                encoded.data, _report_of_rows(rows, encoded, self.metrics) | {"lossless": asked.lossless}, rows.notes
            )

    def _whole(self, source: str | bytes) -> _Made:
        from vaecodec.codec.codec import read_source

        assert self.codec is not None  # prepared
        picture = read_source(source, self.options)
        encoded = self.codec.encode(picture, self.options)
        report = (
            {}
            if self.quiet and not self.as_json
            else _report(picture, encoded, () if self.options.lossless else self.metrics)
        )
        return _Made(encoded.data, report | {"lossless": self.options.lossless}, picture.notes)


def _report_of_rows(rows: PictureRows, encoded: EncodedFile, metrics: Sequence[str]) -> dict[str, Any]:
    """Of a picture that was never decoded."""
    return {
        "width": rows.width,
        "height": rows.height,
        "quality": encoded.quality,
        "bytes": len(encoded.data),
        "bpp": 8 * len(encoded.data) / (rows.width * rows.height),
        "estimate_bpp": encoded.estimated_bits / (rows.width * rows.height),
        "psnr": None,
        **{metric: None for metric in metrics},
        "notes": {metric: "not measured on large pictures" for metric in metrics},
        "by_rows": True,
        "stage_seconds": dict(encoded.seconds),
    }


def _report(picture: Picture, encoded: Encoded, metrics: Sequence[str]) -> dict[str, Any]:
    """Measures the file that was written; figures that are not to be had are None, and a note says why."""
    from vaecodec import metrics as known
    from vaecodec.errors import MissingExtraError
    from vaecodec.metrics import bits_per_pixel, psnr

    quality = psnr(encoded.source, encoded.samples)
    values: dict[str, float | None] = {}
    notes: dict[str, str] = {}
    for metric in metrics:
        try:
            values[metric] = getattr(known, metric)(encoded.source, encoded.samples)
            if values[metric] is None:
                notes[metric] = "the picture is too small"
        except MissingExtraError:
            values[metric], notes[metric] = None, "needs pip install 'vaecodec[metrics]'"
    return {
        "width": picture.width,
        "height": picture.height,
        "quality": encoded.quality,
        "bytes": len(encoded.data),
        "bpp": bits_per_pixel(len(encoded.data), picture.width, picture.height),
        "estimate_bpp": encoded.estimated_bits / (picture.width * picture.height),
        # JSON has no infinity; a picture that came out without any error has no PSNR.
        "psnr": quality if math.isfinite(quality) else None,
        **values,
        "notes": notes,
        "by_rows": False,
        "stage_seconds": dict(encoded.seconds),
    }


def _line(source: str, target: str, report: dict[str, Any]) -> str:
    unknown = "PSNR n/a" if report["by_rows"] and not report["lossless"] else "no error"
    psnr = unknown if report["psnr"] is None else f"PSNR {report['psnr']:.2f} dB"
    for metric, (name, digits) in METRICS.items():
        if metric in report:
            note = report["notes"].get(metric)
            psnr += f", {name} n/a ({note})" if note else f", {name} {report[metric]:.{digits}f}"
    share = 100 * report["bytes"] / max(1, report["source_bytes"])
    quality = "without loss" if report["lossless"] else f"quality {report['quality']:g}"
    return (
        f"{shown(source)} -> {shown(target)}: {report['bytes']:,} bytes, {quality}, {report['bpp']:.2f} bpp, {psnr}, "
        f"{share:.1f} % of the source file, {report['seconds']:.2f} s"
    )
