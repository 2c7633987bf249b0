"""``vaecodec models``: the models that are installed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from vaecodec.cli import options
from vaecodec.cli.help import Command

if TYPE_CHECKING:
    from vaecodec.installed import ModelCard
    from vaecodec.vae.cards import VaeCard


@click.command(
    "models",
    cls=Command,
    short_help="List the installed models, their cost and their files.",
    examples="""
vaecodec models
vaecodec models --json
""",
)
@options.as_json
def command(as_json: bool) -> None:
    """List the installed models: what they cost, and where they are."""
    from vaecodec.api import list_models
    from vaecodec.evaluation.tables import number, text_table
    from vaecodec.vae.cards import vae_cards
    from vaecodec.vae.settings import DISCRETE

    cards, of_items = list_models(), vae_cards()
    if as_json:
        for card in cards:
            click.echo(json.dumps(_facts(card) | {"kmac_per_pixel": dict(card.macs), "settings": dict(card.settings)}))
        for small in of_items:
            click.echo(json.dumps(_facts(small) | {"settings": small.settings.to_dict()}))
        return
    header = ("name", "id", "encode kMAC/px", "decode kMAC/px", "as executed", "MB", "file")
    rows = []
    for card in cards:
        decode = card.macs["synthesis"] + card.macs["prior"]
        encode = card.macs["analysis"] + decode
        executed = card.macs["decode_as_executed"]
        costs = (*(number(cost, 1) for cost in (encode, decode, executed)), number(card.size / 1e6, 1))
        rows.append((card.name, card.id_hex, *costs, str(card.path)))
    click.echo(text_table(header, rows))
    if of_items:
        header = ("of small items", "id", "items", "latents", "codes", "MB", "file")
        rows = []
        for small in of_items:
            sizes = small.settings
            codes = (
                "without loss"
                if sizes.context
                else "lossy, and without loss"
                if sizes.likelihood in DISCRETE
                else "lossy"
            )
            shape, megabytes = " × ".join(map(str, sizes.shape)), number(small.size / 1e6, 1)
            rows.append((small.name, small.id_hex, shape, str(sizes.latents), codes, megabytes, str(small.path)))
        click.echo("\n" + text_table(header, rows))


def _facts(card: ModelCard | VaeCard) -> dict[str, object]:
    return {"name": card.name, "id": card.id_hex, "path": str(card.path), "bytes": card.size}
