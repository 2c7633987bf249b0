"""``vaecodec latents``: a page of pictures about what a model of the VAE family has learnt."""

from __future__ import annotations

import click

from vaecodec.cli import options
from vaecodec.cli.help import Command
from vaecodec.cli.progress import working


@click.command(
    "latents",
    cls=Command,
    short_help="Draw what a model of the VAE family has learnt.",
    sections={
        "Where it goes": ("output", "force"),
        "What is drawn": ("model", "labels", "method"),
        "How": ("device", "quiet"),
    },
    examples="""
vaecodec latents items.npy --model digits-plane -o latents.png
vaecodec latents items.npy --model digits-plane -o latents.npy
""",
)
@options.argument("data", metavar="DATA")
@options.path_option("--model", required=True, metavar="NAME|FILE", help="Weights of the VAE family.")
@options.path_option("-o", "--output", required=True, metavar="OUT", help="The page (.png), or the latents (.npy).")
@options.path_option("--labels", metavar="FILE", help="One integer for each item: IDX or .npy.")
@options.option("--map", "method", type=click.Choice(["auto", "pca", "umap"]), default="auto", metavar="NAME",
                help="How more than two dimensions become a map: auto, pca or umap.")  # fmt: skip
@options.device
@options.force
@options.quiet
def command(
    data: str, model: str, output: str, labels: str | None, method: str, device: str, force: bool, quiet: bool
) -> None:
    """Draw the latents of the items in DATA: map, decoded manifold, traversals, reconstructions, KL per dimension."""
    import io
    from pathlib import Path

    import numpy as np

    from vaecodec.cli.files import PIPE, check_target, write_output
    from vaecodec.errors import UsageError
    from vaecodec.vae.arrays import ArrayCodec
    from vaecodec.vae.items import read_items, read_labels

    if Path(output).suffix not in (".png", ".npy"):
        raise UsageError(f"{output}: name an output that ends in .png or .npy")
    check_target(output, force=force)
    items = read_items(data)
    named = items.labels if labels is None else read_labels(labels, len(items.values))
    codec = ArrayCodec(model, device=device)
    if output.endswith(".npy"):
        written = io.BytesIO()
        with working(output, quiet=quiet):
            np.save(written, codec.encode(items.values))
        content = written.getvalue()
    else:
        from vaecodec.vae.plots import latent_page

        with working(output, quiet=quiet):
            content = latent_page(codec, items.values, named, method)
    write_output(output, content, source=PIPE, force=force)
    if not quiet:
        click.echo(f"{output}: {len(items.values)} items, {codec.settings.latents} latents")
