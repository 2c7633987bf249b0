"""Finds weights by name, by path and by id: of the image model, and of the VAE family. Nothing is computed, nothing needs torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaecodec.errors import UnknownModelError, UsageError
from vaecodec.models.weights_file import named_id


@dataclass(frozen=True)
class Shelf:
    """A folder of the package with the weights of one kind of model."""

    folder: Path
    what: str
    how: str
    codes: str

    def paths(self) -> list[Path]:
        """The weights files inside the package."""
        return sorted(self.folder.glob("*.safetensors"))

    def find(self, model: str | Path) -> Path:
        """Name or path of a model to the path of its weights file.

        Raises:
            UsageError: neither a name nor a path.
            UnknownModelError: there is none of this name.
        """
        if not isinstance(model, (str, os.PathLike)):
            raise UsageError(f"a {type(model).__name__} is no model: give a name or the path of a weights file")
        for path in self.paths():
            if path.stem == str(model):
                return path
        path = Path(model)
        if path.suffix == ".safetensors" or path.is_file():
            return path
        names = ", ".join(p.stem for p in self.paths()) or "none"
        for other in (IMAGE_MODELS, ITEM_MODELS):
            if other is not self and any(found.stem == str(model) for found in other.paths()):
                raise UnknownModelError(f"{model} is for {other.codes}, not for {self.codes}: installed are {names}")
        raise UnknownModelError(f"no {self.what} is called {str(model)!r}: installed are {names}; {self.how} works too")

    def find_id(self, model_id: bytes, models: Sequence[str | Path], advice: str) -> Path:
        """The weights that a file was made with.

        Args:
            model_id: as in the file.
            models: weights files or names to look in before the installed ones.
            advice: ends the message where there are none.

        Raises:
            UnknownModelError: no weights here have this id.
        """
        for path in [*map(self.find, models), *self.paths()]:
            if named_id(path) == model_id.hex():
                return path
        raise UnknownModelError(
            f"no weights here have the model id {model_id.hex()} that this file was made with: {advice}"
        )


WEIGHTS_FOLDER: Final = Path(__file__).parent / "weights"
IMAGE_MODELS: Final = Shelf(WEIGHTS_FOLDER, "model", "a path of a weights file", "pictures")
ITEM_MODELS: Final = Shelf(WEIGHTS_FOLDER / "arrays", "model of the VAE family", "a path", "arrays of small items")


def installed_weights() -> list[Path]:
    """The weights files of image models inside the package."""
    return IMAGE_MODELS.paths()


def find_weights(model: str | Path) -> Path:
    """Name or path of an image model to the path of its weights file."""
    return IMAGE_MODELS.find(model)


@dataclass(frozen=True)
class ModelCard:
    """One installed set of weights.

    Attributes:
        name: what ``--model`` takes.
        id_hex: the model id in files, 16 hexadecimal digits.
        path: the weights file.
        settings: sizes of the model.
        macs: kMAC per pixel of ``analysis``, ``synthesis`` and ``prior`` as networks, and ``decode_as_executed``.
        size: of the weights file, in bytes.
        card: who made it, of what, how long.
    """

    name: str
    id_hex: str
    path: Path
    settings: Mapping[str, int | float]
    macs: Mapping[str, float]
    size: int
    card: Mapping[str, object]


def model_cards() -> list[ModelCard]:
    """The installed image models.

    Raises:
        DamagedWeightsError: one of them is damaged.
    """
    from vaecodec.models.cost import count_macs
    from vaecodec.models.weights import load_weights

    cards = []
    for path in IMAGE_MODELS.paths():
        weights = load_weights(path)
        cards.append(
            ModelCard(
                path.stem, weights.model_id().hex(), path, weights.settings.to_dict(), count_macs(weights.data),
                path.stat().st_size, weights.card,
            )
        )  # fmt: skip
    return cards
