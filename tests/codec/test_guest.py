"""A guest in the caller's process: it takes what Python has, raises errors of its own, and leaves everything as it was."""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vaecodec
from vaecodec.api import Codec
from vaecodec.errors import (
    NotVaecodecFileError,
    PictureNotFoundError,
    UnreadablePictureError,
    UnsupportedPictureError,
    UsageError,
    VaecodecError,
)
from vaecodec.picture import Picture

RAMP = np.tile(np.arange(64, dtype=np.uint8)[:, None, None], (1, 48, 3))


@pytest.fixture(scope="module")
def data(codec: Codec) -> bytes:
    return codec.compress(RAMP)


class Named:
    """A path of somebody else's making."""

    def __init__(self, path: Path, *, as_bytes: bool) -> None:
        self.path, self.as_bytes = path, as_bytes

    def __fspath__(self) -> Any:
        return os.fsencode(self.path) if self.as_bytes else str(self.path)


@pytest.mark.parametrize(
    "how",
    [str, lambda p: p, lambda p: Named(p, as_bytes=False), lambda p: Named(p, as_bytes=True), lambda p: io.BytesIO(p.read_bytes()),
     lambda p: p.read_bytes(), lambda p: bytearray(p.read_bytes()), lambda p: memoryview(p.read_bytes())],
)  # fmt: skip
def test_files_and_pictures_come_from_anywhere(
    codec: Codec, data: bytes, tmp_path: Path, how: Callable[[Path], Any]
) -> None:
    (tmp_path / "a.vaec").write_bytes(data)
    np.testing.assert_array_equal(
        vaecodec.decompress(how(tmp_path / "a.vaec")).samples, codec.decompress(how(tmp_path / "a.vaec")).samples
    )
    assert vaecodec.info(how(tmp_path / "a.vaec"))["bytes"] == len(data)
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    assert vaecodec.compress(how(tmp_path / "a.png")) == data
    assert codec.encode(how(tmp_path / "a.png")).data == data


@pytest.mark.parametrize(
    "source", [RAMP, RAMP.astype(">u2") * 257, RAMP[:, :, 0], Image.fromarray(RAMP), Picture(RAMP)]
)
def test_encode_takes_what_compress_takes(codec: Codec, source: Any) -> None:
    assert codec.encode(source).data == codec.compress(source)


def test_targets_are_there_in_python_as_in_the_command(codec: Codec) -> None:
    assert len(vaecodec.compress(RAMP, size=200)) <= 200
    for function in (vaecodec.compress, codec.compress, codec.encode):
        for target in ({"psnr": 36}, {"bpp": 2}, {"size": np.int64(400)}):
            function(RAMP, **target)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"quality": "50"}, "'50' is not a number"), ({"quality": []}, "not a number"), ({"quality": float("nan")}, "out of range"),
        ({"quality": -1}, "out of range"), ({"effort": "1"}, "effort"), ({"effort": []}, "effort"), ({"effort": 1.5}, "effort"),
        ({"psnr": "36"}, "psnr '36' is not a number"), ({"quality": 5, "psnr": 3}, "exclude"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_ours(codec: Codec, options: dict[str, Any], words: str) -> None:
    for function in (vaecodec.compress, codec.compress, codec.encode):
        with pytest.raises(UsageError, match=words):
            function(RAMP, **options)


def test_none_is_the_default(codec: Codec, data: bytes) -> None:
    assert codec.compress(RAMP, quality=None, effort=None, psnr=None) == data


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: vaecodec.compress("a\0b.png"), PictureNotFoundError),
        (lambda: vaecodec.decompress("a\0b.vaec"), PictureNotFoundError),
        (lambda: vaecodec.decompress("none.vaec"), PictureNotFoundError),
        (lambda: vaecodec.decompress(Path(__file__).parent), PictureNotFoundError),
        (lambda: vaecodec.compress(io.StringIO("x")), UnsupportedPictureError),
        (lambda: vaecodec.decompress(io.StringIO("x")), NotVaecodecFileError),
        (lambda: vaecodec.decompress(3), NotVaecodecFileError),
        (lambda: vaecodec.compress(RAMP.tolist()), UnsupportedPictureError),
        (lambda: vaecodec.compress(None), UnsupportedPictureError),
        (lambda: Codec(None), UsageError),
        (lambda: Codec(3), UsageError),
        (lambda: Codec(device="abacus"), UsageError),
    ],
)
def test_what_is_none_raises_an_error_of_ours_in_one_line(call: Callable[[], Any], error: type[VaecodecError]) -> None:
    with pytest.raises(error) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert "--" not in str(caught.value)


def _compressed(codec: Codec) -> bytes:
    return codec.compress(RAMP)


@pytest.mark.parametrize("move", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_a_codec_is_copied_and_pickled(codec: Codec, data: bytes, move: Callable[[Codec], Codec]) -> None:
    assert move(codec).compress(RAMP) == data


@pytest.mark.parametrize("lossless", [False, True])
def test_what_was_encoded_is_pickled_with_its_samples(codec: Codec, lossless: bool) -> None:
    encoded = codec.encode(RAMP, lossless=lossless)
    pickled = pickle.dumps(encoded)
    assert len(pickled) < 3 * RAMP.nbytes + len(encoded.data) + 2000  # Without the model.
    again = pickle.loads(pickled)
    assert (again.data, again.quality, dict(again.seconds)) == (encoded.data, encoded.quality, dict(encoded.seconds))
    np.testing.assert_array_equal(again.samples, codec.decompress(encoded.data).samples)


def test_a_codec_goes_to_another_process(codec: Codec, data: bytes) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(_compressed, codec).result(120) == data


def test_random_numbers_of_the_caller_stay_where_they_are() -> None:
    for backend in ("auto", "torch"):
        torch.manual_seed(7)
        np.random.seed(7)
        before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
        codec = Codec(backend=backend)
        codec.decompress(codec.compress(RAMP))
        assert torch.equal(torch.get_rng_state(), before)
        assert (np.random.get_state()[1] == numpy_before).all()  # type: ignore[index]


SETTINGS = {
    "float64": "torch.set_default_dtype(torch.float64)",
    "float16": "torch.set_default_dtype(torch.float16)",
    "meta": "torch.set_default_device('meta')",
    "no gradients": "torch.set_grad_enabled(False)",
    "deterministic": "torch.use_deterministic_algorithms(True)",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_what_the_caller_has_set_in_torch_changes_nothing(name: str) -> None:
    script = (
        "import hashlib, sys, torch, numpy as np; from vaecodec.api import Codec\n"
        f"{SETTINGS[name]}\n"
        "ramp = np.tile(np.arange(64, dtype=np.uint8)[:, None, None], (1, 48, 3))\n"
        "codec = Codec(backend='torch'); data = codec.compress(ramp, effort=2)\n"
        "assert codec.decompress(data).samples.shape == ramp.shape; print(hashlib.sha256(data).hexdigest())"
    )
    plain = subprocess.run(
        [sys.executable, "-c", script.replace(SETTINGS[name], "")], capture_output=True, text=True, check=True
    )
    changed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert changed.returncode == 0, changed.stderr
    assert changed.stdout == plain.stdout


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such devices here")
def test_what_has_no_end_is_refused_by_its_beginning(codec: Codec) -> None:
    with pytest.raises(NotVaecodecFileError):
        codec.decompress("/dev/zero")
    with Path("/dev/zero").open("rb") as device, pytest.raises(NotVaecodecFileError):
        codec.decompress(device)
    with pytest.raises(UnreadablePictureError):
        codec.compress("/dev/zero")
    with Path("/dev/urandom").open("rb") as device, pytest.raises(UnreadablePictureError):
        codec.compress(device)


@pytest.mark.parametrize(
    "call",
    [
        lambda c, x: c.compress(x, lossless="yes"),
        lambda c, x: c.compress(x, strip="no"),
        lambda c, x: c.compress(x, check=2),
        lambda c, x: c.compress(x, limit=float("nan")),
        lambda c, x: c.compress(x, limit=0),
        lambda c, x: c.compress(x, tiling="large"),
        lambda c, x: c.compress(x, target="psnr"),
        lambda c, x: c.compress(x, target={"mse": 3}),
        lambda c, x: c.compress(x, 50),
        lambda c, x: c.encode(x, {"quality": 50}),
        lambda c, x: c.decompress(c.compress(x), limits=10**6),
        lambda c, x: c.decompress_region(c.compress(x), (0, 0)),
        lambda c, x: c.decompress_region(c.compress(x), (0, 0, 1.5, 2)),
        lambda c, x: c.decompress_region(c.compress(x), "0,0,2,2"),
        lambda c, x: vaecodec.compress(x, model=None),
        lambda c, x: vaecodec.compress(x, model=c),
        lambda c, x: vaecodec.decompress(c.compress(x), models=3),
        lambda c, x: Codec(threads=0),
        lambda c, x: Codec(threads="two"),
        lambda c, x: Codec(threads=1.5),
    ],
)
def test_an_argument_of_another_kind_is_an_error_of_ours(
    codec: Codec, call: Callable[[Codec, np.ndarray], Any]
) -> None:
    with pytest.raises(UsageError) as caught:
        call(codec, np.zeros((8, 8, 3), np.uint8))
    assert "\n" not in str(caught.value)


def test_one_model_needs_no_list(codec: Codec) -> None:
    data = codec.compress(np.zeros((8, 8, 3), np.uint8))
    assert vaecodec.decompress(data, models="eye").samples.shape == (8, 8, 3)


def test_what_is_printed_of_files_and_pictures_is_short(codec: Codec, photograph: np.ndarray) -> None:
    picture = Picture(photograph[:64, :64], b"profile" * 999, b"II*\0" * 999, b"<x/>" * 999)
    encoded = codec.encode(picture)
    for thing in (encoded, picture, codec.decode(encoded.data), codec.open(encoded.data), codec.salvage(encoded.data)):
        assert len(repr(thing)) < 400
    assert repr(picture) == "<Picture: 64 × 64 RGB, 8 bits, icc, exif, xmp>"
