"""``vaecodec compress --scheduler``: the same command on a Dask cluster, with paths that every worker can reach."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vaecodec.cli.failures import SOME_FAILED, say
from vaecodec.cli.progress import Progress
from vaecodec.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from vaecodec.cluster import Row, Settings


def run_on_cluster(
    inputs: Sequence[str],
    output: str | None,
    settings: Settings,
    scheduler: str,
    *,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compresses what is in stores, prints what was done, and ends with the exit code.

    Raises:
        UsageError: no output folder, or no scheduler answers.
        MissingExtraError: the extra ``cluster`` is not installed.
    """
    try:
        import pyarrow  # noqa: F401
        from distributed import Client
    except ImportError as error:
        raise MissingExtraError("--scheduler needs pip install 'vaecodec[cluster]', on the workers too") from error
    from vaecodec.cluster import compress_on_dask

    if output is None:
        raise UsageError("--scheduler needs a folder for the outputs and the manifest: name it with -o")
    progress: Progress | None = None

    def on_row(row: Row, done: int, total: int) -> None:
        nonlocal progress
        if progress is None:
            progress = Progress(total, quiet=quiet)
        progress.clear()
        if as_json:
            click.echo(json.dumps(row))
        elif row["error"] is not None:
            say(row["error"])
        progress.show(done, row["source"])

    try:
        client = Client(scheduler, timeout="10s")
    except (OSError, ValueError) as error:
        raise UsageError(f"{scheduler}: no Dask scheduler answers: {error}") from error
    with client:
        try:
            result = compress_on_dask(inputs, output, settings, client, force=force, on_row=on_row)
        finally:
            if progress is not None:
                progress.clear()
    if not quiet and not as_json:
        click.echo(
            f"{len(result.rows) - len(result.failed)} compressed, {len(result.finished)} finished before and skipped, "
            f"{len(result.failed)} failed: {result.manifest}"
        )
    if result.failed:
        raise click.exceptions.Exit(SOME_FAILED)
