"""Whole stores of pictures on a cluster: fsspec for the paths, Dask for the work, a Parquet manifest of what was done.

::

    store ─► plan: what the manifest does not have ─► tasks ─► workers: read, encode, write ─► rows ─► manifest
                                                       └── one model in each worker process

:func:`compress_one` needs no engine: Ray, Spark or a loop can map it over ``plan(...).work`` as well (docs/cluster.md).
A task may run twice, on two workers, or die half way: its file appears whole or not at all, and is the same each time.
"""

from __future__ import annotations

import io
import json
import math
import os
import posixpath
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict, cast

from vaecodec.atomic import write_atomically
from vaecodec.bitstream.container import EXTENSION
from vaecodec.codec.options import DEFAULT_EFFORT, DEFAULT_MODEL, EncodeOptions
from vaecodec.errors import MissingExtraError, PictureNotFoundError, UsageError, VaecodecError, WeightsError

MANIFEST = "manifest.parquet"
RETRIES = 2
"""How often a task is tried again after an error of the store; a bad picture is bad the second time too."""
FLUSH_SECONDS = 30.0
"""How much of a run is done again, at most, if the process that leads it dies."""
_AHEAD = 4
"""So many tasks for each thread of the cluster are handed over at a time; a store may hold millions."""

# What stores call the version of a file, the surest first.
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified", "updated", "created")


class Row(TypedDict):
    """One line of the manifest.

    ``error`` is None where the file was written, else one line, and then the figures of the file are None. ``psnr`` is over all
    samples, in dB, and None where there is no error at all.
    """

    source: str
    target: str
    source_bytes: int
    source_version: str
    settings: str
    model_id: str | None
    width: int | None
    height: int | None
    quality: float | None
    bytes: int | None
    bpp: float | None
    psnr: float | None
    seconds: float
    worker: str
    error: str | None


@dataclass(frozen=True)
class Settings(EncodeOptions):
    """What is done to every picture: ``Settings(quality=61)``, ``Settings(target={"psnr": 40}, strip=True)``.

    Attributes:
        model: name of installed weights, or path of a weights file that every worker has.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    model: str | None = None
    device: str = "auto"

    @property
    def text(self) -> str:
        """What decides the bytes of a file, as JSON; manifests have it, so it stays as it is."""
        facts: dict[str, Any] = {
            # 20 and 20.0 are one quality.
            "quality": None if self.quality is None else float(self.quality),
            "target": dict(self.target),
            "model": self.model,
            "options": {} if self.effort == DEFAULT_EFFORT else {"effort": self.effort},
        }
        facts |= {name: getattr(self, name) for name in ("check", "strip", "first_frame", "to_8_bit", "limit")}
        return json.dumps(facts, sort_keys=True)


@dataclass(frozen=True)
class Work:
    """One picture: where it is, where its file goes, and which version of it was seen."""

    source: str
    target: str
    source_bytes: int
    source_version: str


@dataclass(frozen=True)
class Plan:
    """What there is to do in a store.

    Attributes:
        work: to be done.
        finished: rows of the manifest that still hold.
        failures: rows of what cannot be done, and is known before.
    """

    work: tuple[Work, ...]
    finished: tuple[Row, ...]
    failures: tuple[Row, ...]


@dataclass(frozen=True)
class Result:
    """What a run has done: the rows of this run, those that held before, and where the manifest lies."""

    rows: tuple[Row, ...]
    finished: tuple[Row, ...]
    manifest: str

    @property
    def failed(self) -> tuple[Row, ...]:
        """The rows of this run that have an error."""
        return tuple(row for row in self.rows if row["error"] is not None)


def plan(inputs: Sequence[str], output: str, settings: Settings, *, force: bool = False) -> Plan:
    """Goes through stores and finds what is not done yet.

    A picture is done if the manifest has it, in the same version and with the same settings, and its file has the size that
    the manifest says.

    Args:
        inputs: folders, whose tree is kept, or files: paths or URLs.
        output: the folder that the files go into.
        settings: what is done to every picture.
        force: do everything again.

    Raises:
        PictureNotFoundError: an input is not there.
        MissingExtraError: fsspec, or its package for a store, is not installed.
    """
    from vaecodec.picture_files import READABLE_EXTENSIONS

    recorded = {} if force else {row["source"]: row for row in read_manifest(output)}
    files = _find(output)
    work: list[Work] = []
    finished: list[Row] = []
    failures: list[Row] = []
    taken: dict[str, str] = {}
    for root in inputs:
        sources = _find(root)
        if not sources:
            raise PictureNotFoundError(f"{root}: nothing is there")
        folder = _folder_of(root, sources)
        for source, facts in sources.items():
            inside = source[len(folder) :].lstrip("/")
            hidden = any(part.startswith(".") for part in inside.split("/"))
            if hidden or posixpath.splitext(source)[1].lower() not in READABLE_EXTENSIONS:
                continue
            target = _join(output, posixpath.splitext(inside)[0] + EXTENSION)
            item = Work(source, target, int(facts.get("size") or 0), _version(facts))
            row = recorded.get(source)
            if target in taken:
                why = f"{source}: would have the output of {taken[target]}: compress them apart"
                failures.append(failure(item, settings, why))
                continue
            taken[target] = source
            there = files.get(target)
            if row is not None and there is not None and _holds(row, item, settings, there):
                finished.append(row)
            else:
                work.append(item)
    return Plan(tuple(work), tuple(finished), tuple(failures))


def compress_one(work: Work, settings: Settings) -> Row:
    """Compresses one picture; the model is loaded once in each process.

    Returns:
        The row for the manifest. What is wrong with the picture is in its ``error``.

    Raises:
        OSError: the store failed; the same may work a second time.
        WeightsError: the model is not installed where this runs.
    """
    from PIL import Image

    from vaecodec.api import shared_codec
    from vaecodec.codec.codec import read_source
    from vaecodec.metrics import bits_per_pixel, psnr

    start = time.perf_counter()
    codec = shared_codec(settings.model or DEFAULT_MODEL, device=settings.device)
    fs, path = _filesystem(work.source)
    if Image.MAX_IMAGE_PIXELS is not None:
        # By itself Pillow refuses more than its own limit, whoever asks.
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, settings.limit or 0)
    try:
        picture = read_source(io.BytesIO(fs.cat_file(path)), settings)
        encoded = codec.encode(picture, settings)
    except WeightsError:
        raise
    except (VaecodecError, MemoryError) as error:
        why = f"{work.source}: {' '.join(str(error).split()) or 'not enough memory'}"
        return failure(work, settings, why, start=start)
    _write(work.target, encoded.data)
    quality = psnr(encoded.source, encoded.samples)
    height, width = encoded.samples.shape[:2]
    return _row(
        work, settings, start, model_id=codec.model.id_hex, width=width, height=height, quality=encoded.quality,
        bytes=len(encoded.data), bpp=bits_per_pixel(len(encoded.data), width, height),
        psnr=quality if math.isfinite(quality) else None,
    )  # fmt: skip


# Longer than others: handing over, taking back and writing the manifest are one loop over the same few lists.
def compress_on_dask(
    inputs: Sequence[str],
    output: str,
    settings: Settings,
    client: Any,
    *,
    force: bool = False,
    retries: int = RETRIES,
    on_row: Callable[[Row, int, int], None] | None = None,
) -> Result:
    """Compresses what is in stores on a Dask cluster, and writes the manifest into the output folder.

    A worker that dies loses nothing: the cluster gives its tasks to others. One that a task kills three times is a failure.

    Args:
        inputs: folders or files: paths or URLs that every worker can reach.
        output: the folder that the files go into.
        settings: what is done to every picture.
        client: a ``distributed.Client``.
        force: do everything again.
        retries: how often a task is tried again after an error of the store.
        on_row: called with each row as it comes, how many came, and how many there will be.

    Raises:
        WeightsError: the workers do not have the model.
    """
    from distributed import as_completed

    planned = plan(inputs, output, settings, force=force)
    rows = list(planned.failures)
    waiting = list(reversed(planned.work))
    running: dict[Any, Work] = {}
    coming = as_completed()
    flushed = time.monotonic()

    def hand_over() -> None:
        threads = max(1, sum(client.nthreads().values()))
        while waiting and len(running) < _AHEAD * threads:
            work = waiting.pop()
            future = client.submit(compress_one, work, settings, retries=retries, pure=False)
            running[future] = work
            coming.add(future)

    try:
        hand_over()
        for future in coming:
            work = running.pop(future)
            error = future.exception()
            if isinstance(error, WeightsError):
                raise error
            row = future.result() if error is None else failure(work, settings, f"{work.source}: {_reason(error)}")
            rows.append(row)
            if on_row is not None:
                on_row(row, len(rows), len(planned.work) + len(planned.failures))
            if time.monotonic() - flushed > FLUSH_SECONDS:
                write_manifest(output, [*planned.finished, *rows])
                flushed = time.monotonic()
            hand_over()
    finally:
        client.cancel(list(running))
        if rows:
            write_manifest(output, [*planned.finished, *rows])
    return Result(tuple(rows), planned.finished, _join(output, MANIFEST))


def failure(work: Work, settings: Settings, why: str, *, start: float | None = None) -> Row:
    """The row of a picture that was not compressed."""
    return _row(work, settings, start, error=why)


def _row(work: Work, settings: Settings, start: float | None, **found: Any) -> Row:
    nothing = dict.fromkeys(("model_id", "width", "height", "quality", "bytes", "bpp", "psnr", "error"))
    row: Any = asdict(work) | {
        "settings": settings.text,
        "seconds": 0.0 if start is None else time.perf_counter() - start,
        "worker": f"{socket.gethostname()}:{os.getpid()}",
    }
    return cast(Row, row | nothing | found)


def write_manifest(output: str, rows: Iterable[Row]) -> None:
    """Writes the manifest into the output folder, in the order of the sources; it appears whole or not at all."""
    import pyarrow
    import pyarrow.parquet

    text, whole, real = pyarrow.string(), pyarrow.int64(), pyarrow.float64()
    columns = {
        "source": text, "target": text, "source_bytes": whole, "source_version": text, "settings": text, "model_id": text,
        "width": whole, "height": whole, "quality": real, "bytes": whole, "bpp": real, "psnr": real, "seconds": real,
        "worker": text, "error": text,
    }  # fmt: skip
    ordered = sorted(rows, key=lambda row: row["source"])
    table = pyarrow.Table.from_pylist(ordered, schema=pyarrow.schema(list(columns.items())))
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    _write(_join(output, MANIFEST), buffer.getvalue())


def read_manifest(output: str) -> list[Row]:
    """Reads the manifest in an output folder; no rows where there is none.

    Raises:
        UsageError: a file of that name is no manifest.
    """
    import pyarrow
    import pyarrow.parquet

    fs, path = _filesystem(_join(output, MANIFEST))
    if not fs.exists(path):
        return []
    try:
        rows: list[Row] = pyarrow.parquet.read_table(io.BytesIO(fs.cat_file(path))).to_pylist()
    except pyarrow.ArrowException as error:
        raise UsageError(f"{_join(output, MANIFEST)}: not a manifest: name another output folder") from error
    return rows


def _filesystem(url: str) -> tuple[Any, str]:
    try:
        import fsspec
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtraError("clusters need fsspec: pip install 'vaecodec[cluster]'") from error
    try:
        fs, path = url_to_fs(url)
    except ValueError as error:
        raise UsageError(f"{url}: {error}: known are {', '.join(sorted(fsspec.available_protocols()))}") from error
    except ImportError as error:
        raise MissingExtraError(f"{url}: {error}") from error
    return fs, path


def _find(root: str) -> dict[str, dict[str, Any]]:
    """The files below a folder, or the file itself, by URL, in a fixed order, with what the store says about each."""
    fs, path = _filesystem(root)
    # What was listed before may be out of date.
    fs.invalidate_cache()
    found = fs.find(path, detail=True)
    return {fs.unstrip_protocol(name): dict(found[name]) for name in sorted(found)}


def _folder_of(root: str, sources: dict[str, dict[str, Any]]) -> str:
    """The folder that the tree of the outputs begins at: the input, or that of the file it names."""
    fs, path = _filesystem(root)
    url: str = fs.unstrip_protocol(path)
    return posixpath.dirname(url) if list(sources) == [url] else url


def _join(output: str, inside: str) -> str:
    fs, path = _filesystem(output)
    url: str = fs.unstrip_protocol(path)
    return f"{url.rstrip('/')}/{inside}"


def _version(facts: dict[str, Any]) -> str:
    return next((f"{name} {facts[name]}" for name in _VERSIONS if facts.get(name)), "")


def _holds(row: Row, item: Work, settings: Settings, there: dict[str, Any]) -> bool:
    same = row["source_version"] == item.source_version and row["source_bytes"] == item.source_bytes
    same = same and row["target"] == item.target and row["settings"] == settings.text
    return same and row["error"] is None and row["bytes"] == there.get("size")


def _write(url: str, data: bytes) -> None:
    """Writes a file that appears whole or not at all: object stores do so by themselves, disks by a rename."""
    fs, path = _filesystem(url)
    fs.makedirs(posixpath.dirname(path), exist_ok=True)
    if "file" not in (fs.protocol if isinstance(fs.protocol, (tuple, list)) else (fs.protocol,)):
        fs.pipe_file(path, data)
        return
    write_atomically(path, data, overwrite=True)


def _reason(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
