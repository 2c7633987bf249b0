"""Files made once decode to the same integers and samples in every configuration, and by a second reader."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from decode import facts_about, little, model_of

from vaecodec.api import Codec, find_weights
from vaecodec.bitstream.coder import SymbolDecoder
from vaecodec.bitstream.container import (
    ALPHA_JPEG_XL,
    ALPHA_PNG_16_BIT,
    SHORT_VERSION,
    TILE_JPEG_XL,
    TILE_LATENTS,
    TILE_PNG,
    TILE_WEBP,
    WITHOUT_MODEL,
    file_version,
    read_container,
    read_header,
)
from vaecodec.codec.rectangle import tile_grid
from vaecodec.errors import VaecodecError
from vaecodec.exact.kernels import available_kernels
from vaecodec.models.coding import decode_tile
from vaecodec.models.settings import FAST
from vaecodec.stopwatch import Stopwatch

FOLDER = Path(__file__).parent
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
ADDED = FOLDER / "added"
EXPECTED_ADDED = json.loads((ADDED / "expected.json").read_text())
"""Files that need the section FEATURES: readers of before refuse them."""

IN_LATENTS = [
    name for name in EXPECTED if read_container((FOLDER / f"{name}.vaec").read_bytes()).tiles[0].mode == TILE_LATENTS
]

CONFIGURATIONS: dict[str, tuple[list[str], dict[str, str]]] = {
    "one thread": (["1", "on", "float32"], {}),
    "two threads": (["2", "on", "float32"], {}),
    "without oneDNN": (["1", "off", "float32"], {}),
    "two threads without oneDNN": (["2", "off", "float32"], {}),
    "without vector units": (["1", "on", "float32"], {"ATEN_CPU_CAPABILITY": "default", "DNNL_MAX_CPU_ISA": "SSE41"}),
    "without anything": (["2", "off", "float32"], {"ATEN_CPU_CAPABILITY": "default"}),
    "AVX2": (["2", "on", "float32"], {"ATEN_CPU_CAPABILITY": "avx2", "DNNL_MAX_CPU_ISA": "AVX2"}),
    "float64": (["2", "on", "float64"], {}),
    "int64": (["1", "on", "int64"], {}),
    "native, two threads": (["2"], {}),
} | {f"native, {name}": (["1"], {"VAECODEC_KERNELS": name}) for name in available_kernels()}


def test_there_is_a_golden_file_for_every_expectation() -> None:
    assert {path.stem for path in FOLDER.glob("*.vaec")} == set(EXPECTED)
    assert len(EXPECTED) >= 6


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_golden_files_decode_to_the_same_integers_and_samples(name: str) -> None:
    arguments, environment = CONFIGURATIONS[name]
    done = subprocess.run(
        [sys.executable, str(FOLDER / "decode.py"), *arguments],
        capture_output=True, text=True, env=os.environ | environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == EXPECTED


@pytest.mark.parametrize("name", IN_LATENTS)
def test_the_layout_in_memory_does_not_matter(codec: Codec, name: str) -> None:
    data = (FOLDER / f"{name}.vaec").read_bytes()
    header = read_header(data)
    tile = read_container(data).tiles[0]
    first = tile_grid(header.width, header.height, header.tile_exponent)[0]
    y16 = codec.model.decode_tile(tile.payload, first.cells(), header.quality16, Stopwatch(), np.int32).y16
    latents = torch.from_numpy(y16)
    channels_last = latents.contiguous()
    channels_first = latents.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert channels_first.numel() == FAST.latents or channels_last.stride() != channels_first.stride()
    assert torch.equal(
        codec.torch.synthesis(channels_last, header.quality16),
        codec.torch.synthesis(channels_first, header.quality16),
    )


def reference(name: str = "range_decoder") -> Any:
    spec = importlib.util.spec_from_file_location(name, FOLDER.parent / "reference" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", EXPECTED)
def test_a_second_reader_written_from_the_specification_gives_the_same(name: str) -> None:
    reader = reference("reader")
    weights = reader.Weights(find_weights(model_of(name)))
    assert facts_of(*reader.read((FOLDER / f"{name}.vaec").read_bytes(), weights, reference())) == EXPECTED[name]


def facts_of(samples: np.ndarray, alpha: np.ndarray | None, digest: str) -> dict[str, object]:
    """What the second reader gives, in the form of expected.json."""
    return {
        "latents_sha256": digest,
        "samples_sha256": hashlib.sha256(samples.tobytes()).hexdigest(),
        "alpha_sha256": None if alpha is None else hashlib.sha256(little(alpha)).hexdigest(),
        "shape": list(samples.shape),
        "bit_depth": 8 * samples.dtype.itemsize,
    }


def test_every_golden_file_of_what_was_added_later_is_there() -> None:
    assert {path.stem for path in ADDED.glob("*.vaec")} == set(EXPECTED_ADDED)
    containers = [read_container((ADDED / f"{name}.vaec").read_bytes()) for name in EXPECTED_ADDED]
    found = {(tile.mode, c.header.bit_depth, c.header.channels) for c in containers for tile in c.tiles}
    assert found >= {
        (mode, depth, channels)
        for mode, depth in ((TILE_JPEG_XL, 8), (TILE_JPEG_XL, 16), (TILE_PNG, 16))
        for channels in (1, 3)
    } | {(TILE_WEBP, 8, 3), (TILE_LATENTS, 16, 3)}
    assert {feature for c in containers for feature in c.features} == {1, 2, 3, 4, 5, 6}
    short = [name for name in EXPECTED_ADDED if file_version((ADDED / f"{name}.vaec").read_bytes()) == SHORT_VERSION]
    kinds = {
        (c.tiles[0].mode, c.alpha is not None)
        for name, c in zip(EXPECTED_ADDED, containers, strict=True)
        if name in short
    }
    assert kinds == {(mode, alpha) for mode in (TILE_PNG, TILE_WEBP, TILE_JPEG_XL) for alpha in (False, True)}
    assert {(c.alpha[0], c.header.model_id == WITHOUT_MODEL) for c in containers if c.alpha is not None} >= {
        (ALPHA_PNG_16_BIT, True), (ALPHA_PNG_16_BIT, False), (ALPHA_JPEG_XL, True),
    }  # fmt: skip
    assert any(len(c.tiles) > 1 for c in containers)
    assert {c.header.channels for c in containers if c.overlay is not None} == {1, 3}


@pytest.mark.parametrize("name", EXPECTED_ADDED)
def test_what_was_added_later_decodes_to_the_same(name: str) -> None:
    assert facts_about(Codec(model_of(name)), (ADDED / f"{name}.vaec").read_bytes()) == EXPECTED_ADDED[name]


@pytest.mark.parametrize("name", EXPECTED_ADDED)
def test_the_second_reader_reads_what_was_added_later(name: str) -> None:
    data = (ADDED / f"{name}.vaec").read_bytes()
    reader = reference("reader")
    without = read_container(data).header.model_id == WITHOUT_MODEL
    weights = None if without else reader.Weights(find_weights(model_of(name)))
    assert facts_of(*reader.read(data, weights, reference())) == EXPECTED_ADDED[name]


@pytest.mark.parametrize("name", EXPECTED_ADDED)
def test_a_change_of_any_byte_of_what_was_added_later_is_refused(name: str) -> None:
    codec = Codec(model_of(name))
    data = (ADDED / f"{name}.vaec").read_bytes()
    for at in range(0, len(data), max(1, len(data) // 150)):
        with pytest.raises(VaecodecError):
            codec.decompress(data[:at] + bytes((data[at] ^ 0x55,)) + data[at + 1 :])


@pytest.mark.parametrize("name", IN_LATENTS)
def test_a_plain_python_decoder_reads_the_golden_files_given_the_table_indices(codec: Codec, name: str) -> None:
    plain = reference()
    tables = {index: codec.tables.counts(index).tolist() for index in range(1, 64)}
    data = (FOLDER / f"{name}.vaec").read_bytes()
    header = read_header(data)
    container = read_container(data)
    symbols_read = 0
    for tile, r in zip(container.tiles, tile_grid(header.width, header.height, header.tile_exponent), strict=True):
        if tile.mode != TILE_LATENTS:
            continue
        decoder = SymbolDecoder(codec.tables, tile.payload)
        second = plain.RangeDecoder(tile.payload)

        def pop(indices: np.ndarray, decoder: SymbolDecoder = decoder, second: Any = second) -> np.ndarray:
            symbols = decoder.pop(indices)
            assert plain.decode_group(second, tables, indices.tolist()) == symbols.tolist()
            return symbols

        latents = decode_tile(codec.torch.prior, header.quality16, -(-r.height // 16), -(-r.width // 16), pop)
        symbols_read += latents.y16.size
        decoder.close()
        second.close()
    assert symbols_read > 0


def test_there_is_a_golden_file_for_every_kind_of_samples() -> None:
    """Otherwise the golden files would not show what they are there for."""
    containers = {name: read_container((FOLDER / f"{name}.vaec").read_bytes()) for name in EXPECTED}
    kinds = {(c.header.channels, c.header.bit_depth, c.alpha is not None) for c in containers.values()}
    assert kinds >= {(1, 8, False), (1, 8, True), (3, 8, False), (3, 8, True), (1, 16, False), (3, 16, False)}
    assert {tile.mode for tile in containers["screen"].tiles} >= {TILE_LATENTS}
    assert {tile.mode for tile in containers["screen"].tiles} & {TILE_PNG, TILE_WEBP}
    for name in ("black-and-white", "palette"):
        assert {tile.mode for tile in containers[name].tiles} <= {TILE_PNG, TILE_WEBP}


def test_there_are_escapes_and_several_tiles(codec: Codec) -> None:
    """Otherwise the golden files would not show what they are there for."""
    data = (FOLDER / "escapes.vaec").read_bytes()
    header = read_header(data)
    escapes = 0
    tile = read_container(data).tiles[0]
    decoder = SymbolDecoder(codec.tables, tile.payload)

    def pop(indices: np.ndarray) -> np.ndarray:
        nonlocal escapes
        symbols = decoder.pop(indices)
        widths = np.array([10**6] + [codec.tables.half_width(i) for i in range(1, 64)])
        escapes += int((np.abs(symbols) > widths[indices]).sum())
        return symbols

    decode_tile(codec.torch.prior, header.quality16, -(-header.height // 16), -(-header.width // 16), pop)
    assert escapes > 0
    assert len(read_container((FOLDER / "tiles.vaec").read_bytes()).tiles) == 9
