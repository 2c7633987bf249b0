"""Arrays of small items to files and back, and new items from nothing, with a model of the VAE family.

::

    items ─► exact encoder ─► posterior ─► bits-back on a stack ────────────► container, kind 1: without loss
                     └► mean, in steps of its own for each dimension ─► coder ─► container, kind 2: lossy
    latents, or draws from the prior ─► exact decoder ─► items
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vaecodec.bitstream.coder import StackCoder, SymbolDecoder, SymbolEncoder, SymbolModels
from vaecodec.bitstream.container import (
    DEFAULT_LIMITS,
    KIND_LOSSLESS_ARRAY,
    KIND_LOSSY_ARRAY,
    KIND_PICTURE,
    TILE_LATENTS,
    VERSION,
    Container,
    Header,
    Limits,
    Tile,
    read_container,
    read_header,
    write_container,
)
from vaecodec.bitstream.tables import TABLES, FrozenTables
from vaecodec.codec.options import DEFAULT_ACCESS, Access, check_quality
from vaecodec.errors import (
    DamagedFileError,
    DamagedWeightsError,
    FileFormatError,
    ItemsError,
    UnknownModelError,
    UsageError,
    damaged_file,
)
from vaecodec.exact.arithmetic import Arithmetic
from vaecodec.exact.integers import IntArray
from vaecodec.exact.tables import sigmas
from vaecodec.installed import ITEM_MODELS
from vaecodec.models.device import pick_device
from vaecodec.models.weights_file import named_id
from vaecodec.stopwatch import Stopwatch
from vaecodec.vae.bits_back import WORD_BYTES, Batches, Counted, Counting, Stacks, pop_batch, push_batch, seeded
from vaecodec.vae.cards import vae_cards
from vaecodec.vae.exact import PIXEL_HALF_WIDTH, ExactVae, build_vae
from vaecodec.vae.items import Values, make_items, with_axes
from vaecodec.vae.section import MAX_STEP, lossless_section, lossy_section, parse_array
from vaecodec.vae.settings import DISCRETE, LATENT_LIMIT, LATENT_UNIT, VaeSettings
from vaecodec.vae.weights import VaeWeights, load_vae

DEFAULT_QUALITY: Final = 50.0

BATCHES: Final = Batches(4, 1024)
"""Four items pop bits that nobody has paid for yet; a thousand at a time keep the vector units busy."""
_DECODED_TOGETHER: Final = 1024
_POSTERIOR_BITS: Final = 9
"""What popping one latent takes at most, in bits: σ of 107 grid points."""
_NEAR_LEVELS: Final = 3
_LATENT_STEPS_PER_QUALITY: Final = 12.5
"""Steps halve with every 12.5 of quality; at 50 they are the width of the posterior."""


@dataclass(frozen=True)
class EncodedArray:
    """A file in memory, and what was learnt on the way.

    Attributes:
        data: the file.
        bits: what the exact model says: of a lossless file its negative ELBO, of a lossy one Σ −log2 p of the symbols.
        initial_bits: seeded bits that the first items popped; in the file's size.
        items: uint8, in the array's shape: exactly what every decoder will give.
        seconds: wall clock by stage.
    """

    data: bytes
    bits: float
    initial_bits: int
    items: Values
    seconds: Mapping[str, float]


class ArrayCodec:
    """One model of the VAE family, loaded once."""

    def __init__(self, model: str | Path, *, device: str = "auto", arithmetic: Arithmetic | None = None) -> None:
        """Loads a model and checks that this machine computes it exactly.

        Args:
            model: name of installed weights, or path of a weights file.
            device: ``auto``, ``cpu`` or ``cuda``.
            arithmetic: what carries the integers; None picks the fastest that passes the self-test.

        Raises:
            WeightsError: no such weights, damaged ones, or none that can be computed exactly here.
        """
        path = ITEM_MODELS.find(model)
        self.name = path.stem
        self.weights: VaeWeights = load_vae(path)
        self.id = self.weights.model_id()
        self.settings: VaeSettings = self.weights.settings
        self.vae = ExactVae(build_vae(self.weights.data, pick_device(device), arithmetic))
        self.tables = FrozenTables.from_arrays(self.weights.half_widths, self.weights.counts)
        self._latent_models = SymbolModels(self.tables)
        self.pixel_tables: tuple[FrozenTables, ...] = ()
        if self.weights.pixel_counts is not None:
            half_widths = np.full(TABLES, PIXEL_HALF_WIDTH, np.int32)
            self.pixel_tables = tuple(FrozenTables(half_widths, list(bank)) for bank in self.weights.pixel_counts)
        self._pixel_models = tuple(SymbolModels(tables) for tables in self.pixel_tables)

    # --- latents and items -------------------------------------------------------------------------------------------

    def encode(self, items: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Means of the posterior: uint8 [N, D], [N, H, W] or [N, H, W, C] -> float32 [N, d], in units of the prior's σ."""
        return (self._means(self._items(items)) / LATENT_UNIT).astype(np.float32)

    def decode(self, latents: npt.NDArray[Any], *, seed: int = 1) -> Values:
        """Latents in units of the prior's σ, [N, d] -> uint8 [N, H, W, C].

        A model with a context draws the pixels from its distributions, one step after the other, with ``seed``; others
        give the mean.

        Raises:
            UsageError: not d numbers for each item.
        """
        latents = np.asarray(latents, np.float64)
        if latents.ndim != 2 or latents.shape[1] != self.settings.latents or not np.isfinite(latents).all():
            raise UsageError(
                f"latents of the shape {latents.shape}: {self.settings.latents} finite numbers an item are needed"
            )
        points = np.rint(np.clip(latents * LATENT_UNIT, -LATENT_LIMIT, LATENT_LIMIT)).astype(np.int32)
        generator = np.random.default_rng(seed)
        parts = [self._decode(part, generator) for part in _parts(points)]
        return np.concatenate(parts) if parts else np.zeros((0, *self.settings.shape), np.uint8)

    def sample(self, count: int, *, seed: int = 1) -> Values:
        """New items from the prior: uint8 [count, H, W, C]. Of an autoencoder from a Gaussian fitted to its latents."""
        rng = np.random.default_rng(seed)
        return self.decode(rng.standard_normal((count, self.settings.latents)), seed=seed)

    def interpolate(self, items: npt.NDArray[Any], steps: int) -> Values:
        """From the first of two items to the second, along a line between their latents: uint8 [steps, H, W, C].

        Raises:
            UsageError: not two items, or fewer than two steps.
        """
        if len(items) != 2 or steps < 2:
            raise UsageError("interpolation goes between two items in at least two steps")
        first, last = self.encode(items)
        t = np.linspace(0, 1, steps)[:, None]
        return self.decode((1 - t) * first + t * last)

    def _means(self, values: Values) -> IntArray:
        """Means of the posterior in grid points: int32 [N, d]."""
        return np.concatenate([self.vae.encode(part).mean for part in _parts(values)])

    def _decode(self, points: IntArray, generator: np.random.Generator) -> Values:
        if not self.settings.context:
            return self.vae.decode(points)
        steps = self.vae.begin(points)
        for _ in range(steps.steps):
            steps.put(self._draw(steps.next(), generator))
        return steps.items()

    def _draw(self, indices: IntArray, generator: np.random.Generator) -> Values:
        """Values drawn from the tables with these indices, 1 + node; 0 stays 0. Integers only, so alike everywhere."""
        assert self.weights.pixel_counts is not None
        counts = self.weights.pixel_counts.reshape(-1, self.weights.pixel_counts.shape[-1])[:, :256]
        ends = np.cumsum(counts.astype(np.int64), axis=1)
        nodes = indices.reshape(-1).astype(np.intp) - 1
        drawn = generator.integers(0, 1 << 24, nodes.size) * ends[nodes, -1] >> 24
        values = np.zeros(nodes.size, np.uint8)
        for node in np.unique(nodes[nodes >= 0]):
            chosen = nodes == node
            values[chosen] = np.searchsorted(ends[node], drawn[chosen], side="right")
        return values.reshape(indices.shape)

    # --- without loss ------------------------------------------------------------------------------------------------

    def compress_lossless(self, array: npt.NDArray[Any]) -> EncodedArray:
        """A whole array to a file, bit for bit.

        Args:
            array: uint8 [N, D], [N, H, W] or [N, H, W, C]; an item has the model's shape.

        Raises:
            ItemsError: another type or shape.
            UsageError: the model has no distribution over 0..255, or is no VAE.
        """
        values = self._items(array)
        if not self.settings.variational or self.settings.likelihood not in DISCRETE:
            raise UsageError(
                f"model {self.name} cannot code without loss: that takes a VAE with --likelihood beta-binomial or tables"
            )
        watch = Stopwatch()
        words = -(-BATCHES.first * self.settings.latents * _POSTERIOR_BITS // (8 * WORD_BYTES)) + 2
        while True:
            with watch.time("coding"):
                counting, payload = self._push_all(values, words)
            if payload is not None:
                break
            # Items that bring fewer bits than the next batch's latents take: more to begin with.
            words *= 2
        section = lossless_section(array.shape, words, BATCHES)
        data = self._pack(KIND_LOSSLESS_ARRAY, section, payload, values)
        return EncodedArray(data, counting.bits, 32 * words, np.asarray(array), watch.seconds)

    def _push_all(self, values: Values, words: int) -> tuple[Counting, bytes | None]:
        bottom = StackCoder.from_bits(self._latent_models, seeded(words))
        counting = Counting()
        stacks = self._stacks(bottom, counting)
        for start, end in BATCHES.spans(len(values)):
            push_batch(self.vae, stacks, values[start:end])
            if counting.lowest < 2:
                return counting, None
        return counting, bottom.finish()

    def _stacks(self, bottom: StackCoder, counting: Counting | None = None) -> Stacks:
        tops = [bottom, *(bottom.with_tables(models) for models in self._pixel_models)]
        if counting is None:
            return Stacks(tops[0], tuple(tops[1:]))
        tables = (self.tables, *self.pixel_tables)
        counted = [Counted(stack, t, counting) for stack, t in zip(tops, tables, strict=True)]
        return Stacks(counted[0], tuple(counted[1:]))

    def _pop_all(self, payload: bytes, count: int, words: int, batches: Batches) -> Values:
        bottom = StackCoder(self._latent_models, payload)
        stacks = self._stacks(bottom)
        values = np.empty((count, *self.settings.shape), np.uint8)
        try:
            for start, end in reversed(list(batches.spans(count))):
                values[start:end] = pop_batch(self.vae, stacks, end - start)
        except ValueError:
            raise damaged_file("a stack gives a latent that cannot be") from None
        if bottom.to_bits() != seeded(words):
            raise damaged_file("a stack does not end in its seeded bits")
        return values

    # --- lossy -------------------------------------------------------------------------------------------------------

    def compress_lossy(self, array: npt.NDArray[Any], *, quality: float = DEFAULT_QUALITY) -> EncodedArray:
        """A whole array to a file: the posterior's means, in steps.

        Args:
            array: as :meth:`compress_lossless`.
            quality: 0 to 100; at 50 a step is as wide as the posterior, every 12.5 more halve it.

        Raises:
            ItemsError: another type or shape.
            UsageError: the quality is out of range, or the model is one for lossless coding.
        """
        check_quality(quality)
        values = self._items(array)
        self._check_lossy()
        watch = Stopwatch()
        quality16 = round(16 * quality)
        with watch.time("encoder"):
            mean = self._means(values)
        factor = 2 ** ((50 - quality16 / 16) / _LATENT_STEPS_PER_QUALITY)
        step = np.clip(np.rint(self.vae.width * factor / 16), 1, MAX_STEP).astype(np.int64)
        offset = np.rint(mean.mean(axis=0)).astype(np.int64)
        symbols = np.rint((mean - offset) / step).astype(np.int32)
        index = np.array([self._best_table(column) for column in symbols.T], np.uint8)
        with watch.time("coding"):
            indices = np.broadcast_to(index, symbols.shape).reshape(-1)
            coder = SymbolEncoder(self._latent_models)
            coder.push(symbols.reshape(-1), indices)
            payload = coder.finish()
        with watch.time("decoder"):
            decoded = self._from_symbols(symbols, step, offset)
        section = lossy_section(array.shape, quality16, step, offset, index)
        data = self._pack(KIND_LOSSY_ARRAY, section, payload, decoded)
        bits = self.tables.bits(symbols.reshape(-1), indices)
        return EncodedArray(data, bits, 0, decoded.reshape(array.shape), watch.seconds)

    def _check_lossy(self) -> None:
        if self.settings.context:
            raise UsageError(
                f"model {self.name} codes without loss only, since its pixels see each other: use --lossless"
            )

    def _best_table(self, symbols: IntArray) -> int:
        """The table, of those near the symbols' deviation, that takes the fewest bits; 0 where all are 0."""
        if not symbols.any():
            return 0
        deviation = float(np.sqrt(np.mean(symbols.astype(np.float64) ** 2)))
        nearest = int(np.argmin(np.abs(np.log(sigmas()) - np.log(deviation))))
        candidates = range(max(1, nearest - _NEAR_LEVELS), min(TABLES, nearest + _NEAR_LEVELS) + 1)
        return min(candidates, key=lambda index: self.tables.bits(symbols, np.full(symbols.shape, index, np.uint8)))

    def _from_symbols(self, symbols: IntArray, step: IntArray, offset: IntArray) -> Values:
        points = np.clip(symbols * step + offset, -LATENT_LIMIT, LATENT_LIMIT).astype(np.int32)
        return np.concatenate([self.vae.decode(part) for part in _parts(points)])

    # --- files -------------------------------------------------------------------------------------------------------

    def decompress(self, data: bytes | Container, *, limits: Limits = DEFAULT_LIMITS) -> Values:
        """A file, or the container that was read of it, to the array, in its shape.

        Raises:
            FileFormatError: not a file of an array, or damaged.
            UnknownModelError: it was made by another model.
            LimitError: it declares more than the limits allow.
        """
        container = data if isinstance(data, Container) else read_container(data, limits=limits)
        if container.header.kind == KIND_PICTURE:
            raise FileFormatError("this file holds a picture, not an array: use vaecodec.decompress")
        if container.header.model_id != self.id:
            raise UnknownModelError(f"the file was made by model {container.header.model_id.hex()}, not by {self.name}")
        lossless = container.header.kind == KIND_LOSSLESS_ARRAY
        array = parse_array(container.array or b"", lossless, self.settings.latents, limits)
        count = self._count(array.shape)
        (tile,) = container.tiles
        if tile.mode != TILE_LATENTS:
            raise damaged_file("an array's stream has the mode of a picture's")
        if lossless:
            if not self.pixel_tables or not self.settings.variational:
                raise damaged_file(f"model {self.name} codes nothing without loss")
            values = self._pop_all(tile.payload, count, array.words, array.batches)
        else:
            if self.settings.context:
                raise damaged_file(f"model {self.name} codes nothing lossy")
            decoder = SymbolDecoder(self._latent_models, tile.payload)
            index = np.broadcast_to(array.index, (count, len(array.index)))
            symbols = decoder.pop(np.ascontiguousarray(index).reshape(-1)).reshape(index.shape)
            decoder.close()
            values = self._from_symbols(symbols.astype(np.int64), array.step, array.offset)
        if container.check is not None and zlib.crc32(values.tobytes()) != container.check:
            raise DamagedFileError("the values do not match the file's checksum: the file is damaged")
        return values.reshape(array.shape)

    def _pack(self, kind: int, section: bytes, payload: bytes, decoded: Values) -> bytes:
        check = zlib.crc32(decoded.tobytes())
        return write_container(
            Container(Header(kind, self.id), (Tile(TILE_LATENTS, payload),), array=section, check=check)
        )

    def _items(self, array: npt.NDArray[Any]) -> Values:
        """The array as the model sees it: uint8 [N, H, W, C]."""
        values = make_items(np.asarray(array)).values
        if not fits(self.settings, values.shape[1:]):
            raise ItemsError(
                f"items are {_text(values.shape[1:])}, model {self.name} was trained on {_text(self.settings.shape)}: "
                "train one on such items (vaecodec train --family vae)"
            )
        return np.ascontiguousarray(values.reshape(-1, *self.settings.shape))

    def _count(self, shape: tuple[int, ...]) -> int:
        if not fits(self.settings, with_axes(np.empty((0, *shape[1:]), np.uint8)).shape[1:]):
            raise damaged_file("the array's shape is not that of the model's items")
        return shape[0]


def _parts(values: IntArray) -> Iterator[IntArray]:
    """What is computed together."""
    return (values[i : i + _DECODED_TOGETHER] for i in range(0, len(values), _DECODED_TOGETHER))


def _text(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def fits(settings: VaeSettings, item: tuple[int, ...]) -> bool:
    """Whether an item of [H, W, C] is what a model takes: its own shape, or the same values in one row."""
    return item == settings.shape or item == (1, settings.size, 1)


# --- installed models ------------------------------------------------------------------------------------------------


def codec_for_items(item: tuple[int, ...], *, lossless: bool, device: str = "auto") -> ArrayCodec:
    """The installed model for items of [H, W, C], lossless or lossy.

    Raises:
        UnknownModelError: there is none.
    """
    able = [card for card in vae_cards() if fits(card.settings, item) and card.settings.context == lossless]
    if able:
        # Of two, the one that says more about an item.
        return ArrayCodec(max(able, key=lambda card: card.settings.latents).path, device=device)
    raise UnknownModelError(
        f"no installed model takes items of {_text(item)}: train one (vaecodec train --family vae) and name it with --model"
    )


def find_array_codec_for(data: bytes | Container, access: Access = DEFAULT_ACCESS, **given: Any) -> ArrayCodec:
    """The codec that a file of an array needs, by the model id in its header; arguments as for :func:`vaecodec.api.find_codec_for`.

    Raises:
        UnknownModelError: no weights here have this id.
    """
    access = access.changed(**given)
    model_id = (data.header if isinstance(data, Container) else read_header(data)).model_id
    path = ITEM_MODELS.find_id(model_id, access.models, "name the weights file with --model")
    return ArrayCodec(path, device=access.device)


def array_info(data: bytes, *, models: Sequence[str | Path] = (), limits: Limits = DEFAULT_LIMITS) -> dict[str, Any]:
    """What a file of an array says about itself, ready for JSON; nothing is decoded."""
    container = read_container(data, limits=limits)
    lossless = container.header.kind == KIND_LOSSLESS_ARRAY
    array = parse_array(container.array or b"", lossless, None, limits)
    names = {}
    for path in [*map(ITEM_MODELS.find, models), *ITEM_MODELS.paths()]:
        try:
            names[named_id(path)] = path.stem
        except DamagedWeightsError:
            if path not in ITEM_MODELS.paths():
                raise
    values = int(np.prod(array.shape))
    facts: dict[str, Any] = {
        "format_version": VERSION,
        "kind": "lossless array" if lossless else "lossy array",
        "model_id": container.header.model_id.hex(),
        "model": names.get(container.header.model_id.hex()),
        "bytes": len(data),
        "dtype": "uint8",
        "shape": list(array.shape),
        "bits_per_dimension": 8 * len(data) / values,
        "stream_bytes": len(container.tiles[0].payload),
    }
    facts |= {"initial_bits": 32 * array.words} if lossless else {"quality": array.quality16 / 16}
    facts["check"] = None if container.check is None else f"{container.check:08x}"
    return facts
