"""What ``compress``, ``decompress`` and ``info`` do with arrays of small items, which a model of the VAE family codes."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaecodec.cli.failures import for_each, shown
from vaecodec.cli.progress import Progress
from vaecodec.errors import FileFormatError, ItemsError, LimitError, UsageError

if TYPE_CHECKING:
    from vaecodec.bitstream.container import Container
    from vaecodec.cli.jobs import Line, Task
    from vaecodec.codec.options import Access, EncodeOptions
    from vaecodec.vae.arrays import EncodedArray

ARRAY_EXTENSION = ".npy"
_HEADER_BYTES = 64


def names_arrays(inputs: Sequence[str], *, folders: bool) -> bool:
    """Whether the inputs are arrays of items: by their names, or folders of small pictures.

    Args:
        inputs: as given.
        folders: whether folders are arrays: with ``--lossless`` and without ``-r``.

    Raises:
        UsageError: some are and some are not.
    """
    from vaecodec.cli.files import is_folder
    from vaecodec.picture.rows import is_picture_array
    from vaecodec.vae.items import is_items_file

    arrays = [
        (is_items_file(name) and not is_picture_array(name)) or ".npz:" in name or (folders and is_folder(name))
        for name in inputs
    ]
    if all(arrays):
        return True
    if any(arrays):
        raise UsageError("arrays and pictures in one command: compress them apart")
    return False


def holds_array(path: Path) -> bool:
    """Whether a file is one of ours that holds an array; what cannot be read, or once only, is none."""
    from vaecodec.cli.files import is_stream

    if is_stream(str(path)):
        return False
    try:
        with path.open("rb") as file:
            return is_array_file(file.read(_HEADER_BYTES))
    except OSError:
        return False


def is_array_file(data: bytes) -> bool:
    """Whether the first bytes are those of a file that holds an array."""
    from vaecodec.bitstream.container import KIND_PICTURE, read_header

    try:
        return read_header(data).kind != KIND_PICTURE
    except (FileFormatError, LimitError):
        return False


def compress_arrays(
    inputs: Sequence[str],
    output: str | None,
    asked: EncodeOptions,
    access: Access,
    *,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Codes every input with one model, by default the installed one for items of its shape."""
    from vaecodec.bitstream.container import EXTENSION
    from vaecodec.cli.files import PIPE, check_target, output_folder, write_output
    from vaecodec.vae.arrays import DEFAULT_QUALITY, ArrayCodec, codec_for_items
    from vaecodec.vae.items import read_items

    folder = output_folder(output)
    if output is not None and len(inputs) > 1 and folder is None:
        raise UsageError(f"{output}: several inputs need a folder for their outputs: -o {output}/ makes it")

    def target_of(source: str) -> str:
        name = Path(source.split(".npz:")[0]).name.removesuffix(".gz")
        name = (name if Path(source).is_dir() else Path(name).stem) + EXTENSION
        if output is None:
            return str(Path(source).with_name(name))
        return output if folder is None else str(folder / name)

    def job(source: str) -> None:
        start = time.perf_counter()
        target = target_of(source)
        check_target(target, force=force)
        items = read_items(source)
        array = items.values.reshape(items.shape)
        try:
            if access.models:
                codec = ArrayCodec(access.model, device=access.device)
            else:
                codec = codec_for_items(items.values.shape[1:], lossless=asked.lossless, device=access.device)
            if asked.lossless:
                encoded = codec.compress_lossless(array)
            else:
                encoded = codec.compress_lossy(array, quality=asked.quality_or(DEFAULT_QUALITY))
        except ItemsError as error:
            raise ItemsError(f"{source}: {error}") from error
        write_output(target, encoded.data, source=source if Path(source).is_file() else PIPE, force=force)
        if quiet and not as_json:
            return
        report = _report(array, encoded, codec.name, asked.lossless) | {"seconds": time.perf_counter() - start}
        text = json.dumps({"input": source, "output": target} | report) if as_json else _line(source, target, report)
        click.echo(text, err=target == PIPE)

    for_each(inputs, job, progress=Progress(len(inputs), quiet=quiet))


def _report(array: Any, encoded: EncodedArray, model: str, lossless: bool) -> dict[str, Any]:
    from vaecodec.metrics import psnr

    report = {
        "model": model,
        "shape": list(array.shape),
        "lossless": lossless,
        "bytes": len(encoded.data),
        "bits_per_dimension": 8 * len(encoded.data) / array.size,
        "estimate_bits_per_dimension": encoded.bits / array.size,
        "initial_bits": encoded.initial_bits,
    }
    if not lossless:
        error = psnr(array.reshape(len(array), -1, 1), encoded.items.reshape(len(array), -1, 1))
        report["psnr"] = error if error != float("inf") else None
    return report


def _line(source: str, target: str, report: dict[str, Any]) -> str:
    what = (
        f"model's negative ELBO {report['estimate_bits_per_dimension']:.4f}"
        if report["lossless"]
        else "no error"
        if report["psnr"] is None
        else f"PSNR {report['psnr']:.2f} dB"
    )
    shape = " × ".join(map(str, report["shape"]))
    return (
        f"{shown(source)} -> {shown(target)}: {shape}, {report['bytes']:,} bytes, {report['bits_per_dimension']:.4f} bits per dimension, "
        f"{what}, {report['seconds']:.2f} s"
    )


def decompress_array(
    task: Task, container: Container, access: Access, *, start: float, force: bool, as_json: bool
) -> Line:
    """Decodes an array and writes it as .npy, or tests it where there is no output; returns what to say."""
    import numpy as np

    from vaecodec.cli.files import PIPE, write_output
    from vaecodec.cli.jobs import Line
    from vaecodec.vae.arrays import find_array_codec_for

    source, target = task
    if target not in ("", PIPE) and not target.endswith(ARRAY_EXTENSION):
        raise UsageError(f"{target}: {source} holds an array: name an output that ends in {ARRAY_EXTENSION}")
    array = find_array_codec_for(container, access).decompress(container, limits=access.limits)
    if target:
        written = io.BytesIO()
        np.save(written, array)
        write_output(target, written.getvalue(), source=source, force=force)
    seconds = time.perf_counter() - start
    if as_json:
        report: dict[str, Any] = {"input": source, "shape": list(array.shape), "dtype": str(array.dtype)}
        report |= {"output": target} if target else {"tested": True, "checksum": True}
        return Line(json.dumps(report | {"seconds": seconds}), to_stderr=target == PIPE)
    shape = " × ".join(map(str, array.shape))
    if target:
        return Line(f"{shown(source)} -> {shown(target)}: {shape} uint8, {seconds:.2f} s", to_stderr=target == PIPE)
    return Line(f"{shown(source)}: ok, {shape} uint8, values match their checksum, {seconds:.2f} s", to_stderr=False)
