"""Chunks of pictures through numcodecs and zarr: shapes, refusals, and what another process finds in the store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vaecodec.codec.rate_control import MEASURES
from vaecodec.errors import DamagedFileError, UsageError
from vaecodec.evaluation import psnr
from vaecodec.metrics import ssimulacra2

numcodecs = pytest.importorskip("numcodecs", reason="numcodecs is not installed")
zarr = pytest.importorskip("zarr", reason="zarr is not installed")
ZARR_3 = int(zarr.__version__.split(".")[0]) >= 3

# What opens a store knows zarr and the store, and nothing of vaecodec.
READ = "import sys, numpy, zarr; numpy.save(sys.argv[2], zarr.open_array(sys.argv[1], mode='r')[:])"


@pytest.fixture
def pictures(photograph: np.ndarray) -> np.ndarray:
    """uint8 [6, 64, 48, 3]."""
    return np.stack([photograph[40 * n : 40 * n + 64, 180:228] for n in range(6)])


def read_elsewhere(store: Path, tmp_path: Path) -> np.ndarray:
    done = subprocess.run(
        [sys.executable, "-c", READ, store, tmp_path / "out.npy"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return np.load(tmp_path / "out.npy")


@pytest.mark.parametrize("shape", [(64, 48), (64, 48, 3), (6, 64, 48, 3), (1, 1), (1, 1, 1, 3)])
def test_chunks_come_back_in_their_shape_by_the_name_of_the_codec(pictures: np.ndarray, shape: tuple[int, ...]) -> None:
    chunk = pictures.ravel()[: int(np.prod(shape))].reshape(shape) if 1 in shape else pictures
    chunk = chunk if chunk.shape == shape else chunk[0] if len(shape) == 3 else chunk[0, :, :, 1]
    codec = numcodecs.get_codec({"id": "vaecodec", "quality": 90})
    data = codec.encode(chunk)
    back = codec.decode(data)
    assert (back.shape, back.dtype) == (shape, np.uint8)
    assert np.abs(back.astype(int) - chunk).mean() < 5
    out = np.empty(shape, np.uint8)
    codec.decode(data, out=out)
    assert (out == back).all()
    assert numcodecs.get_codec(json.loads(json.dumps(codec.get_config()))) == codec


@pytest.mark.parametrize(
    "chunk",
    [
        np.zeros((8, 8), np.uint16),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros(64, np.uint8),
        np.zeros((2, 8, 8), np.uint8),
        np.asfortranarray(np.zeros((8, 9), np.uint8)),
        b"bytes",
    ],
)
def test_what_is_no_picture_is_refused(chunk: object) -> None:
    with pytest.raises(UsageError, match="chunk"):
        numcodecs.get_codec({"id": "vaecodec"}).encode(chunk)


def test_effort_is_spent_on_chunks(pictures: np.ndarray) -> None:
    fast, slow = (numcodecs.get_codec({"id": "vaecodec", "quality": 70, "effort": effort}) for effort in (0, 1))
    assert fast.encode(pictures[0]) != slow.encode(pictures[0])


def test_settings_that_contradict_are_refused() -> None:
    for wrong in ({"quality": 50, "psnr": 40}, {"psnr": 40, "ssimulacra2": 80}, {"quality": 101}, {"butteraugli": 1}):
        with pytest.raises(UsageError):
            numcodecs.get_codec({"id": "vaecodec"} | wrong)


def test_chunks_take_every_target(pictures: np.ndarray) -> None:
    codec = numcodecs.get_codec({"id": "vaecodec", "ssimulacra2": 75})
    back = codec.decode(codec.encode(pictures))
    assert all(ssimulacra2(original, picture) >= 75 for original, picture in zip(pictures, back, strict=True))
    for target in MEASURES:
        config = numcodecs.get_codec({"id": "vaecodec", target: 0.9}).get_config()
        assert config[target] == 0.9 and not (MEASURES.keys() - {target, "psnr"}) & config.keys()


@pytest.mark.skipif(not ZARR_3, reason="needs zarr 3")
@pytest.mark.parametrize("target", MEASURES)
def test_the_serializer_keeps_every_target(target: str) -> None:
    from vaecodec.zarr import Vaecodec

    codec = Vaecodec(**{target: 0.9})
    assert codec.to_dict()["configuration"] == {target: 0.9, "model": "eye"}
    assert Vaecodec.from_dict(codec.to_dict()) == codec


def test_damaged_chunks_are_refused(pictures: np.ndarray) -> None:
    codec = numcodecs.get_codec({"id": "vaecodec", "quality": 10})
    data = codec.encode(pictures[:2])
    for damaged in (b"", data[:6], data[:11], data[:-1], data + b"\0", b"VAEN\0\0\0\0", data[:-9] + b"\0" + data[-8:]):
        with pytest.raises(DamagedFileError):
            codec.decode(damaged)


@pytest.mark.skipif(not ZARR_3, reason="needs zarr 3")
@pytest.mark.parametrize("sharded", [False, True])
def test_another_process_reads_an_array_within_the_stated_distortion(
    pictures: np.ndarray, tmp_path: Path, sharded: bool
) -> None:
    from vaecodec.zarr import Vaecodec

    array = zarr.create_array(
        tmp_path / "store", shape=(6, 64, 48, 3), chunks=(2, 64, 48, 3), shards=(4, 64, 48, 3) if sharded else None,
        dtype="uint8", serializer=Vaecodec(psnr=38), compressors=None,
    )  # fmt: skip
    array[:] = pictures
    # One of them is enough of another process.
    back = array[:] if sharded else read_elsewhere(tmp_path / "store", tmp_path)
    for original, picture in zip(pictures, back, strict=True):
        assert psnr(original, picture) >= 38
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < pictures.nbytes / 4


@pytest.mark.skipif(not ZARR_3, reason="needs zarr 3")
def test_arrays_that_hold_no_pictures_are_refused_when_they_are_made() -> None:
    from vaecodec.zarr import Vaecodec

    for shape, dtype in (((8, 8), "uint16"), ((8, 8, 4), "uint8")):
        with pytest.raises(UsageError):
            zarr.create_array(
                zarr.storage.MemoryStore(), shape=shape, chunks=shape, dtype=dtype, serializer=Vaecodec(), compressors=None
            )  # fmt: skip


def test_format_2_of_zarr_takes_it_as_its_compressor(pictures: np.ndarray, tmp_path: Path) -> None:
    from vaecodec.numcodecs import Vaecodec

    if ZARR_3:
        array = zarr.create_array(
            tmp_path / "store", shape=(100, 90, 3), chunks=(64, 48, 3), dtype="uint8", compressors=Vaecodec(psnr=38),
            zarr_format=2,
        )  # fmt: skip
    else:
        array = zarr.open_array(
            str(tmp_path / "store"), mode="w", shape=(100, 90, 3), chunks=(64, 48, 3), dtype="u1",
            compressor=Vaecodec(psnr=38),
        )  # fmt: skip
    picture = np.tile(pictures[0], (2, 2, 1))[:100, :90]
    array[:] = picture
    back = zarr.open_array(str(tmp_path / "store"), mode="r")[:]
    assert psnr(picture[:64, :48], back[:64, :48]) >= 38
