"""The codec: one model, and all that can be done with it."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaecodec.backends.backend import Backend
from vaecodec.bitstream.container import (
    DEFAULT_LIMITS,
    KIND_PICTURE,
    WITHOUT_MODEL,
    Container,
    Limits,
    read_container,
)
from vaecodec.bitstream.tables import FrozenTables
from vaecodec.codec.decoder import Decoded, Decoder, Salvaged, checksum_of
from vaecodec.codec.encoded import Encoded, EncodedFile
from vaecodec.codec.encoder import Encoder
from vaecodec.codec.model import LoadedModel
from vaecodec.codec.options import DEFAULT_ACCESS, DEFAULT_MODEL, DEFAULT_OPTIONS, EncodeOptions, changed, check_limits
from vaecodec.codec.rate_control import one_target
from vaecodec.codec.rectangle import Rectangle
from vaecodec.codec.sections import metadata_of
from vaecodec.errors import FileFormatError, RegionError, UnknownModelError, UsageError
from vaecodec.installed import find_weights
from vaecodec.picture import Picture, PictureRows
from vaecodec.picture.picture import Samples
from vaecodec.sources import FileSource, bytes_of
from vaecodec.stopwatch import Stopwatch

if TYPE_CHECKING:
    from vaecodec.backends.torch_backend import TorchBackend
    from vaecodec.exact.arithmetic import Arithmetic
    from vaecodec.picture import PictureSource


class Codec:
    """One model, loaded once; may be used from many threads at the same time.

    Where a file is asked for, a container that :meth:`open` or ``read_container`` gave does as well, and is not read again.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        *,
        device: str = "auto",
        backend: str = "auto",
        threads: int | None = None,
        arithmetic: Arithmetic | None = None,
    ) -> None:
        """Loads a model and checks that this machine computes it exactly.

        Args:
            model: name of installed weights, or path of a weights file.
            device: ``auto``, ``cpu`` or ``cuda``.
            backend: ``auto`` (native, or torch where the device is ``cuda``), ``native`` or ``torch``.
            threads: to compute with; None leaves the number to the backend.
            arithmetic: what carries the integers of the decoder in torch; None picks the fastest that passes the self-test.

        Raises:
            WeightsError: no such weights, damaged ones, or none that can be computed exactly here.
            MissingExtraError: the packages of the backend are not installed.
        """
        access = DEFAULT_ACCESS.changed(device=device, backend=backend, threads=threads)
        self._given = (model, device, backend, threads, arithmetic)
        self.model = LoadedModel(find_weights(model), access, arithmetic)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled and copied by what it was made of: another process loads the model itself."""
        return _codec, self._given

    @property
    def tables(self) -> FrozenTables:
        """The coder's tables."""
        return self.model.tables

    @property
    def backend(self) -> Backend:
        """What computes the decoding half."""
        return self.model.backend

    @property
    def torch(self) -> TorchBackend:
        """The model in torch, encoder included.

        Raises:
            MissingExtraError: torch is not installed.
        """
        return self.model.torch

    # --- to files ----------------------------------------------------------------------------------------------------

    def compress(
        self, picture: PictureSource | Picture, options: EncodeOptions = DEFAULT_OPTIONS, **given: Any
    ) -> bytes:
        """Compresses a picture.

        Args:
            picture: path, bytes or binary file of a picture, Pillow image, or uint8 or uint16 array (H, W[, 1 to 4]).
            options: what is asked of the file.
            given: some of them by name: ``quality``, or a target (``size``, ``bpp``, ``ssimulacra2``, ``psnr``, ``ms_ssim``), ``lossless``, ``effort``,
                ``check``, ``strip``; see :class:`~vaecodec.codec.options.EncodeOptions`.

        Raises:
            PictureError: the picture cannot be read or is of an unsupported kind.
            UsageError: an option is out of range, or a target cannot be reached; the message says what can.
            MissingExtraError: MS-SSIM needs the extra ``metrics``.
        """
        options = changed(options, given)
        return self.encode(read_source(picture, options), options).data

    def encode(
        self, picture: PictureSource | Picture, options: EncodeOptions = DEFAULT_OPTIONS, **given: Any
    ) -> Encoded:
        """Like :meth:`compress`, with what a decoder will see and what it took; a `Picture` is taken as it is."""
        options = changed(options, given)
        read = picture if isinstance(picture, Picture) else read_source(picture, options)
        return Encoder(self.model, options).encode(read)

    def encode_to(
        self, picture: PictureSource | Picture, options: EncodeOptions = DEFAULT_OPTIONS, **given: Any
    ) -> Encoded:
        """Like :meth:`encode`, at the quality that meets one target most closely, never on its wrong side.

        Args:
            picture: the picture.
            options: what is asked of the file.
            given: the target: ``size`` in bytes, ``bpp`` in bits per pixel, ``psnr`` in dB over all samples, or ``ms_ssim`` up to 1;
                and others by name, as :meth:`compress` takes them. ``effort`` is spent at every quality that the search tries.

        Raises:
            UsageError: not exactly one target, or one that cannot be reached; the message says what can.
            MissingExtraError: MS-SSIM needs the extra ``metrics``.
        """
        options = changed(options, given)
        if not options.target:
            one_target({}, 0, 0)
        return self.encode(picture, options)

    def encode_rows(self, rows: PictureRows, options: EncodeOptions = DEFAULT_OPTIONS, **given: Any) -> EncodedFile:
        """Compresses a picture too large for memory: the same bytes as :meth:`compress` gives of photographs.

        Tiles that look like screen content may be stored without loss, each for itself. A checksum takes the time of decoding.

        Args:
            rows: the picture; its blocks are gone through once.
            options: what is asked of the file, but for a target.
            given: some of them by name, as :meth:`compress` takes them.

        Raises:
            UsageError: an option is out of range.
        """
        return Encoder(self.model, changed(options, given)).encode_rows(rows)

    # --- from files --------------------------------------------------------------------------------------------------

    def open(self, data: FileSource, *, limits: Limits = DEFAULT_LIMITS, keep_damaged: bool = False) -> Container:
        """Reads a file without decoding it, and checks that it is one of this model's.

        Args:
            data: the file: bytes, a path or a binary file.
            limits: what it may declare.
            keep_damaged: for :meth:`salvage`: take damaged tiles, marked.

        Raises:
            FileFormatError, UnknownModelError, LimitError: as :meth:`decompress`.
        """
        return self._checked(read_container(bytes_of(data), limits=limits, keep_damaged=keep_damaged))

    def _checked(self, container: Container) -> Container:
        header = container.header
        if header.kind != KIND_PICTURE:
            raise FileFormatError(
                "this file holds an array, not a picture: use vaecodec.arrays.find_array_codec_for(data)"
            )
        if header.model_id not in (self.model.id, WITHOUT_MODEL):
            raise UnknownModelError(
                f"the file was made by model {header.model_id.hex()}, this codec has {self.model.id_hex} "
                f"({self.model.name}): use find_codec_for(data)"
            )
        return container

    def decompress(
        self, data: FileSource | Container, *, verify: bool = True, limits: Limits = DEFAULT_LIMITS
    ) -> Picture:
        """Decompresses a file.

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

    def decode(self, data: FileSource | Container, *, verify: bool = True, limits: Limits = DEFAULT_LIMITS) -> Decoded:
        """Like :meth:`decompress`, with the time that each stage took."""
        watch = Stopwatch()
        with watch.time("container"):
            decoder = Decoder(self.model, self._opened(data, limits), watch)
        samples = decoder.samples()
        if verify:
            decoder.verify(checksum_of(samples))
        return Decoded(decoder.picture(samples), watch.seconds)

    def decode_rows(
        self, data: FileSource | Container, *, verify: bool = True, limits: Limits = DEFAULT_LIMITS
    ) -> PictureRows:
        """Decompresses a file into blocks of rows, so that the picture never lies in memory as a whole.

        Its blocks are decoded as they are taken, and may raise DamagedFileError, the last of them for the checksum.

        Raises:
            UsageError: the picture has transparency, which is not decoded by rows.
            FileFormatError, UnknownModelError, LimitError: as :meth:`decompress`.
        """
        container = self._opened(data, limits)
        header = container.header
        if container.alpha is not None:
            raise UsageError("pictures with transparency are not decoded by rows: decompress the whole")

        def blocks() -> Iterator[Samples]:
            decoder, checksum = Decoder(self.model, container), 0
            for block in decoder.rows():
                checksum = checksum_of(block, checksum)
                yield block
            if verify:
                decoder.verify(checksum)

        found = metadata_of(container)
        return PictureRows(
            header.width, header.height, header.channels, header.bit_depth, blocks(), found.icc, found.exif, found.xmp,
            found.density, found.extended_xmp,
        )  # fmt: skip

    def decompress_region(
        self, data: FileSource | Container, region: tuple[int, int, int, int], *, limits: Limits = DEFAULT_LIMITS
    ) -> Picture:
        """Decodes a part of the picture from only the tiles that it needs; the samples are those of the whole.

        Args:
            data: the file.
            region: left, top, width and height in pixels, as the samples are stored, before any EXIF orientation.
            limits: what a file may declare.

        Raises:
            RegionError: the region is empty or does not lie inside the picture.
            FileFormatError, UnknownModelError, LimitError: as :meth:`decompress`.
        """
        # Of a damaged file what is asked for may be sound.
        decoder = Decoder(self.model, self._opened(data, limits, keep_damaged=True))
        r, frame = _rectangle(region), decoder.grid.frame
        if r.meets(frame) != r:
            raise RegionError(
                f"the region {','.join(map(str, r))} does not lie inside the {frame.width} × {frame.height} picture"
            )
        return decoder.picture(decoder.samples(r), r)

    def salvage(self, data: FileSource | Container, *, limits: Limits = DEFAULT_LIMITS) -> Salvaged:
        """Decodes what it can of a file with damaged tiles; those are filled with grey and named.

        Samples next to a damaged tile are synthesised without its latents, and differ a little from the original's.

        Raises:
            FileFormatError: not a file of ours, or damaged outside of its tiles.
            UnknownModelError, LimitError: as :meth:`decompress`.
        """
        decoder = Decoder(self.model, self._opened(data, limits, keep_damaged=True), keep_going=True)
        samples = decoder.samples()
        if not decoder.damaged:
            decoder.verify(checksum_of(samples))
        tiles = decoder.grid.tiles
        return Salvaged(
            decoder.picture(samples), {number: tiles[number] for number in sorted(decoder.damaged)}, len(tiles)
        )

    def latents_digest(self, data: FileSource | Container, *, limits: Limits = DEFAULT_LIMITS) -> str:
        """SHA-256 over the decoded integers, hexadecimal; two readers agree when it agrees (docs/format.md)."""
        return Decoder(self.model, self._opened(data, limits)).digest()

    def _opened(self, data: FileSource | Container, limits: Limits, *, keep_damaged: bool = False) -> Container:
        check_limits(limits)
        if isinstance(data, Container):
            return self._checked(data)
        return self.open(data, limits=limits, keep_damaged=keep_damaged)


def _rectangle(region: Any) -> Rectangle:
    """Raises UsageError for what is not four whole numbers."""
    try:
        left, top, width, height = map(operator.index, region)
    except (TypeError, ValueError):
        raise UsageError(f"the region {region!r} is not left, top, width and height in whole pixels") from None
    return Rectangle(left, top, width, height)


def _codec(model: str | Path, device: str, backend: str, threads: int | None, arithmetic: Arithmetic | None) -> Codec:
    return Codec(model, device=device, backend=backend, threads=threads, arithmetic=arithmetic)


def read_source(source: PictureSource | Picture, options: EncodeOptions) -> Picture:
    """Reads a picture as the options ask: how large, which frame, how many bits, with or without metadata; a `Picture` is not reduced.

    Raises:
        PictureError, LimitError: as :func:`vaecodec.read_picture`.
    """
    # Not for those who only decode.
    from vaecodec.picture import DEFAULT_MAX_PIXELS, read_picture, strip_metadata

    if not isinstance(source, Picture):
        most = DEFAULT_MAX_PIXELS if options.limit is None else options.limit
        source = read_picture(
            source, max_pixels=most, first_frame=options.first_frame, reduce_to_8_bit=options.to_8_bit
        )  # fmt: skip
    return strip_metadata(source) if options.strip else source
