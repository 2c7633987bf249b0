"""Pictures to files and back: everything below, put together.

::

    picture ─► samples ─► tiles ─► latents ─► symbols ─► container ─► bytes
    picture ◄─ samples ◄─ exact synthesis ◄─ latents ◄─ symbols ◄─ container ◄─ bytes

Latents of a tile are computed, and samples synthesised, with a halo of real neighbours as wide as the networks see, so
that tiles and one piece give the same.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt

from vaecodec import tiling
from vaecodec.bitstream.coder import SymbolDecoder, SymbolEncoder, SymbolModels
from vaecodec.bitstream.container import (
    ALPHA_CONSTANT,
    ALPHA_PNG,
    ALPHA_WEBP,
    DEFAULT_LIMITS,
    KIND_PICTURE,
    TILE_LATENTS,
    TILE_PNG,
    TILE_WEBP,
    VERSION,
    Container,
    Header,
    Limits,
    Tile,
    TileRectangle,
    read_container,
    read_header,
    tile_count,
    tile_grid,
    write_container,
)
from vaecodec.bitstream.digest import LatentDigest
from vaecodec.bitstream.tables import FrozenTables
from vaecodec.errors import (
    DamagedFileError,
    FileFormatError,
    MissingExtraError,
    UnknownModelError,
    UsageError,
)
from vaecodec.models.backend import TileLatents, open_backend
from vaecodec.models.cost import macs_per_pixel
from vaecodec.models.decoder_data import LATENT_CLAMP, quality_in_units
from vaecodec.models.settings import DEFAULT_EFFORT, STRIDE
from vaecodec.models.weights import Weights, load_weights
from vaecodec.models.weights_file import named_id
from vaecodec.picture import (
    DEEP_SCALE,
    LosslessPlanes,
    Picture,
    PictureRows,
    PictureSource,
    RowWindow,
    check_output,
    decode_lossless,
    encode_lossless,
    fill_transparent,
    looks_like_screen_content,
    read_picture,
    strip_metadata,
    write_atomically,
)

if TYPE_CHECKING:
    from vaecodec.exact.arithmetic import Arithmetic
    from vaecodec.models.torch_backend import TorchBackend

DEFAULT_MODEL = "fast"
DEFAULT_QUALITY = 61.0
"""A little above the MS-SSIM of JPEG 85 on validation pictures: 0.9925 at 0.89 bits per pixel, where that has 0.9915 at 1.46."""

MAX_EFFORT = 9

ONE_TILE_PIXELS = 2_000_000
"""Pictures up to this size are one tile."""
TILE_EXPONENT = 10
"""Larger ones are cut into tiles of 1024 × 1024."""
SCREEN_TILE_EXPONENT = 8
"""Pictures with text or flat graphics may be cut into tiles of 256 × 256, each in latents or without loss."""
_GREY = 128
"""What a damaged tile is filled with (of 16 bits: 257 times that)."""
_TILE_GREY = -1
"""In place of the mode of a damaged tile; never in a file."""
_TILE_ENTRY_BYTES = 7
"""Mode, a length of two bytes, checksum."""

WEIGHTS_FOLDER = Path(__file__).parent / "weights"

Samples = npt.NDArray[Any]
"""uint8 or, of pictures with 16 bits per sample, uint16."""


@dataclass(frozen=True)
class Encoded:
    """A file in memory, and what was learnt on the way.

    Attributes:
        data: the file.
        source: uint8 or uint16 [H, W, C], the samples that were coded: the picture's, but for colour under full transparency.
        samples: the same, exactly what every decoder will give.
        quality: 0 to 100, as the file has it.
        estimated_bits: what the coder's tables say the symbols take, Σ −log2 p, and lossless tiles as they are; the rate is
            the size of ``data``.
        seconds: wall clock of ``analysis``, ``lossless``, ``prior``, ``coding``, ``synthesis``, ``container``.
    """

    data: bytes
    source: Samples
    samples: Samples
    quality: float
    estimated_bits: float
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class EncodedRows:
    """A file of a picture that was never in memory as a whole.

    Attributes:
        data: the file.
        quality: 0 to 100, as the file has it.
        estimated_bits: as in `Encoded`.
        seconds: as in `Encoded`; ``synthesis`` where there is a checksum.
    """

    data: bytes
    quality: float
    estimated_bits: float
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Salvaged:
    """What could be had of a damaged file.

    Attributes:
        picture: with grey in place of the damaged tiles.
        damaged: number and rectangle of each of those, in raster order.
        tiles: how many tiles there are.
    """

    picture: Picture
    damaged: Mapping[int, TileRectangle]
    tiles: int


@dataclass(frozen=True)
class Decoded:
    """A picture from a file, and the time it took: ``container``, ``prior``, ``coding``, ``synthesis``, in seconds."""

    picture: Picture
    seconds: Mapping[str, float]


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


@dataclass(frozen=True)
class LoadedModel:
    """The weights that a codec holds."""

    name: str
    weights: Weights
    id: bytes
    macs: Mapping[str, float]

    @property
    def id_hex(self) -> str:
        """The model id, 16 hexadecimal digits."""
        return self.id.hex()

    @property
    def settings(self) -> Mapping[str, int | float]:
        """Sizes of the model."""
        return self.weights.settings.to_dict()


@dataclass(frozen=True)
class _Prepared:
    """What of a picture does not depend on quality.

    Attributes:
        picture: as given.
        source: uint8 or uint16 [H, W, C], what is coded.
        x: uint8 [16h, 16w, 3], or float32 of the same range from 16 bits: the same as RGB, edges repeated.
        alpha: the ALPHA section.
        effort: 0 to 9, what to spend on better latents.
        whole: the samples without loss, where that may be worth it.
        tiles: tiles of SCREEN_TILE_EXPONENT without loss, by number, where that may be worth it.
    """

    picture: Picture
    source: Samples
    x: Samples
    alpha: tuple[int, bytes] | None
    effort: int
    whole: LosslessPlanes | None
    tiles: Mapping[int, LosslessPlanes]


@dataclass(frozen=True)
class _Coded:
    """Tiles of a picture at one quality, and the latents that a decoder will have: int32 [h, w, M], in sixteenths."""

    quality16: int
    exponent: int
    grid: tuple[TileRectangle, ...]
    tiles: tuple[Tile, ...]
    y16: npt.NDArray[np.int32]
    estimated_bits: float

    @property
    def size(self) -> int:
        """What the tiles take in bytes, their entries in the table included."""
        return sum(len(tile.payload) + _TILE_ENTRY_BYTES for tile in self.tiles)


def _size(coded: _Coded) -> int:
    return coded.size


def _network_input(samples: Samples) -> Samples:
    """[H, W, C] -> [16h, 16w, 3] of 0..255, edges repeated; 16 bits as float32, between the integers."""
    height, width = samples.shape[:2]
    rgb = np.broadcast_to(samples, (height, width, 3))
    padded = np.pad(rgb, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), mode="edge")
    if padded.dtype != np.uint8:
        padded = padded.astype(np.float32) / np.float32(DEEP_SCALE)
    return padded


class Stopwatch:
    """Adds up wall clock by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Adds the time inside to ``name``."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


class Codec:
    """One model, loaded once; may be used from many threads at the same time."""

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        *,
        device: str = "auto",
        backend: str = "auto",
        arithmetic: Arithmetic | None = None,
    ) -> None:
        """Loads a model and checks that this machine computes it exactly.

        Args:
            model: name of installed weights, or path of a weights file.
            device: ``auto``, ``cpu`` or ``cuda``.
            backend: ``auto`` (torch where it is installed), ``torch``, or ``onnx``, which only decodes.
            arithmetic: what carries the integers of the decoder in torch; None picks the fastest that passes the self-test.

        Raises:
            WeightsError: no such weights, damaged ones, or none that can be computed exactly here.
            MissingExtraError: the packages of the backend are not installed.
        """
        path = find_weights(model)
        weights = load_weights(path)
        self.model = LoadedModel(path.stem, weights, weights.model_id(), count_macs(weights))
        self.tables = FrozenTables.from_arrays(weights.half_widths, weights.counts)
        self._symbol_models = SymbolModels(self.tables)
        self.backend = open_backend(weights, backend=backend, device=device, arithmetic=arithmetic)

    @property
    def torch(self) -> TorchBackend:
        """The model in torch, encoder included.

        Raises:
            MissingExtraError: this codec decodes with onnxruntime.
        """
        if self.backend.name != "torch":
            raise MissingExtraError(f"the {self.backend.name} backend only decodes; compressing needs torch")
        return cast("TorchBackend", self.backend)

    def compress(
        self,
        picture: PictureSource | Picture,
        *,
        quality: float = DEFAULT_QUALITY,
        effort: int = DEFAULT_EFFORT,
        check: bool = False,
        strip: bool = False,
    ) -> bytes:
        """Picture to file.

        Args:
            picture: path, bytes or binary file of a picture, Pillow image, or uint8 array (H, W[, 1 to 4]).
            quality: 0 (smallest) to 100 (best).
            effort: 0 (fast) to 9: what to spend on latents that need fewer bits for less error; see bench/README.md.
            check: add a checksum of the decoded samples.
            strip: drop metadata, and apply the orientation.

        Raises:
            PictureError: the picture cannot be read or is of an unsupported kind.
            UsageError: the quality or the effort is out of range.
        """
        read = picture if isinstance(picture, Picture) else read_picture(picture)
        return self.encode(strip_metadata(read) if strip else read, quality=quality, effort=effort, check=check).data

    def encode(
        self, picture: Picture, *, quality: float = DEFAULT_QUALITY, effort: int = DEFAULT_EFFORT, check: bool = False
    ) -> Encoded:
        """Like :meth:`compress`, with what a decoder will see and what it took."""
        if not 0 <= quality <= 100:
            raise UsageError(f"quality {quality:g} is out of range: it goes from 0 to 100")
        watch = Stopwatch()
        prepared = self._prepare(picture, effort, watch)
        coded = self._code(prepared, quality_in_units(quality), watch)
        return self._finish(prepared, coded, check=check, watch=watch)

    def _prepare(self, picture: Picture, effort: int, watch: Stopwatch) -> _Prepared:
        _check_effort(effort)
        source = fill_transparent(picture)
        with watch.time("analysis"):
            x = _network_input(source)
        with watch.time("lossless"):
            whole, tiles = _lossless_planes(source)
        alpha = None if picture.alpha is None else _packed_alpha(picture.alpha)
        return _Prepared(picture, source, x, alpha, effort, whole, tiles)

    def _code(self, prepared: _Prepared, quality16: int, watch: Stopwatch) -> _Coded:
        """The smallest of: latents in the usual tiles; small tiles, each in latents or without loss; one without loss."""
        height, width = prepared.source.shape[:2]
        exponent = 0 if height * width <= ONE_TILE_PIXELS else TILE_EXPONENT
        small = 0 if max(height, width) <= 1 << SCREEN_TILE_EXPONENT else SCREEN_TILE_EXPONENT
        best = self._code_tiles(prepared, quality16, exponent, {} if small != exponent else prepared.tiles, watch)
        if small != exponent and prepared.tiles:
            # Screen content takes more than its share of the latents' bytes; if it takes less without loss, a second pass pays.
            grid = tile_grid(width, height, small)
            share = sum(grid[i].width * grid[i].height for i in prepared.tiles) / (width * height)
            if sum(len(planes.data) for planes in prepared.tiles.values()) < 2 * share * best.size:
                best = min(best, self._code_tiles(prepared, quality16, small, prepared.tiles, watch), key=_size)
        if prepared.whole is not None:
            tile, one = _tile_of(prepared.whole), tuple(tile_grid(width, height, 0))
            best = min(
                best, _Coded(quality16, 0, one, (tile,), np.zeros_like(best.y16), 8.0 * len(tile.payload)), key=_size
            )
        return best

    def _code_tiles(
        self,
        prepared: _Prepared,
        quality16: int,
        exponent: int,
        lossless: Mapping[int, LosslessPlanes],
        watch: Stopwatch,
    ) -> _Coded:
        height, width = prepared.source.shape[:2]
        rows, columns = -(-height // STRIDE), -(-width // STRIDE)
        y16 = np.zeros((rows, columns, self.model.weights.settings.latents), np.int32)
        grid = tuple(tile_grid(width, height, exponent))
        tiles, estimate = [], 0.0
        for number, rectangle in enumerate(grid):
            payload, bits, latents = self._encode_tile(prepared.x, rectangle, quality16, prepared.effort, watch)
            tile = Tile(TILE_LATENTS, payload)
            planes = lossless.get(number)
            if planes is not None and len(planes.data) < len(payload):
                tile, bits = _tile_of(planes), 8.0 * len(planes.data)
            else:
                y16[tiling.cells(rectangle)] = latents.y16
            tiles.append(tile)
            estimate += bits
        return _Coded(quality16, exponent, grid, tuple(tiles), y16, estimate)

    def _finish(self, prepared: _Prepared, coded: _Coded, *, check: bool, watch: Stopwatch) -> Encoded:
        with watch.time("synthesis"):
            samples = self._reconstruct(coded.tiles, coded.grid, coded.y16, self._header(prepared, coded))
        with watch.time("container"):
            data = self._pack(prepared, coded, _checksum(samples) if check else None)
        return Encoded(data, prepared.source, samples, coded.quality16 / 16, coded.estimated_bits, watch.seconds)

    def _header(self, prepared: _Prepared, coded: _Coded) -> Header:
        height, width, channels = prepared.source.shape
        depth = 8 * prepared.source.dtype.itemsize
        return Header(KIND_PICTURE, self.model.id, width, height, channels, depth, coded.quality16, coded.exponent)

    def _pack(self, prepared: _Prepared, coded: _Coded, check: int | None) -> bytes:
        picture = prepared.picture
        return write_container(
            Container(
                self._header(prepared, coded), coded.tiles, icc=picture.icc, exif=picture.exif, xmp=picture.xmp,
                alpha=prepared.alpha, check=check,
            )
        )  # fmt: skip

    def encode_to(
        self,
        picture: Picture,
        *,
        size: int | None = None,
        bpp: float | None = None,
        psnr: float | None = None,
        ms_ssim: float | None = None,
        effort: int = DEFAULT_EFFORT,
        check: bool = False,
    ) -> Encoded:
        """Like :meth:`encode`, at the quality that meets one target most closely, never on its wrong side.

        Args:
            picture: the picture.
            size: the largest file, in bytes.
            bpp: the largest file, in bits per pixel.
            psnr: the smallest PSNR over all samples, in dB.
            ms_ssim: the smallest MS-SSIM, up to 1.
            effort: 0 to 9, as :meth:`compress` takes it; spent at every quality that the search tries.
            check: add a checksum of the decoded samples.

        Raises:
            UsageError: not exactly one target, or one that cannot be reached; the message says what can.
            MissingExtraError: MS-SSIM needs the extra ``metrics``.
        """
        from vaecodec.rate_control import one_target, quality_of_samples, search

        measure, target = one_target(picture.width, picture.height, size=size, bpp=bpp, psnr=psnr, ms_ssim=ms_ssim)
        watch = Stopwatch()
        prepared = self._prepare(picture, effort, watch)
        kept: dict[int, _Coded] = {}

        def value_at(quality16: int) -> float:
            coded = self._code(prepared, quality16, watch)
            if measure.of_samples:
                with watch.time("synthesis"):
                    samples = self._reconstruct(coded.tiles, coded.grid, coded.y16, self._header(prepared, coded))
                value = quality_of_samples(measure, prepared.source, samples)
            else:
                # The checksum takes its place whatever it is.
                value = float(len(self._pack(prepared, coded, 0 if check else None)))
            if measure.meets(value, target):
                kept.clear()
                kept[quality16] = coded
            return value

        quality16 = search(measure, target, value_at)
        coded = kept[quality16] if quality16 in kept else self._code(prepared, quality16, watch)
        return self._finish(prepared, coded, check=check, watch=watch)

    def encode_rows(
        self, rows: PictureRows, *, quality: float = DEFAULT_QUALITY, effort: int = DEFAULT_EFFORT, check: bool = False
    ) -> EncodedRows:
        """A picture too large for memory to a file: the same bytes as :meth:`compress` gives of photographs.

        Tiles that look like screen content may be stored without loss, each for itself.

        Args:
            rows: the picture; its blocks are gone through once.
            quality: 0 (smallest) to 100 (best).
            effort: 0 to 9, as :meth:`compress` takes it.
            check: add a checksum of the decoded samples; takes the time of decoding.

        Raises:
            UsageError: the quality or the effort is out of range.
        """
        _check_effort(effort)
        if not 0 <= quality <= 100:
            raise UsageError(f"quality {quality:g} is out of range: it goes from 0 to 100")
        watch = Stopwatch()
        exponent = 0 if rows.height * rows.width <= ONE_TILE_PIXELS else TILE_EXPONENT
        header = Header(
            KIND_PICTURE, self.model.id, rows.width, rows.height, rows.channels, rows.bit_depth,
            quality_in_units(quality), exponent,
        )  # fmt: skip
        window, halo = RowWindow(rows.blocks), self.torch.encoder.halo
        tiles: list[Tile] = []
        estimate = 0.0
        grid = tile_grid(rows.width, rows.height, exponent)
        across = tile_count(rows.width, 1, exponent)
        for start in range(0, len(grid), across):
            top, bottom = grid[start].top, grid[start].top + grid[start].height
            first = max(0, top - halo)
            samples = window.take(first, min(rows.height, bottom + halo))
            with watch.time("analysis"):
                x = _network_input(samples)
            for r in grid[start : start + across]:
                lies = r._replace(top=r.top - first)
                payload, bits, _ = self._encode_tile(x, lies, header.quality16, effort, watch)
                tile = Tile(TILE_LATENTS, payload)
                with watch.time("lossless"):
                    own = samples[tiling.inside(lies, TileRectangle(0, 0, rows.width, len(samples)))]
                    if own.dtype == np.uint8 and looks_like_screen_content(own):
                        planes = encode_lossless(np.ascontiguousarray(own))
                        if len(planes.data) < len(payload):
                            tile, bits = _tile_of(planes), 8.0 * len(planes.data)
                tiles.append(tile)
                estimate += bits
        container = Container(header, tuple(tiles), icc=rows.icc, exif=rows.exif, xmp=rows.xmp)
        if check:
            checksum = 0
            for block in self._decode_rows(container, tiling.whole(header), watch):
                checksum = _checksum(block, checksum)
            container = replace(container, check=checksum)
        with watch.time("container"):
            data = write_container(container, limits=replace(DEFAULT_LIMITS, max_pixels=rows.width * rows.height))
        return EncodedRows(data, header.quality16 / 16, estimate, watch.seconds)

    def decode_rows(self, data: bytes, *, verify: bool = True, limits: Limits = DEFAULT_LIMITS) -> PictureRows:
        """File to a picture that comes in blocks of rows, so that it never lies in memory as a whole.

        Its blocks are decoded as they are taken, and may raise DamagedFileError, the last of them for the checksum.

        Raises:
            UsageError: the picture has transparency, which is not decoded by rows.
            FileFormatError, UnknownModelError, LimitError: as :meth:`decompress`.
        """
        container = self._open(data, limits)
        header = container.header
        if container.alpha is not None:
            raise UsageError("pictures with transparency are not decoded by rows: decompress the whole")

        def blocks() -> Iterator[Samples]:
            checksum = 0
            for block in self._decode_rows(container, tiling.whole(header), Stopwatch()):
                checksum = _checksum(block, checksum)
                yield block
            if verify:
                _verify(container, checksum)

        return PictureRows(
            header.width, header.height, header.channels, header.bit_depth, blocks(),
            icc=container.icc, exif=container.exif, xmp=container.xmp,
        )  # fmt: skip

    def decompress(self, data: bytes, *, verify: bool = True, limits: Limits = DEFAULT_LIMITS) -> Picture:
        """File to picture.

        Args:
            data: the file.
            verify: compare with the checksum of the samples where the file has one.
            limits: what a file may declare.

        Raises:
            FileFormatError: not a file of ours, a newer one, or damaged.
            UnknownModelError: the file was made by another model than this codec's.
            LimitError: the file declares more than the limits allow.
        """
        return self.decode(data, verify=verify, limits=limits).picture

    def decode(self, data: bytes, *, verify: bool = True, limits: Limits = DEFAULT_LIMITS) -> Decoded:
        """Like :meth:`decompress`, with the time that each stage took."""
        watch = Stopwatch()
        with watch.time("container"):
            container = self._open(data, limits)
        samples = self._decode(container, tiling.whole(container.header), watch)
        if verify:
            _verify(container, _checksum(samples))
        return Decoded(_picture_of(container, samples, tiling.whole(container.header)), watch.seconds)

    def decompress_region(
        self, data: bytes, region: tuple[int, int, int, int], *, limits: Limits = DEFAULT_LIMITS
    ) -> Picture:
        """A part of the picture, the same samples as in the whole, from the tiles that it needs.

        Args:
            data: the file.
            region: left, top, width and height in pixels, as the samples are stored, before any EXIF orientation.
            limits: what a file may declare.

        Raises:
            UsageError: the region is empty or does not lie inside the picture.
            FileFormatError, UnknownModelError, LimitError: as :meth:`decompress`.
        """
        container = self._open(data, limits)
        r, header = TileRectangle(*region), container.header
        inside = 0 <= r.left < r.left + r.width <= header.width and 0 <= r.top < r.top + r.height <= header.height
        if not inside:
            raise UsageError(
                f"the region {','.join(map(str, region))} does not lie inside the {header.width} × {header.height} picture"
            )
        return _picture_of(container, self._decode(container, r, Stopwatch()), r)

    def salvage(self, data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Salvaged:
        """What can be had of a file with damaged tiles; those are filled with grey and named.

        Samples next to a damaged tile are synthesised without its latents, and differ a little from the original's.

        Raises:
            FileFormatError: not a file of ours, or damaged outside of its tiles.
            UnknownModelError, LimitError: as :meth:`decompress`.
        """
        container = self._open(data, limits, keep_damaged=True)
        damaged: set[int] = set()
        samples = self._decode(container, tiling.whole(container.header), Stopwatch(), damaged)
        if not damaged:
            _verify(container, _checksum(samples))
        grid = tile_grid(container.header.width, container.header.height, container.header.tile_exponent)
        picture = _picture_of(container, samples, tiling.whole(container.header))
        return Salvaged(picture, {number: grid[number] for number in sorted(damaged)}, len(grid))

    def latents_digest(self, data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> str:
        """SHA-256 over the decoded integers, hexadecimal; two readers agree when it agrees (docs/format.md)."""
        container = self._open(data, limits)
        header = container.header
        digest = LatentDigest()
        grid = tile_grid(header.width, header.height, header.tile_exponent)
        for tile, rectangle in zip(container.tiles, grid, strict=True):
            if tile.mode == TILE_LATENTS:
                latents = self._decode_tile(tile, rectangle, header.quality16, Stopwatch())
                digest.update_tile(latents.z, latents.y16.transpose(2, 0, 1))
        return digest.hexdigest()

    def _open(self, data: bytes, limits: Limits, *, keep_damaged: bool = False) -> Container:
        container = read_container(data, limits=limits, keep_damaged=keep_damaged)
        header = container.header
        if header.kind != KIND_PICTURE:
            raise FileFormatError("this file holds an array, not a picture; this version reads pictures only")
        if header.model_id != self.model.id:
            raise UnknownModelError(
                f"the file was made by model {header.model_id.hex()}, this codec has {self.model.id_hex} "
                f"({self.model.name}): use find_codec_for(data)"
            )
        return container

    def _encode_tile(
        self, x: Samples, r: TileRectangle, quality16: int, effort: int, watch: Stopwatch
    ) -> tuple[bytes, float, TileLatents]:
        rows, columns = tiling.cells(r)
        with watch.time("analysis"):
            analysed = self.torch.analyse(x, (rows.start, rows.stop), (columns.start, columns.stop), quality16, effort)
        coder = SymbolEncoder(self._symbol_models)
        groups: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = []

        with watch.time("prior"):
            latents = self.torch.encode_tile(analysed, quality16, lambda s, i: groups.append((s, i)))
        with watch.time("coding"):
            for symbols, indices in groups:
                coder.push(symbols, indices)
            payload = coder.finish()
        bits = sum(self.tables.bits(symbols, indices) for symbols, indices in groups)
        return payload, bits, latents

    def _decode_tile(self, tile: Tile, r: TileRectangle, quality16: int, watch: Stopwatch) -> TileLatents:
        rows, columns = tiling.cells(r)
        decoder = SymbolDecoder(self._symbol_models, tile.payload)
        coding_before = watch.seconds.get("coding", 0.0)

        def pop(indices: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
            with watch.time("coding"):
                return decoder.pop(indices)

        with watch.time("prior"):
            latents = self.backend.decode_tile(quality16, rows.stop - rows.start, columns.stop - columns.start, pop)
        # The coder runs inside the prior's steps: its time is its own.
        watch.seconds["prior"] -= watch.seconds["coding"] - coding_before
        decoder.close()
        return latents

    def _decode(
        self, container: Container, region: TileRectangle, watch: Stopwatch, damaged: set[int] | None = None
    ) -> Samples:
        """Tiles -> uint8 or uint16 [h, w, C] of a region; arguments as for :meth:`_decode_rows`."""
        header = container.header
        samples = np.empty((region.height, region.width, header.channels), _dtype(header))
        top = 0
        for rows in self._decode_rows(container, region, watch, damaged):
            samples[top : top + len(rows)] = rows
            top += len(rows)
        return samples

    def _decode_rows(
        self, container: Container, region: TileRectangle, watch: Stopwatch, damaged: set[int] | None = None
    ) -> Iterator[Samples]:
        """Tiles -> the rows of a region, uint8 or uint16 [n, w, C], from the top, one row of tiles after the other.

        No more latents are kept than those of a row of tiles and of what its halo touches.

        Args:
            container: the file.
            region: in pixels.
            watch: takes the time of each stage.
            damaged: takes the numbers of tiles that cannot be decoded, which are grey then; None lets their errors out.
        """
        header = container.header
        exponent = header.tile_exponent
        grid = tile_grid(header.width, header.height, exponent)
        across = tile_count(header.width, 1, exponent)
        tiles = list(container.tiles)
        columns = self._window(region, header.height, header.width)[1]
        known: dict[int, npt.NDArray[np.int16]] = {}
        for start in range(0, len(grid), across):
            row = grid[start : start + across]
            part = tiling.intersection(region, TileRectangle(0, row[0].top, header.width, row[0].height))
            if part is None:
                continue
            needed = self._window(part, header.height, header.width)[0]
            first = needed.start * STRIDE >> exponent if exponent else 0
            last = (needed.stop * STRIDE - 1) >> exponent if exponent else 0
            known = {number: latents for number, latents in known.items() if number >= first}
            for number in range(first, min(last, (len(grid) - 1) // across) + 1):
                if number not in known:
                    at = range(number * across, (number + 1) * across)
                    known[number] = self._decode_tile_row(tiles, grid, at, columns, header, watch, damaged)
            with watch.time("synthesis"):
                pieces = []
                for number in sorted(known):
                    lies = tiling.cells(grid[number * across])[0]
                    there = tiling.moved(tiling.overlap(lies, needed), lies)
                    pieces.append(known[number][there])
                y16 = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
                samples = self._reconstruct(tiles[start : start + across], row, y16, header, part)
            yield samples

    def _decode_tile_row(
        self,
        tiles: list[Tile],
        grid: Sequence[TileRectangle],
        at: range,
        columns: slice,
        header: Header,
        watch: Stopwatch,
        damaged: set[int] | None,
    ) -> npt.NDArray[np.int16]:
        """The latents of a row of tiles in some columns, int16 [rows, columns, M], clamped as the synthesis clamps them."""
        rows = tiling.cells(grid[at[0]])[0]
        shape = (rows.stop - rows.start, columns.stop - columns.start, self.model.weights.settings.latents)
        y16 = np.zeros(shape, np.int16)
        for number in at:
            r = grid[number]
            lies = tiling.cells(r)[1]
            wanted = tiling.overlap(lies, columns)
            if wanted.start >= wanted.stop:
                continue
            try:
                if tiles[number].damaged:
                    raise DamagedFileError(f"tile {number} has a wrong checksum")
                if tiles[number].mode == TILE_LATENTS:
                    latents = self._decode_tile(tiles[number], r, header.quality16, watch).y16
                    y16[:, tiling.moved(wanted, columns)] = np.clip(
                        latents[:, tiling.moved(wanted, lies)], -LATENT_CLAMP, LATENT_CLAMP
                    )
                elif damaged is not None:
                    _lossless_tile(tiles[number], r, header.channels)
            except DamagedFileError:
                if damaged is None:
                    raise
                damaged.add(number)
                tiles[number] = Tile(_TILE_GREY, b"")
        return y16

    def _window(self, region: TileRectangle, height: int, width: int) -> tuple[slice, slice]:
        """The latent cells that the samples of a region depend on: rows, columns."""
        rows, columns = tiling.cells(region)
        halo = self.backend.halo
        return (
            slice(max(0, rows.start - halo), min(-(-height // STRIDE), rows.stop + halo)),
            slice(max(0, columns.start - halo), min(-(-width // STRIDE), columns.stop + halo)),
        )

    def _reconstruct(
        self,
        tiles: Sequence[Tile],
        grid: Sequence[TileRectangle],
        y16: npt.NDArray[np.signedinteger],
        header: Header,
        region: TileRectangle | None = None,
    ) -> Samples:
        """Latents of a region's window and its tiles -> samples [h, w, C] of the region, by default the picture."""
        coded = [r for tile, r in zip(tiles, grid, strict=True) if tile.mode == TILE_LATENTS]
        region = region or tiling.whole(header)
        samples = self._synthesise(y16, coded, header, region)
        for tile, r in zip(tiles, grid, strict=True):
            part = tiling.intersection(r, region)
            if tile.mode != TILE_LATENTS and part is not None:
                here = tiling.inside(part, region)
                if tile.mode == _TILE_GREY:
                    samples[here] = _GREY * (DEEP_SCALE if samples.dtype == np.uint16 else 1)
                else:
                    samples[here] = _lossless_tile(tile, r, header.channels)[tiling.inside(part, r)]
        return samples

    def _synthesise(
        self,
        y16: npt.NDArray[np.signedinteger[Any]],
        grid: Sequence[TileRectangle],
        header: Header,
        region: TileRectangle,
    ) -> Samples:
        """Latents of a region's window -> samples of those tiles, the others 0."""
        samples = np.zeros((region.height, region.width, header.channels), _dtype(header))
        synthesise = self.backend.synthesise if header.bit_depth == 8 else self.backend.synthesise_deep
        window = self._window(region, header.height, header.width)
        for r in grid:
            part = tiling.intersection(r, region)
            if part is None:
                continue
            needed = self._window(part, header.height, header.width)
            rows, columns = tiling.moved(needed[0], window[0]), tiling.moved(needed[1], window[1])
            piece = synthesise(y16[rows, columns].astype(np.int32), header.quality16)
            top, left = part.top - needed[0].start * STRIDE, part.left - needed[1].start * STRIDE
            rgb = piece[top : top + part.height, left : left + part.width]
            if header.channels == 1:
                rgb = (rgb.sum(axis=2, dtype=np.int32, keepdims=True) + 1) // 3
            samples[tiling.inside(part, region)] = rgb
        return samples


def _dtype(header: Header) -> np.dtype[Any]:
    return np.dtype(np.uint8 if header.bit_depth == 8 else np.uint16)


def _checksum(samples: Samples, before: int = 0) -> int:
    """CRC-32 of samples, those of 16 bits with the lower byte first; ``before``: that of the rows above."""
    return zlib.crc32(np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder("<")).data, before)


def _check_effort(effort: int) -> None:
    if effort not in range(MAX_EFFORT + 1):
        raise UsageError(f"effort {effort} is out of range: it goes from 0 to {MAX_EFFORT}, in whole numbers")


def _verify(container: Container, checksum: int) -> None:
    if container.check is not None and checksum != container.check:
        raise DamagedFileError("the decoded samples do not match the file's checksum: the file is damaged")


def _picture_of(container: Container, samples: Samples, region: TileRectangle) -> Picture:
    alpha = _unpacked_alpha(container)
    if alpha is not None:
        alpha = alpha[tiling.inside(region, tiling.whole(container.header))]
    return Picture(samples, icc=container.icc, exif=container.exif, xmp=container.xmp, alpha=alpha)


_ALPHA_KINDS: Mapping[int, Literal["PNG", "WEBP"]] = {ALPHA_PNG: "PNG", ALPHA_WEBP: "WEBP"}
_ALPHA_MODES = {kind: mode for mode, kind in _ALPHA_KINDS.items()}
_TILE_KINDS: Mapping[int, Literal["PNG", "WEBP"]] = {TILE_PNG: "PNG", TILE_WEBP: "WEBP"}
_TILE_MODES = {kind: mode for mode, kind in _TILE_KINDS.items()}


def _packed_alpha(alpha: Samples) -> tuple[int, bytes]:
    """uint8 [H, W] -> mode and bytes of the ALPHA section."""
    if (alpha == alpha[0, 0]).all():
        return ALPHA_CONSTANT, bytes((int(alpha[0, 0]),))
    planes = encode_lossless(alpha[:, :, np.newaxis])
    return _ALPHA_MODES[planes.kind], planes.data


def _unpacked_alpha(container: Container) -> Samples | None:
    """The ALPHA section -> uint8 [H, W]."""
    if container.alpha is None:
        return None
    mode, data = container.alpha
    width, height = container.header.width, container.header.height
    if mode == ALPHA_CONSTANT:
        return np.full((height, width), data[0], np.uint8)
    return decode_lossless(LosslessPlanes(_ALPHA_KINDS[mode], data), width, height, 1, "the alpha plane")[:, :, 0]


def _tile_of(planes: LosslessPlanes) -> Tile:
    return Tile(_TILE_MODES[planes.kind], planes.data)


def _lossless_planes(source: Samples) -> tuple[LosslessPlanes | None, dict[int, LosslessPlanes]]:
    """The whole and its small tiles without loss, if they look like screen content; 16 bits never."""
    if source.dtype != np.uint8:
        return None, {}
    height, width = source.shape[:2]
    grid = tile_grid(width, height, SCREEN_TILE_EXPONENT)
    parts = [source[r.top : r.top + r.height, r.left : r.left + r.width] for r in grid]
    screen = [number for number, part in enumerate(parts) if looks_like_screen_content(part)]
    tiles = {number: encode_lossless(parts[number]) for number in screen}
    # With few such tiles the whole is not small without loss; and no tile may be larger than readers take.
    worth_it = 4 * len(screen) >= len(grid) and height * width <= DEFAULT_LIMITS.max_tile_pixels
    return encode_lossless(source) if worth_it else None, tiles


def _lossless_tile(tile: Tile, r: TileRectangle, channels: int) -> Samples:
    planes = LosslessPlanes(_TILE_KINDS[tile.mode], tile.payload)
    return decode_lossless(planes, r.width, r.height, channels, f"the lossless tile at ({r.left}, {r.top})")


def installed_weights() -> list[Path]:
    """The weights files inside the package."""
    return sorted(WEIGHTS_FOLDER.glob("*.safetensors"))


def find_weights(model: str | Path) -> Path:
    """Name or path of a model to the path of its weights file."""
    for path in installed_weights():
        if path.stem == str(model):
            return path
    path = Path(model)
    if path.suffix == ".safetensors" or path.is_file():
        return path
    names = ", ".join(p.stem for p in installed_weights()) or "none"
    raise UnknownModelError(
        f"no model is called {str(model)!r}: installed are {names}; a path of a weights file works too"
    )


_codecs: dict[tuple[str, float, str, str], Codec] = {}
_codecs_lock = threading.Lock()


def _shared_codec(path: Path, device: str, backend: str = "auto") -> Codec:
    """One codec for each weights file, device and backend in this process."""
    key = (str(path.resolve()), path.stat().st_mtime if path.exists() else 0.0, device, backend)
    with _codecs_lock:
        if key not in _codecs:
            _codecs[key] = Codec(path, device=device, backend=backend)
        return _codecs[key]


def shared_codec(model: str | Path = DEFAULT_MODEL, device: str = "auto") -> Codec:
    """The codec of this process for a model, loaded when it is first asked for."""
    return _shared_codec(find_weights(model), device)


def find_codec_for(
    data: bytes,
    *,
    models: Sequence[str | Path] = (),
    device: str = "auto",
    backend: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
) -> Codec:
    """The codec that a file needs, by the model id in its header.

    Args:
        data: the file; its first bytes are enough.
        models: weights files or names to look in before the installed ones.
        device: ``auto``, ``cpu`` or ``cuda``.
        backend: ``auto`` (torch where it is installed), ``torch`` or ``onnx``.
        limits: what a file may declare.

    Raises:
        LimitError: the file declares more than the limits allow.
        UnknownModelError: no weights here have this id.
        MissingExtraError: the packages of the backend are not installed.
    """
    wanted = read_header(data, limits=limits).model_id.hex()
    for path in [*map(find_weights, models), *installed_weights()]:
        if named_id(path) == wanted:
            return _shared_codec(path, device, backend)
    raise UnknownModelError(
        f"no weights here have the model id {wanted} that this file was made with: "
        "update vaecodec, or name the weights file with --model"
    )


def compress(
    picture: PictureSource | Picture,
    quality: float = DEFAULT_QUALITY,
    *,
    model: str | Path = DEFAULT_MODEL,
    device: str = "auto",
    effort: int = DEFAULT_EFFORT,
    check: bool = False,
    strip: bool = False,
) -> bytes:
    """Picture to file, with the codec of this process for ``model``; see :meth:`Codec.compress`."""
    codec = _shared_codec(find_weights(model), device)
    return codec.compress(picture, quality=quality, effort=effort, check=check, strip=strip)


def decompress(
    data: bytes, *, models: Sequence[str | Path] = (), device: str = "auto", backend: str = "auto"
) -> Picture:
    """File to picture, by whatever model made it; see :meth:`Codec.decompress` and :func:`find_codec_for`."""
    return find_codec_for(data, models=models, device=device, backend=backend).decompress(data)


def info(
    data: bytes,
    *,
    latents: bool = False,
    models: Sequence[str | Path] = (),
    device: str = "auto",
    backend: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, Any]:
    """What a file says about itself, ready for JSON; nothing is decoded unless ``latents`` asks for the digest."""
    container = read_container(data, limits=limits)
    header = container.header
    names = {named_id(path): path.stem for path in [*map(find_weights, models), *installed_weights()]}
    facts: dict[str, Any] = {
        "format_version": VERSION,
        "kind": ("picture", "lossless array", "lossy array")[header.kind],
        "model_id": header.model_id.hex(),
        "model": names.get(header.model_id.hex()),
        "bytes": len(data),
    }
    if header.kind == KIND_PICTURE:
        facts |= {
            "width": header.width,
            "height": header.height,
            "channels": header.channels,
            "bit_depth": header.bit_depth,
            "quality": header.quality16 / 16,
            "bpp": 8 * len(data) / (header.width * header.height),
            "tiles": len(container.tiles),
            "tile_bytes": sum(len(tile.payload) for tile in container.tiles),
        }
        facts["alpha_bytes"] = None if container.alpha is None else len(container.alpha[1])
    for name in ("icc", "exif", "xmp"):
        metadata = getattr(container, name)
        facts[f"{name}_bytes"] = None if metadata is None else len(metadata)
    facts["check"] = None if container.check is None else f"{container.check:08x}"
    if latents:
        codec = find_codec_for(data, models=models, device=device, backend=backend, limits=limits)
        facts["latents_sha256"] = codec.latents_digest(data, limits=limits)
    return facts


def export_onnx(model: str | Path, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Writes the decoding half of a model as ONNX graphs and tables; docs/onnx.md says what is in the files.

    Args:
        model: name of installed weights, or path of a weights file.
        folder: it is made if need be.
        overwrite: whether files of these names may be replaced.

    Returns:
        The files.

    Raises:
        MissingExtraError: the package onnx is not installed.
        WeightsError: no such weights, or damaged ones.
        OutputExistsError: a file is there already.
    """
    if find_spec("onnx") is None:
        raise MissingExtraError("ONNX graphs need the package onnx: pip install 'vaecodec[onnx]'")
    from vaecodec.models.onnx_export import exported_files

    contents = exported_files(load_weights(find_weights(model)))
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file: name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    paths = {folder / name: data for name, data in contents.items()}
    for path in paths:
        check_output(path, overwrite=overwrite)
    for path, data in paths.items():
        write_atomically(path, data, overwrite=overwrite)
    return list(paths)


def count_macs(weights: Weights) -> dict[str, float]:
    """Thousands of MAC per pixel of the networks, and of decoding as float32 executes it: layers in two digits count twice there."""
    executed = macs_per_pixel(weights.settings, weights.data.layers)
    return macs_per_pixel(weights.settings) | {"decode_as_executed": executed["synthesis"] + executed["prior"]}


def models() -> list[ModelCard]:
    """The installed models."""
    cards = []
    for path in installed_weights():
        weights = load_weights(path)
        cards.append(
            ModelCard(
                path.stem, weights.model_id().hex(), path, weights.settings.to_dict(), count_macs(weights),
                path.stat().st_size, weights.card,
            )
        )  # fmt: skip
    return cards
