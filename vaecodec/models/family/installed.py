"""The models of the family that are in the package; nothing of them is computed, so nothing needs torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaecodec.errors import DamagedWeightsError, UnknownModelError
from vaecodec.models.family.settings import FamilySettings
from vaecodec.models.weights_file import metadata_of

WEIGHTS_FOLDER: Final = Path(__file__).parents[2] / "weights" / "arrays"


@dataclass(frozen=True)
class FamilyCard:
    """One installed model: what ``--model`` takes, its id, its file, its sizes."""

    name: str
    id_hex: str
    path: Path
    settings: FamilySettings
    size: int


def installed_families() -> list[Path]:
    """The weights files of the family inside the package."""
    return sorted(WEIGHTS_FOLDER.glob("*.safetensors"))


def find_family(model: str | Path) -> Path:
    """Name or path of a model to the path of its weights file."""
    for path in installed_families():
        if path.stem == str(model):
            return path
    path = Path(model)
    if path.suffix == ".safetensors" or path.is_file():
        return path
    names = ", ".join(p.stem for p in installed_families()) or "none"
    raise UnknownModelError(
        f"no model of the VAE family is called {str(model)!r}: installed are {names}; a path works too"
    )


def family_cards() -> list[FamilyCard]:
    """What is installed, from the files' own words.

    Raises:
        DamagedWeightsError: one of them is no weights file of the family.
    """
    cards = []
    for path in installed_families():
        metadata = metadata_of(path)
        try:
            settings = FamilySettings.from_dict(json.loads(metadata["decoder"])["settings"])
        except (KeyError, ValueError, TypeError) as error:
            raise DamagedWeightsError(f"{path}: damaged weights file ({error}); get it again") from error
        cards.append(FamilyCard(path.stem, metadata.get("id", ""), path, settings, path.stat().st_size))
    return cards
