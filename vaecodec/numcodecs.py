"""A numcodecs codec: chunks of pictures in zarr stores and wherever else numcodecs are used.

    >>> import numpy as np, numcodecs
    >>> codec = numcodecs.get_codec({"id": "vaecodec", "ssimulacra2": 80})
    >>> pictures = np.tile(np.arange(64, dtype=np.uint8)[:, None, None], (4, 1, 48, 3))
    >>> codec.decode(codec.encode(pictures)).shape
    (4, 64, 48, 3)

The codec is found through its entry point where the package is installed; importing this module registers it too.

A chunk (H, W) or (H, W, 3) becomes a ``.vaec`` file as it is; a chunk (N, H, W, 3) becomes N of them behind a table::

    56 41 45 4e | N (4 bytes, little-endian) | N lengths (4 bytes each, little-endian) | the files
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numcodecs.abc import Codec
from numcodecs.compat import ensure_bytes, ndarray_copy
from numcodecs.registry import register_codec

from vaecodec.bitstream.container import is_vaecodec_file
from vaecodec.codec.options import DEFAULT_MODEL, EncodeOptions
from vaecodec.codec.rate_control import MEASURES
from vaecodec.errors import DamagedFileError, UsageError

_STACK_MAGIC = b"VAEN"

Chunk = npt.NDArray[np.uint8]


class Vaecodec(Codec):
    """uint8 chunks (H, W), (H, W, 3) or (N, H, W, 3) to bytes, with loss."""

    codec_id = "vaecodec"

    def __init__(
        self,
        quality: float | None = None,
        psnr: float | None = None,
        model: str = DEFAULT_MODEL,
        effort: int | None = None,
        **target: float | None,
    ) -> None:
        """Sets what every picture is compressed to.

        Args:
            quality: 0 (smallest) to 100 (best); by default vaecodec's own default.
            psnr: in place of a quality: every picture gets the smallest file of at least so many dB.
            model: name of installed weights, or path of a weights file.
            effort: 0 (fast) to 9: what to spend on a smaller file; by default vaecodec's own.
            target: in place of a quality or a PSNR another of the targets: ``ssimulacra2``, ``ms_ssim``, ``size`` or ``bpp``.

        Raises:
            UsageError: both a quality and a target, a target that there is not, or a quality out of range.
        """
        check_target_names(target)
        self._options = EncodeOptions().changed(quality=quality, psnr=psnr, effort=effort, **target)
        self.quality, self.psnr, self.model, self.effort = quality, psnr, model, effort
        # What numcodecs stores is every attribute without a leading underscore.
        self.__dict__.update({name: value for name, value in target.items() if value is not None})

    def encode(self, buf: Any) -> bytes:
        """Compresses a chunk.

        Args:
            buf: uint8 [H, W], [H, W, 3] or [N, H, W, 3], C order.

        Raises:
            UsageError: another dtype, shape or order, or a target that cannot be reached.
        """
        chunk = np.asarray(buf)
        check_chunk(chunk.shape, chunk.dtype)
        if chunk.flags.f_contiguous and not chunk.flags.c_contiguous:
            # What decodes would be taken for columns first.
            raise UsageError("the chunk is not in C order: create the array with order='C'")
        if chunk.ndim < 4:
            return self._compress(chunk)
        files = [self._compress(picture) for picture in chunk]
        lengths = [len(files), *map(len, files)]
        return b"".join([_STACK_MAGIC, struct.pack(f"<{len(lengths)}I", *lengths), *files])

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Restores a chunk in the shape that it was given in.

        Raises:
            FileFormatError: the bytes are not those of a chunk, or damaged.
            UnknownModelError: no weights here have the id that the chunk was made with.
        """
        data = ensure_bytes(buf)
        if is_vaecodec_file(data[:5]):
            chunk = self._decompress(data)
            chunk = chunk[:, :, 0] if chunk.shape[2] == 1 else chunk
        else:
            chunk = np.stack([self._decompress(file) for file in _files_of(data)])
        return chunk if out is None else ndarray_copy(chunk, out)

    def _compress(self, picture: Chunk) -> bytes:
        from vaecodec.api import shared_codec
        from vaecodec.picture import Picture

        samples = Picture(picture if picture.ndim == 3 else picture[:, :, np.newaxis])
        return shared_codec(self.model).encode(samples, self._options).data

    def _decompress(self, data: bytes) -> Chunk:
        from vaecodec.api import decompress

        return decompress(data, models=[self.model]).samples


def check_target_names(target: Mapping[str, object]) -> None:
    """Refuses what is no target.

    Raises:
        UsageError: names it.
    """
    if unknown := target.keys() - MEASURES.keys():
        raise UsageError(f"{', '.join(sorted(unknown))}: unknown: the targets are {', '.join(MEASURES)}")


def check_chunk(shape: Sequence[int], dtype: npt.DTypeLike) -> None:
    """Refuses what is not pictures.

    Raises:
        UsageError: not uint8, or a shape other than (H, W), (H, W, 3) and (N, H, W, 3), or an empty one.
    """
    if np.dtype(dtype) != np.uint8:
        raise UsageError(f"chunks of {np.dtype(dtype)}: vaecodec takes uint8 only")
    if not (len(shape) == 2 or (len(shape) in (3, 4) and shape[-1] == 3)) or 0 in shape:
        raise UsageError(f"chunks of the shape {tuple(shape)}: vaecodec takes (H, W), (H, W, 3) and (N, H, W, 3)")


def _files_of(data: bytes) -> list[bytes]:
    if data[:4] != _STACK_MAGIC:
        raise DamagedFileError("the chunk is not one of vaecodec's, or damaged")
    if len(data) < 8 or len(data) < 8 + 4 * (count := int.from_bytes(data[4:8], "little")) or count == 0:
        raise DamagedFileError("the chunk ends inside its table: it is damaged")
    ends = 8 + 4 * count + np.cumsum(np.frombuffer(data, "<u4", count, 8), dtype=np.int64)
    if ends[-1] != len(data):
        raise DamagedFileError(f"the chunk has {len(data)} bytes where its table says {ends[-1]}: it is damaged")
    return [data[start:end] for start, end in zip([8 + 4 * count, *ends[:-1]], ends, strict=True)]


register_codec(Vaecodec)
