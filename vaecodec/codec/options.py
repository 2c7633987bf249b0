"""What a caller may ask for: one object for encoding, one for reaching models. Imports nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from vaecodec.bitstream.container import DEFAULT_LIMITS, Limits
from vaecodec.codec.rate_control import MEASURES
from vaecodec.errors import UsageError
from vaecodec.models.tunes import TUNES

DEFAULT_MODEL = "eye"
DEFAULT_QUALITY = TUNES[DEFAULT_MODEL].quality
DEFAULT_EFFORT = 1
"""A dead zone around the prior's means, and no search."""
MAX_EFFORT = 9


def check_number(name: str, value: object) -> None:
    """Raises UsageError for what is no number."""
    if not _is_number(value):
        raise UsageError(f"{name} {value!r} is not a number")


def _is_number(value: object) -> bool:
    # Numbers of numpy are numbers by their methods, not by their class.
    return not isinstance(value, (str, bytes)) and hasattr(value, "__float__") and getattr(value, "ndim", 0) == 0


@dataclass(frozen=True)
class Tiling:
    """How pictures are cut.

    Attributes:
        one_tile_pixels: pictures up to this size are one tile.
        exponent: larger ones are cut into tiles of 2^exponent square.
        screen_exponent: pictures with text or flat graphics may be cut into these, each in latents or without loss.
    """

    one_tile_pixels: int = 2_000_000
    exponent: int = 10
    screen_exponent: int = 8

    def exponent_for(self, width: int, height: int) -> int:
        """Tile exponent of a picture in latents; 0 for one tile."""
        return 0 if width * height <= self.one_tile_pixels else self.exponent

    def screen_exponent_for(self, width: int, height: int) -> int:
        """Tile exponent of a picture with screen content; 0 for one tile."""
        return 0 if max(width, height) <= 1 << self.screen_exponent else self.screen_exponent


@dataclass(frozen=True)
class EncodeOptions:
    """The options of a file.

    Attributes:
        quality: 0 (smallest) to 100 (best); None for the model's default, or with a target. Of weights for the eye about the SSIMULACRA2
            score of photographs.
        target: in place of a quality, one of `MEASURES` and its value: ``{"psnr": 40}``.
        effort: 0 (fast) to 9: what to spend on a smaller file of the same quality.
        lossless: pictures and arrays of small items bit for bit; in place of a quality.
        check: add a checksum of the decoded samples.
        strip: drop metadata, and apply the orientation.
        first_frame: of animations and documents take the first frame or page.
        to_8_bit: round samples of more than 8 bits to 8.
        limit: the largest number of pixels that is read, or None for the usual limit.
        tiling: how pictures are cut.

    Raises:
        UsageError: a quality or an effort is out of range, or more than one of a quality, a target and ``lossless`` is given.
    """

    quality: float | None = None
    target: Mapping[str, float] = field(default_factory=dict)
    effort: int = DEFAULT_EFFORT
    lossless: bool = False
    check: bool = False
    strip: bool = False
    first_frame: bool = False
    to_8_bit: bool = False
    limit: int | None = None
    tiling: Tiling = Tiling()

    def __post_init__(self) -> None:
        if self.quality is not None:
            check_quality(self.quality)
        if not isinstance(self.target, Mapping) or not set(self.target) <= set(MEASURES):
            raise UsageError(f"target {self.target!r} does not give numbers for some of {', '.join(MEASURES)}")
        for name, value in self.target.items():
            check_number(name, value)
        if self.limit is not None:
            check_number("limit", self.limit)
            if not self.limit >= 1:
                raise UsageError(f"limit {self.limit} is no number of pixels: give 1 or more")
        for name in ("lossless", "check", "strip", "first_frame", "to_8_bit"):
            value = getattr(self, name)
            if not _is_number(value) or value not in (0, 1):
                raise UsageError(f"{name} {value!r} is neither True nor False")
        if not isinstance(self.tiling, Tiling):
            raise UsageError(f"tiling {self.tiling!r} is no Tiling")
        if not _is_number(self.effort) or self.effort not in range(MAX_EFFORT + 1):
            raise UsageError(
                f"effort {self.effort!r} is out of range: it goes from 0 to {MAX_EFFORT}, in whole numbers"
            )
        given = [*(["lossless"] * self.lossless), *(["quality"] if self.quality is not None else []), *self.target]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other: give one of them")

    def changed(self, **given: Any) -> EncodeOptions:
        """A copy with some options replaced: fields of this class, or a target by its name; None leaves one as it is."""
        given = {name: value for name, value in given.items() if value is not None}
        target = {name: given.pop(name) for name in MEASURES if name in given}
        return replace(self, **given | ({"target": target} if target else {}))

    def quality_or(self, default: float) -> float:
        """The quality, or the default where none is given."""
        return default if self.quality is None else self.quality

    def quality_for(self, tune: str) -> float:
        """The quality, or where none is given the default of weights tuned for the eye or for squared error."""
        return self.quality_or(TUNES[tune].quality)


@dataclass(frozen=True)
class Access:
    """Where models are looked for and what computes them.

    Attributes:
        models: weights files or names to look in before the installed ones; for encoding the first one is taken.
        device: ``auto``, ``cpu`` or ``cuda``.
        backend: ``auto`` (native, or torch where the device is ``cuda``), ``native`` or ``torch``.
        threads: for each model that is loaded; None leaves them as they are.
        limits: what a file may declare.
    """

    models: tuple[str | Path, ...] = ()
    device: str = "auto"
    backend: str = "auto"
    threads: int | None = None
    limits: Limits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        threads = self.threads
        if threads is not None and (not _is_number(threads) or threads < 1 or int(threads) != threads):
            raise UsageError(f"threads {threads!r} is no whole number above 0")
        check_limits(self.limits)

    def changed(self, **given: Any) -> Access:
        """With other fields in their place."""
        if "models" not in given:
            return replace(self, **given)
        models = given["models"]
        # One name is a sequence of letters too.
        models = (models,) if isinstance(models, (str, os.PathLike)) else models
        if not isinstance(models, Iterable):
            raise UsageError(f"models {models!r} are not names or paths of weights files")
        return replace(self, **given | {"models": tuple(models)})

    @property
    def model(self) -> str | Path:
        """The model to encode with."""
        return self.models[0] if self.models else DEFAULT_MODEL


def changed(options: object, given: Mapping[str, Any]) -> EncodeOptions:
    """The options of a call: an object, and others by name.

    Raises:
        UsageError: no such object, or an option out of range.
    """
    if not isinstance(options, EncodeOptions):
        raise UsageError(f"{options!r} is no EncodeOptions: give an option by its name, as quality=50")
    return options.changed(**given)


def check_limits(limits: object) -> None:
    """Raises UsageError for what is no `Limits`."""
    if not isinstance(limits, Limits):
        raise UsageError(f"limits {limits!r} are none: give Limits(max_pixels=…)")


def check_quality(quality: float) -> None:
    """Raises UsageError for what is not in 0..100."""
    check_number("quality", quality)
    if not 0 <= quality <= 100:
        raise UsageError(f"quality {quality:g} is out of range: it goes from 0 to 100")


DEFAULT_OPTIONS: Final = EncodeOptions()
DEFAULT_ACCESS: Final = Access()
