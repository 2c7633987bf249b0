"""``vaecodec models``: the models that are installed."""

from __future__ import annotations

import json

import click

from vaecodec.cli import options


@click.command("models")
@options.as_json
def command(as_json: bool) -> None:
    """List the installed models: what they cost, and where they are."""
    from vaecodec.api import list_models
    from vaecodec.evaluation.tables import number, text_table
    from vaecodec.installed import family_cards
    from vaecodec.models.family.settings import DISCRETE

    cards, families = list_models(), family_cards()
    if as_json:
        for card in cards:
            facts = {"name": card.name, "id": card.id_hex, "path": str(card.path), "bytes": card.size}
            click.echo(json.dumps(facts | {"kmac_per_pixel": dict(card.macs), "settings": dict(card.settings)}))
        for family in families:
            facts = {"name": family.name, "id": family.id_hex, "path": str(family.path), "bytes": family.size}
            click.echo(json.dumps(facts | {"settings": family.settings.to_dict()}))
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
    if families:
        header = ("of small items", "id", "items", "latents", "codes", "MB", "file")
        rows = []
        for family in families:
            s = family.settings
            codes = "without loss" if s.context else "lossy, and without loss" if s.likelihood in DISCRETE else "lossy"
            size = number(family.size / 1e6, 1)
            rows.append(
                (
                    family.name,
                    family.id_hex,
                    " × ".join(map(str, s.shape)),
                    str(s.latents),
                    codes,
                    size,
                    str(family.path),
                )
            )
        click.echo("\n" + text_table(header, rows))
