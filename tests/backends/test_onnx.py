"""The decoding half in onnxruntime: the same integers and samples as in torch, and without it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("onnx", reason="needs the extra onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")

import onnx.checker

from vaecodec.api import Codec, export_onnx
from vaecodec.backends import onnx_backend
from vaecodec.backends.backend import choose_backend
from vaecodec.backends.onnx_backend import OnnxBackend
from vaecodec.backends.torch_backend import TorchBackend
from vaecodec.cli import main
from vaecodec.errors import DamagedWeightsError, ExactArithmeticError, MissingExtraError, UsageError
from vaecodec.exact.integers import LinearData, prove_linear
from vaecodec.models.coding import decode_tile
from vaecodec.models.decoder_data import ExactData
from vaecodec.models.image import ImageEncoder
from vaecodec.models.layer_list import encoder_shapes
from vaecodec.models.settings import DEFAULT, FAST
from vaecodec.models.weights import Weights

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = {
    name: facts
    for name, facts in json.loads((GOLDEN / "expected.json").read_text()).items()
    if not name.startswith("eye-")
}
"""Golden files of the weights `psnr`."""
# As where torch was never installed.
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from vaecodec.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def onnx_codec() -> Codec:
    """The shipped weights."""
    return Codec("psnr", backend="onnx")


@pytest.mark.parametrize("name", EXPECTED)
def test_golden_files_decode_to_the_same_integers_and_samples(onnx_codec: Codec, name: str) -> None:
    data = (GOLDEN / f"{name}.vaec").read_bytes()
    samples = onnx_codec.decompress(data, verify=False).samples
    assert onnx_codec.latents_digest(data) == EXPECTED[name]["latents_sha256"]
    assert hashlib.sha256(samples.tobytes()).hexdigest() == EXPECTED[name]["samples_sha256"]


@pytest.mark.parametrize("quality16", [0, 777, 1600])
def test_any_symbols_give_the_same_as_in_torch(tiny_weights: Weights, quality16: int) -> None:
    """Far out of what pictures have, so that every clamp is met; on grids that do not end with whole cells."""
    ours, torchs = OnnxBackend(tiny_weights.data), TorchBackend(tiny_weights, "cpu")
    rng = np.random.default_rng(quality16)
    for height, width in ((1, 1), (5, 6), (8, 3)):
        groups = []

        def pop(indices: np.ndarray, groups: list[np.ndarray] = groups) -> np.ndarray:
            symbols = np.rint(rng.normal(size=len(indices)) * rng.choice([1, 30, 5000])).astype(np.int32)
            groups.append(np.where(indices > 0, symbols, 0).astype(np.int32))
            return groups[-1]

        expected = decode_tile(torchs, quality16, height, width, pop)
        again = iter(list(groups))
        got = decode_tile(ours, quality16, height, width, lambda indices, again=again: next(again))
        assert np.array_equal(got.z, expected.z)
        assert np.array_equal(got.y16, expected.y16)
        assert got.y16.any()
        samples = torchs.synthesise(expected.y16, quality16)
        assert np.array_equal(ours.synthesise(got.y16, quality16), samples)
    assert ours.halo == torchs.halo


def test_the_shipped_weights_have_layers_in_two_digits(onnx_codec: Codec) -> None:
    """Otherwise the tests above would not show them."""
    layers = onnx_codec.model.weights.data.layers
    assert any(prove_linear(name, layer)[0] for name, layer in layers.items() if isinstance(layer, LinearData))


def test_floats_are_refused(tiny_weights: Weights) -> None:
    with pytest.raises(TypeError, match="float32"):
        OnnxBackend(tiny_weights.data).synthesise(np.zeros((2, 2, 16), np.float32), 800)


def test_arithmetic_that_fails_the_self_test_is_refused(tiny_weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    right = onnx_backend._linear_in_float64
    monkeypatch.setattr(onnx_backend, "_linear_in_float64", lambda layer, x: right(layer, x) + 1)
    with pytest.raises(ExactArithmeticError):
        OnnxBackend(tiny_weights.data)


def test_weights_beyond_the_bound_are_refused(tiny_weights: Weights) -> None:
    layers = dict(tiny_weights.data.layers)
    pairs = layers["g_s.pairs"]
    assert isinstance(pairs, LinearData)
    layers["g_s.pairs"] = LinearData(
        pairs.weight * 1000, pairs.bias, pairs.shift, pairs.limit, pairs.input_limit, pairs.leaky
    )
    with pytest.raises(DamagedWeightsError, match=r"g_s\.pairs"):
        OnnxBackend(ExactData(tiny_weights.settings, layers, tiny_weights.data.tables))


def test_exported_graphs_are_valid_and_synthesise_the_same(onnx_codec: Codec, tmp_path: Path) -> None:
    files = export_onnx("psnr", tmp_path / "model")
    names = {path.name for path in files}
    assert names == {path.name for path in (tmp_path / "model").iterdir()}
    for path in files:
        if path.suffix == ".onnx":
            onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "model" / "synthesis.onnx", providers=["CPUExecutionProvider"])
    y16 = np.random.default_rng(1).integers(-3000, 3000, (3, 5, FAST.latents), dtype=np.int32)
    rows = {name: onnx_codec.backend.quality.at(name, 801) for name in ("latent_factor", "feature_factor")}  # type: ignore[attr-defined]
    (samples,) = session.run(None, {"y16": np.ascontiguousarray(y16.transpose(2, 0, 1)), **rows})
    assert np.array_equal(samples, onnx_codec.backend.synthesise(y16, 801))
    assert json.loads((tmp_path / "model" / "decoder.json").read_text())["model_id"] == onnx_codec.model.id_hex


def test_exporting_again_needs_the_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-onnx", "psnr", "-o", str(tmp_path / "model")]) == 0
    assert "9 files" in capsys.readouterr().out
    assert main(["export-onnx", "psnr", "-o", str(tmp_path / "model")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["export-onnx", "psnr", "-o", str(tmp_path / "model"), "-f", "--quiet"]) == 0


def test_without_torch_files_are_made_and_read_and_what_needs_it_says_so(tmp_path: Path) -> None:
    source = GOLDEN / "tiles.vaec"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", WITHOUT_TORCH, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run("decompress", str(source), "-o", str(tmp_path / "tiles.png"))
    assert (done.returncode, done.stderr) == (0, "")
    from PIL import Image

    samples = np.array(Image.open(tmp_path / "tiles.png"))
    assert hashlib.sha256(samples.tobytes()).hexdigest() == EXPECTED["tiles"]["samples_sha256"]
    done = run("info", "--latents", "--json", str(source))
    assert json.loads(done.stdout)["latents_sha256"] == EXPECTED["tiles"]["latents_sha256"]
    done = run("compress", str(tmp_path / "tiles.png"), "-o", str(tmp_path / "again.vaec"))
    assert (done.returncode, done.stderr) == (0, "")
    for arguments in (
        ["compress", "--effort", "2", str(tmp_path / "tiles.png")],
        ["train", str(tmp_path), "-o", str(tmp_path / "x.safetensors")],
        ["info", "--latents", "--backend", "torch", str(source)],
    ):
        done = run(*arguments)
        assert done.returncode == 6
        assert done.stderr.count("\n") == 1
        assert "pip install 'vaecodec[torch]'" in done.stderr
    assert run("models").returncode == 0


def test_an_onnx_codec_says_that_it_only_decodes(onnx_codec: Codec) -> None:
    with pytest.raises(MissingExtraError, match="only decodes"):
        onnx_codec.compress(np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8))


def test_backends_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="gpu"):
        choose_backend("gpu", "auto")
    with pytest.raises(UsageError, match="processor"):
        choose_backend("onnx", "cuda")
    assert choose_backend("auto", "cuda") == "torch"
    assert choose_backend("auto", "auto") == choose_backend("auto", "cpu") == "native"
    monkeypatch.setitem(sys.modules, "torch", None)
    assert choose_backend("auto", "cpu") == "native"
    with pytest.raises(MissingExtraError, match="torch"):
        choose_backend("auto", "cuda")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match="onnxruntime"):
        choose_backend("onnx", "cpu")


@pytest.mark.parametrize("settings", [FAST, DEFAULT])
def test_shapes_of_the_encoder_are_those_of_its_module(settings: object) -> None:
    state = ImageEncoder(settings).state_dict()  # type: ignore[arg-type]
    assert encoder_shapes(settings) == {name: tuple(value.shape) for name, value in state.items()}  # type: ignore[arg-type]


def test_more_threads_change_nothing(tiny_weights: Weights) -> None:
    y16 = torch.randint(-4000, 4000, (9, 7, 16), dtype=torch.int32, generator=torch.Generator().manual_seed(1)).numpy()
    one, two = OnnxBackend(tiny_weights.data, threads=1), OnnxBackend(tiny_weights.data, threads=2)
    assert np.array_equal(one.synthesise(y16, 900), two.synthesise(y16, 900))
