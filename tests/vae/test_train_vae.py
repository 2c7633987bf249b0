"""The trainer of the VAE family: weights out, interrupted or not; stopped by its validation; collapse and its remedy."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from blobs import blobs

from vaecodec.errors import UsageError
from vaecodec.training.checkpoints import read_checkpoint
from vaecodec.vae.arrays import ArrayCodec
from vaecodec.vae.networks import VaeModel
from vaecodec.vae.train_settings import VaeTrainSettings
from vaecodec.vae.training import main, train_vae

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("items") / "items.npy"
    np.save(path, blobs(600))
    return path


def settings(data: Path, out: Path, **others: object) -> VaeTrainSettings:
    values: dict[str, object] = {
        "steps": 60, "batch": 16, "widths": "24,16", "latents": 3, "validate_every": 20, "validation_items": 100, "ema": 0.9,
        "warmup": 5, "lr": 1e-2,
    }  # fmt: skip
    return VaeTrainSettings(data=str(data), out=str(out), **(values | others))  # type: ignore[arg-type]


def history(out: Path) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = read_checkpoint(out.with_suffix(".checkpoint"), CPU)["history"]
    return rows


@pytest.mark.parametrize("family", ["vae", "ae"])
def test_a_run_lowers_the_loss_and_writes_weights_and_a_curve(data: Path, tmp_path: Path, family: str) -> None:
    out = tmp_path / "mine.safetensors"
    train_vae(settings(data, out, family=family))
    with out.with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [0, 20, 40, 60]
    for name in ("train_loss", "validation_loss"):
        assert float(rows[-1][name]) < 0.8 * float(rows[0][name])
    assert out.with_suffix(".png").exists()
    codec = ArrayCodec(out)
    assert codec.settings.variational == (family == "vae")
    assert len(codec.weights.card["kl_bits"]) == 3  # type: ignore[arg-type]
    assert codec.sample(4).shape == (4, 12, 10, 1)


class KilledError(Exception):
    """Stands for the machine going away."""


def test_an_interrupted_run_goes_on_bit_for_bit(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    train_vae(settings(data, whole))
    terms, calls = VaeModel.terms, 0

    def until_killed(self: VaeModel, items: torch.Tensor, generator: torch.Generator | None = None) -> object:
        nonlocal calls
        calls += self.training
        if calls > 47:
            raise KilledError
        return terms(self, items, generator)

    with monkeypatch.context() as patch:
        patch.setattr(VaeModel, "terms", until_killed)
        with pytest.raises(KilledError):
            train_vae(settings(data, broken, save_every=0.0))
    checkpoint = broken.with_suffix(".checkpoint")
    assert 0 < read_checkpoint(checkpoint, CPU)["step"] < 60
    train_vae(settings(data, broken, resume=str(checkpoint)))
    assert ArrayCodec(whole).id == ArrayCodec(broken).id
    assert [row["validation_loss"] for row in history(whole)] == [row["validation_loss"] for row in history(broken)]


def test_a_run_that_over_fits_is_stopped_and_ships_its_best(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    # Sixteen items, all learnt by heart within a few hundred steps.
    train_vae(
        settings(data, out, steps=5000, limit=16, widths="256,128", latents=16, lr=5e-3, patience=4, validate_every=20)
    )
    rows = history(out)
    best = min(range(len(rows)), key=lambda i: rows[i]["validation_loss"])
    assert rows[-1]["step"] < 5000
    assert best == len(rows) - 5
    assert rows[-1]["train_loss"] < rows[best]["train_loss"]
    assert ArrayCodec(out).weights.card["steps"] == rows[best]["step"]


def test_free_bits_keep_dimensions_in_use_that_a_large_beta_switches_off(data: Path, tmp_path: Path) -> None:
    used = {}
    for name, free_bits in (("collapsed", 0.0), ("kept", 0.5)):
        out = tmp_path / f"{name}.safetensors"
        train_vae(settings(data, out, steps=250, validate_every=250, beta=40.0, free_bits=free_bits))
        used[name] = history(out)[-1]["validation_active_units"]
    assert used["collapsed"] == 0
    assert used["kept"] == 3


def test_wrong_settings_get_one_line(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    small, floats = tmp_path / "small.npy", tmp_path / "floats.npy"
    np.save(small, blobs(30, 8, 8))
    np.save(floats, blobs(30) / 255)
    for wrong, message in (
        ({"steps": 0}, "either --steps or --minutes"),
        ({"preset": "huge"}, "--preset is one of"),
        ({"widths": "a,b"}, "make no model"),
        ({"preset": "lossless", "widths": "", "family": "ae"}, "make no model"),
        ({"validation": str(small)}, r"items of \(8, 8, 1\)"),
        ({"resume": str(tmp_path / "none.checkpoint")}, "no such checkpoint"),
    ):
        with pytest.raises(UsageError, match=message):
            train_vae(settings(data, out, **wrong))
    with pytest.raises(SystemExit):
        main([str(data), "-o", str(out), "--stepz", "3"])
