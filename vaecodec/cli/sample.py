"""``vaecodec sample``: new items from a model of the VAE family, and lines between two; of the image model, textures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vaecodec.cli import options
from vaecodec.cli.help import Command
from vaecodec.cli.progress import working

if TYPE_CHECKING:
    from vaecodec.vae.items import Values


@click.command(
    "sample",
    cls=Command,
    short_help="Draw new items from the prior of a model.",
    sections={
        "Where it goes": ("output", "columns", "force"),
        "What is drawn": ("model", "count", "seed", "latents", "between"),
        "Of the image model": ("quality", "traverse"),
        "How": ("device", "quiet"),
    },
    examples="""
vaecodec sample --model digits-plane -n 64 -o grid.png
vaecodec sample --model digits-plane --between items.npy:0,2 -n 10 -o line.png
vaecodec sample --model psnr -n 4 -o textures.png
""",
)
@options.path_option(
    "--model", required=True, metavar="NAME|FILE", help="Weights of the VAE family, or of the image model."
)
@options.option("-n", "--count", type=options.Count(1, 65536), default=64, metavar="N", help="How many items.")
@options.path_option(
    "-o", "--output", required=True, metavar="OUT", help="A sheet of them (.png), or the array (.npy)."
)
@options.option("--seed", type=options.Count(0), default=1, metavar="N", help="Another seed, other items.")
@options.path_option("--latents", metavar="NPY", help="Decode these latents, float [N, d], in place of drawing some.")
@options.option("--between", metavar="DATA:I,J", help="A line between items I and J of DATA, in COUNT steps.")
@options.option("-q", "--quality", type=options.Number(0, 100), default=50, metavar="0..100",
                help="How coarse the latents are that are drawn.")  # fmt: skip
@options.option("--traverse", type=options.Count(1, 64), metavar="N",
                help="Its N widest hyper latents, each from -4 to 4 steps, in a row.")  # fmt: skip
@options.option("--columns", type=options.Count(1), metavar="N", help="Items in a row of the sheet.")
@options.device
@options.force
@options.quiet
def command(
    model: str,
    count: int,
    output: str,
    seed: int,
    latents: str | None,
    between: str | None,
    quality: float,
    traverse: int | None,
    columns: int | None,
    device: str,
    force: bool,
    quiet: bool,
) -> None:
    """Draw new items from the prior of a model.

    A VAE draws latents from its prior and decodes them; an autoencoder, which has none, from a Gaussian fitted to its latents.
    The image model draws from its hyperprior step by step: that gives textures, not scenes.
    """
    import io
    from pathlib import Path

    import numpy as np

    from vaecodec.cli.files import PIPE, check_target, write_output
    from vaecodec.errors import UsageError
    from vaecodec.vae.plots import png, sheet

    if Path(output).suffix not in (".png", ".npy"):
        raise UsageError(f"{output}: name an output that ends in .png or .npy")
    if latents is not None and between is not None:
        raise UsageError("--latents and --between exclude each other: give one of them")
    check_target(output, force=force)
    with working(output, quiet=quiet):
        items = _draw(model, count, seed, latents, between, traverse, quality, device)
    if traverse is not None:
        columns = columns or len(items) // traverse
    if output.endswith(".npy"):
        written = io.BytesIO()
        np.save(written, items)
        data = written.getvalue()
    else:
        data = png(sheet(items, columns or (len(items) if between is not None else None)))
    write_output(output, data, source=PIPE, force=force)
    if not quiet:
        click.echo(f"{output}: {len(items)} items of {' × '.join(map(str, items.shape[1:]))}")


def _draw(
    model: str,
    count: int,
    seed: int,
    latents: str | None,
    between: str | None,
    traverse: int | None,
    quality: float,
    device: str,
) -> Values:
    from pathlib import Path

    from vaecodec.errors import UsageError
    from vaecodec.installed import find_weights, installed_weights
    from vaecodec.models.weights_file import format_of
    from vaecodec.vae.arrays import ArrayCodec
    from vaecodec.vae.items import read_array, read_items

    if model in [path.stem for path in installed_weights()] or (
        Path(model).is_file() and format_of(Path(model)) == "vaecodec-weights-1"
    ):
        if latents is not None or between is not None:
            raise UsageError("--latents and --between are for models of the VAE family")
        from vaecodec.prior_samples import sample_pictures, traverse_pictures

        if traverse is not None:
            return traverse_pictures(find_weights(model), traverse, quality=quality, device=device)
        return sample_pictures(find_weights(model), count, seed=seed, quality=quality, device=device)
    if traverse is not None:
        raise UsageError("--traverse is for the image model: `vaecodec latents` draws those of the VAE family")
    codec = ArrayCodec(model, device=device)
    if latents is not None:
        return codec.decode(read_array(Path(latents)), seed=seed)
    if between is None:
        return codec.sample(count, seed=seed)
    source, _, pair = between.rpartition(":")
    parts = pair.split(",")
    if not source or len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise UsageError(f"{between!r} is not a line such as items.npy:3,17")
    values = read_items(source).values
    chosen = [int(part) for part in parts]
    if max(chosen) >= len(values):
        raise UsageError(f"{source}: has {len(values)} items, counted from 0")
    return codec.interpolate(values[chosen], count)
