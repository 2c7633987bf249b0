"""One loaded model: its weights, its tables, what computes it, and the symbols of a tile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vaecodec.backends.backend import Backend, choose_backend, open_backend
from vaecodec.bitstream.coder import SymbolDecoder, SymbolEncoder, SymbolModels
from vaecodec.bitstream.container import TILE_LATENTS, Tile
from vaecodec.bitstream.tables import FrozenTables
from vaecodec.codec.options import Access
from vaecodec.codec.rectangle import Rectangle
from vaecodec.errors import MissingExtraError
from vaecodec.models.coding import LatentType, TileLatents, decode_tile, encode_tile
from vaecodec.models.cost import count_macs
from vaecodec.models.distortion import Price
from vaecodec.models.encoder_data import analysis_halo
from vaecodec.models.settings import LARGEST_EXACT_EFFORT, STRIDE
from vaecodec.models.weights import load_weights
from vaecodec.picture.picture import Samples
from vaecodec.stopwatch import Stopwatch

if TYPE_CHECKING:
    from vaecodec.backends.torch_backend import TorchBackend
    from vaecodec.exact.arithmetic import Arithmetic


class CodedTile(NamedTuple):
    """A tile as it goes into a file.

    Attributes:
        tile: mode and bytes.
        bits: what the tables say the symbols take, Σ −log2 p; of a tile without loss its size.
        y16: the latents that a decoder will have, int16 [h, w, M] in sixteenths of a step; None where they are not in the file.
    """

    tile: Tile
    bits: float
    y16: npt.NDArray[np.int16] | None


class LoadedModel:
    """A model that is ready to run, from many threads at the same time."""

    def __init__(self, path: Path, access: Access, arithmetic: Arithmetic | None = None) -> None:
        """Loads weights and checks that this machine computes them exactly; arguments as for :class:`~vaecodec.codec.codec.Codec`."""
        self.name = path.stem
        self.weights = load_weights(path)
        self.id = self.weights.model_id()
        self.tables = FrozenTables.from_arrays(self.weights.half_widths, self.weights.counts)
        self._symbol_models = SymbolModels(self.tables)
        self._threads = access.threads
        self.backend = open_backend(
            self.weights, backend=access.backend, device=access.device, arithmetic=arithmetic, threads=access.threads
        )

    @cached_property
    def macs(self) -> Mapping[str, float]:
        """Thousands of operations per pixel; counting proves the bounds of all layers, so only who asks waits for it."""
        return count_macs(self.weights.data)

    @property
    def id_hex(self) -> str:
        """The model id, 16 hexadecimal digits."""
        return self.id.hex()

    @property
    def settings(self) -> Mapping[str, int | float]:
        """Sizes of the model."""
        return self.weights.settings.to_dict()

    def price_at(self, quality16: int) -> Price:
        """What distortion costs at quality 16·q, and where the quality is about a score, the least."""
        least_score = quality16 / 16 if self.weights.tune == "eye" else -math.inf
        return Price(self.weights.distortion, self.weights.lambda_at(quality16), least_score)

    @property
    def latents(self) -> int:
        """M: latent channels."""
        return self.weights.settings.latents

    @cached_property
    def torch(self) -> TorchBackend:
        """The model in torch, encoder included; loaded when it is first asked for.

        Raises:
            MissingExtraError: torch is not installed.
        """
        choose_backend("torch", "cpu")
        from vaecodec.backends.torch_backend import TorchBackend

        if isinstance(self.backend, TorchBackend):
            return self.backend
        return TorchBackend(self.weights, "cpu", threads=self._threads)

    @property
    def encoder_halo(self) -> int:
        """Pixels around a tile that its latents depend on, a multiple of 16."""
        return STRIDE * analysis_halo(self.weights.settings)

    def _encoder(self, effort: int) -> Backend:
        """What encodes with an effort: the backend, or torch beside it where it does not go as far.

        Raises:
            MissingExtraError: torch is needed and not installed.
        """
        if effort <= self.backend.largest_effort:
            return self.backend
        if find_spec("torch") is None:
            what = f"effort {effort}" if effort > LARGEST_EXACT_EFFORT else f"compressing with the model {self.name}"
            raise MissingExtraError(f"{what} needs torch: pip install 'vaecodec[torch]'")
        return self.torch

    def encode_tile(
        self, x: Samples, cells: Rectangle, quality16: int, effort: int, watch: Stopwatch,
        unseen: npt.NDArray[np.bool_] | None = None,
    ) -> CodedTile:  # fmt: skip
        """The latents of some cells of x, uint8 [16h, 16w, 3] or float32 of the same range, seen with their neighbours.

        ``unseen``, [h, w]: those that an overlay hides.
        """
        encoder = self._encoder(effort)
        with watch.time("analysis"):
            analysed = encoder.analyse(x, cells, quality16, effort)
        coder = SymbolEncoder(self._symbol_models)
        groups: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = []
        with watch.time("prior"):
            latents = encode_tile(
                analysed.v, analysed.z, encoder, quality16, lambda s, i: groups.append((s, i)), analysed.zeroed, unseen,
                functions=encoder.functions, threads=encoder.threads, dtype=np.int16,
            )  # fmt: skip
        with watch.time("coding"):
            for symbols, indices in groups:
                coder.push(symbols, indices)
            payload = coder.finish()
        return CodedTile(Tile(TILE_LATENTS, payload), coder.bits, latents.y16)

    def decode_tile(
        self, payload: bytes, cells: Rectangle, quality16: int, watch: Stopwatch, dtype: LatentType = np.int16
    ) -> TileLatents:
        """The inverse of :meth:`encode_tile`; ``dtype`` is that of the latents, see :class:`TileLatents`.

        Raises:
            DamagedFileError: the bytes are none that an encoder writes.
        """
        decoder = SymbolDecoder(self._symbol_models, payload)
        coding_before = watch.seconds.get("coding", 0.0)

        def pop(indices: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
            with watch.time("coding"):
                return decoder.pop(indices)

        with watch.time("prior"):
            latents = decode_tile(
                self.backend, quality16, cells.height, cells.width, pop, functions=self.backend.functions,
                threads=self.backend.threads, dtype=dtype,
            )  # fmt: skip
        # The coder runs inside the prior's steps: its time is its own.
        watch.seconds["prior"] -= watch.seconds["coding"] - coding_before
        decoder.close()
        return latents
