"""The installed models of the VAE family, from the files' own words: no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from vaecodec.errors import DamagedWeightsError
from vaecodec.installed import ITEM_MODELS
from vaecodec.models.weights_file import metadata_of
from vaecodec.vae.settings import VaeSettings


@dataclass(frozen=True)
class VaeCard:
    """One installed model of the VAE family: what ``--model`` takes, its id, its file, its sizes."""

    name: str
    id_hex: str
    path: Path
    settings: VaeSettings
    size: int


def vae_cards() -> list[VaeCard]:
    """The installed models of the VAE family, from the files' own words.

    Raises:
        DamagedWeightsError: one of them is no weights file of the family.
    """
    cards = []
    for path in ITEM_MODELS.paths():
        metadata = metadata_of(path)
        try:
            settings = VaeSettings.from_dict(json.loads(metadata["decoder"])["settings"])
        except (KeyError, ValueError, TypeError) as error:
            raise DamagedWeightsError(f"{path}: damaged weights file ({error}); download it again") from error
        cards.append(VaeCard(path.stem, metadata.get("id", ""), path, settings, path.stat().st_size))
    return cards
