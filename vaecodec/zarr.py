"""An array-to-bytes codec for zarr 3: every chunk is a picture, or a stack of them.

    >>> import numpy as np, zarr, vaecodec.zarr
    >>> codec = vaecodec.zarr.Vaecodec(psnr=40)
    >>> store = zarr.storage.MemoryStore()
    >>> array = zarr.create_array(store, shape=(8, 64, 48, 3), chunks=(4, 64, 48, 3), dtype="uint8",
    ...                           serializer=codec, compressors=None)
    >>> array[:] = np.tile(np.arange(64, dtype=np.uint8)[:, None, None], (8, 1, 48, 3))
    >>> zarr.open_array(store)[5].shape
    (64, 48, 3)

Anyone opening the array only needs vaecodec installed: zarr finds the codec through its entry point. Arrays of zarr's
format 2 take :class:`vaecodec.numcodecs.Vaecodec` as their compressor.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields
from typing import Any

from zarr.abc.codec import ArrayBytesCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer, NDBuffer
from zarr.registry import register_codec

from vaecodec.codec.options import DEFAULT_MODEL
from vaecodec.numcodecs import Vaecodec as _Chunks
from vaecodec.numcodecs import check_chunk

NAME = "vaecodec"


@dataclass(frozen=True)
class Vaecodec(ArrayBytesCodec):
    """uint8 chunks (H, W), (H, W, 3) or (N, H, W, 3) to bytes, with loss; the ``serializer`` of an array.

    Attributes:
        quality: 0 (smallest) to 100 (best); by default vaecodec's own default.
        psnr: in place of a quality: every picture gets the smallest file of at least so many dB.
        model: name of installed weights, or path of a weights file.
        effort: 0 (fast) to 9: what to spend on a smaller file; by default vaecodec's own.
        ssimulacra2: in place of a quality, as ``psnr``: the smallest file of at least this score.
        ms_ssim: the smallest file of at least this MS-SSIM.
        size: the best file of at most so many bytes.
        bpp: the best file of at most so many bits per pixel.
    """

    quality: float | None = None
    psnr: float | None = None
    model: str = DEFAULT_MODEL
    effort: int | None = None
    ssimulacra2: float | None = None
    ms_ssim: float | None = None
    size: float | None = None
    bpp: float | None = None

    is_fixed_size = False

    def __post_init__(self) -> None:
        self._chunks()

    def _chunks(self) -> _Chunks:
        return _Chunks(**self._given())

    def _given(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Vaecodec:
        """Reads the codec from an array's metadata."""
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """The codec as it is written in an array's metadata."""
        return {"name": NAME, "configuration": self._given()}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Refuses arrays whose chunks are not pictures, before anything is written."""
        check_chunk(getattr(chunk_grid, "chunk_shape", shape), dtype.to_native_dtype())

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Not known before a chunk is compressed."""
        raise NotImplementedError

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        data = await asyncio.to_thread(lambda: self._chunks().encode(chunk_data.as_numpy_array().copy(order="C")))
        packed: Buffer = chunk_spec.prototype.buffer.from_bytes(data)
        return packed

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        chunk = await asyncio.to_thread(self._chunks().decode, chunk_data.to_bytes())
        samples: NDBuffer = chunk_spec.prototype.nd_buffer.from_numpy_array(chunk.reshape(chunk_spec.shape))
        return samples


register_codec(NAME, Vaecodec)
