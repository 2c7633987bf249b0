"""The trainer: pictures in, weights out; interrupted or not, alone or with others."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import vaecodec
from vaecodec.api import Codec
from vaecodec.errors import UsageError
from vaecodec.models.image import ImageModel
from vaecodec.models.perceptual import Distortion
from vaecodec.models.settings import ImageSettings
from vaecodec.models.tunes import DistortionWeights
from vaecodec.models.weights import load_weights
from vaecodec.models.weights_file import named_id
from vaecodec.training import export_checkpoint
from vaecodec.training import image as trainer
from vaecodec.training.checkpoints import read_checkpoint
from vaecodec.training.grow import grow
from vaecodec.training.image import train
from vaecodec.training.pictures import CropSampler
from vaecodec.training.settings import TrainSettings

TINY = ImageSettings(
    features=24, latents=16, analysis_blocks8=1, analysis_blocks16=1, prior_width=16, prior_blocks=1, hyper_latents=4, anchors=3, hidden8=48, hidden16=32,
)  # fmt: skip


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four crops of a real photograph."""
    from skimage import data

    folder = tmp_path_factory.mktemp("photographs")
    for i in range(24):
        Image.fromarray(data.astronaut()[i * 16 : i * 16 + 96, i * 14 : i * 14 + 128]).save(folder / f"{i:02}.png")
    return folder


@pytest.fixture(autouse=True)
def tiny_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(trainer.PRESETS, "fast", TINY)
    monkeypatch.setitem(trainer.PRESETS, "eye", TINY)


def settings(photographs: Path, out: Path, **others: object) -> TrainSettings:
    values: dict[str, object] = {
        "steps": 8,
        "batch": 2,
        "crop": 64,
        "graphics": 0.25,
        "validate_every": 4,
        "validation_pictures": 2,
        "warmup": 2,
    }
    return TrainSettings(data=str(photographs), out=str(out), **(values | others))  # type: ignore[arg-type]


def test_a_run_writes_weights_that_code_pictures_and_a_curve(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    train(settings(photographs, out))
    codec = Codec(out)
    picture = vaecodec.read_picture(photographs / "03.png")
    encoded = codec.encode(picture, quality=80)
    assert np.array_equal(codec.decompress(encoded.data).samples, encoded.samples)
    assert vaecodec.decompress(encoded.data, models=[out]).samples.shape == (96, 128, 3)
    with out.with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [0, 4, 8]
    assert all(float(row["train_loss"]) > 0 and float(row["validation_loss"]) > 0 for row in rows)
    with Image.open(out.with_suffix(".png")) as plot:
        assert plot.size == (900, 600)


def test_a_checkpoint_has_one_id_whoever_exports_it(photographs: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "mine.safetensors", tmp_path / "again.safetensors"
    train(settings(photographs, out, steps=2, validate_every=2, squared=0.3, colour=0.1, contrast=0.2))
    export_checkpoint.main([str(out.with_suffix(".best")), str(photographs), "-o", str(again)])
    assert named_id(again) == named_id(out)
    for path in (out, again):
        assert load_weights(path).distortion == DistortionWeights(squared=0.3, colour=0.1, contrast=0.2)


def test_training_lowers_the_loss(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    larger = ImageSettings(
        features=192, latents=192, hidden16=384, prior_width=32, prior_blocks=1, hyper_latents=8, anchors=3
    )
    monkeypatch.setitem(trainer.PRESETS, "fast", larger)
    out = tmp_path / "mine.safetensors"
    run = settings(
        photographs, out, steps=100, batch=4, validate_every=100, lr=1e-3, lr_linear=1e-4, warmup=10, ema=0.9
    )
    train(replace(run, preset="fast", tune="psnr", graphics=0.0))
    history = read_checkpoint(out.with_suffix(".checkpoint"), torch.device("cpu"))["history"]
    for name in ("train_loss", "validation_loss"):
        assert history[-1][name] < history[0][name]


def test_tuning_for_the_eye_raises_the_score_and_lowers_the_bits(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    larger = ImageSettings(features=96, latents=96, hidden16=192, prior_width=32, prior_blocks=1, anchors=3)
    monkeypatch.setitem(trainer.PRESETS, "fast", larger)
    monkeypatch.setitem(trainer.PRESETS, "eye", larger)
    start, out = tmp_path / "psnr.safetensors", tmp_path / "eye.safetensors"
    run = settings(
        photographs, start, steps=60, batch=4, validate_every=60, lr=1e-3, lr_linear=1e-4, warmup=10, ema=0.9,
        graphics=0.0,
    )  # fmt: skip
    train(replace(run, preset="fast", tune="psnr"))
    train(replace(run, out=str(out), init=str(start.with_suffix(".checkpoint"))))
    rows = read_checkpoint(out.with_suffix(".checkpoint"), torch.device("cpu"))["history"]
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert load_weights(out).tune == "eye" and load_weights(start).tune == "psnr"


class KilledError(Exception):
    """Stands for the machine going away."""


def test_an_interrupted_run_goes_on_bit_for_bit(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    train(settings(photographs, whole))
    draw, drawn = CropSampler.draw, 0

    def until_killed(self: CropSampler, count: int, size: int, generator: torch.Generator) -> torch.Tensor:
        nonlocal drawn
        drawn += 1
        if drawn > 6:
            raise KilledError
        return draw(self, count, size, generator)

    with monkeypatch.context() as patch:
        patch.setattr(CropSampler, "draw", until_killed)
        with pytest.raises(KilledError):
            train(settings(photographs, broken, save_every=0.0))
    checkpoint = broken.with_suffix(".checkpoint")
    assert 0 < read_checkpoint(checkpoint, torch.device("cpu"))["step"] < 8
    train(settings(photographs, broken, resume=str(checkpoint)))
    one, other = (read_checkpoint(p.with_suffix(".checkpoint"), torch.device("cpu")) for p in (whole, broken))
    for part in ("model", "average"):
        assert all(torch.equal(one[part][name], other[part][name]) for name in one[part])
    assert [row["validation_loss"] for row in one["history"]] == [row["validation_loss"] for row in other["history"]]
    assert Codec(whole).model.id == Codec(broken).model.id


def test_a_fresh_schedule_starts_from_a_moving_average(photographs: Path, tmp_path: Path) -> None:
    first, average = tmp_path / "first.safetensors", tmp_path / "average.safetensors"
    train(settings(photographs, first, steps=8, lr=1e-3, ema=0.5))
    checkpoint = first.with_suffix(".best")
    export_checkpoint.main([str(checkpoint), "--average", str(average)])
    losses = []
    for init in (str(checkpoint), str(average), "", str(first)):
        train(settings(photographs, tmp_path / "second.safetensors", steps=1, seed=2, init=init))
        state = read_checkpoint(tmp_path / "second.checkpoint", torch.device("cpu"))
        losses.append(state["history"][0]["validation_loss"])
    before = read_checkpoint(checkpoint, torch.device("cpu"))["history"]
    assert losses[0] == before[-1]["validation_loss"] != losses[2]
    assert losses[1] == pytest.approx(losses[0], rel=5e-3) != losses[2]
    assert losses[3] == pytest.approx(losses[0], rel=2e-2) != losses[2]


def test_steps_without_a_finite_gradient_are_skipped(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, calls = trainer.losses, 0

    def sometimes_infinite(*arguments: object, quantise: bool) -> trainer.Losses:
        nonlocal calls
        parts = right(*arguments, quantise=quantise)  # type: ignore[arg-type]
        calls += not quantise
        if not quantise and calls == 3:
            parts.loss = parts.loss * float("inf")
        return parts

    monkeypatch.setattr(trainer, "losses", sometimes_infinite)
    out = tmp_path / "mine.safetensors"
    train(settings(photographs, out))
    state = read_checkpoint(out.with_suffix(".checkpoint"), torch.device("cpu"))
    assert state["skipped"] == 1
    assert all(bool(torch.isfinite(value).all()) for value in state["model"].values())


def test_a_run_stops_by_the_clock(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    train(settings(photographs, out, steps=0, minutes=0.02, validate_every=1000))
    state = read_checkpoint(out.with_suffix(".checkpoint"), torch.device("cpu"))
    assert state["minutes"] >= 0.02
    assert state["step"] >= 1


def test_wrong_settings_are_refused(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    for wrong in ({"steps": 0}, {"minutes": 1.0}, {"crop": 100}, {"preset": "huge"}, {"crop": 512}):
        with pytest.raises(UsageError):
            train(settings(photographs, out, **wrong))
    with pytest.raises(UsageError, match="no pictures"):
        train(settings(tmp_path, out))
    with pytest.raises(UsageError, match="no such checkpoint"):
        train(settings(photographs, out, resume=str(tmp_path / "none.checkpoint")))
    with pytest.raises(SystemExit):
        trainer.main([str(photographs), "-o", str(out), "--stepz", "3"])


def plain_copy(tmp_path: Path) -> Path:
    """The source without weights and without the built core, and none of the packages that training must do without."""
    source, copy = Path(vaecodec.__file__).parent, tmp_path / "copy" / "vaecodec"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.so", "weights", "__pycache__"))
    for forbidden in ("constriction", "click", "tqdm", "scipy", "matplotlib"):
        (copy.parent / f"{forbidden}.py").write_text("raise ImportError('not here')\n")
    return copy.parent


def test_it_runs_in_two_processes_from_a_plain_copy_of_the_source(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "vaecodec.training.image", str(photographs), "-o", str(out),
         "--steps", "2", "--batch", "1", "--crop", "64", "--validation-pictures", "1", "--device", "cpu"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(plain_copy(tmp_path)), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read_checkpoint(out.with_suffix(".checkpoint"), torch.device("cpu"))["step"] == 2
    assert out.exists()


def test_processes_that_resume_draw_crops_of_their_own(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    train(settings(photographs, out, steps=3))
    state = read_checkpoint(out.with_suffix(".checkpoint"), torch.device("cpu"))
    expected = torch.rand(8, generator=torch.Generator().set_state(state["generator"]))
    drawn, noise = [], []
    for other in (None, 1001, 1002):
        generator = torch.Generator()
        trainer.resume_random_numbers(state, generator, torch.device("cpu"), other)
        drawn.append(torch.rand(8, generator=generator))
        noise.append(torch.rand(8))
    assert torch.equal(drawn[0], expected)
    for parts in (drawn, noise):
        assert not any(torch.equal(parts[i], parts[k]) for i, k in ((0, 1), (0, 2), (1, 2)))


def test_a_run_for_one_quality_sees_that_quality_alone(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, seen = trainer.losses, set()

    def watched(
        model: ImageModel, x: torch.Tensor, q: torch.Tensor, d: Distortion, *, quantise: bool
    ) -> trainer.Losses:
        seen.update(q.tolist())
        return right(model, x, q, d, quantise=quantise)

    monkeypatch.setattr(trainer, "losses", watched)
    out = tmp_path / "mine.safetensors"
    train(settings(photographs, out, quality=50))
    assert seen == {0.5}
    with out.with_suffix(".csv").open() as file:
        (row, *_) = csv.DictReader(file)
    assert "validation_psnr_q50" in row and "validation_psnr_q100" not in row
    with pytest.raises(UsageError, match="--quality"):
        train(settings(photographs, out, quality=101))


@pytest.mark.parametrize("finer", [{}, {"features4": 56, "synthesis_blocks4": 2, "hidden4": 24}], ids=["1/8", "1/4"])
def test_a_larger_model_starts_where_a_smaller_one_stands(
    finer: dict[str, int], photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small.safetensors"
    train(settings(photographs, small, steps=6, lr=1e-2))
    before = read_checkpoint(small.with_suffix(".checkpoint"), torch.device("cpu"))
    larger = replace(TINY, latents=24, hidden16=40, analysis_blocks8=2, **finer)
    average = before["average"]
    model = ImageModel(larger).eval()
    assert grow(model, average) == 8
    same = ImageModel(TINY).eval()
    same.load_state_dict(average)
    x = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    q = torch.tensor([0.2, 0.9])
    with torch.no_grad():
        one, other = same(x, q, quantise=True), model(x, q, quantise=True)
    # The new latents are always zero and say nothing: their few bits are those of a static model.
    torch.testing.assert_close(one.x_hat, other.x_hat, rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(one.bits_z, other.bits_z)
    monkeypatch.setitem(trainer.PRESETS, "eye", larger)
    train(settings(photographs, tmp_path / "large.safetensors", steps=1, init=str(small.with_suffix(".checkpoint"))))
    after = read_checkpoint(tmp_path / "large.checkpoint", torch.device("cpu"))["history"][0]
    # What the smaller model leaves out is what the new latents take.
    assert after["train_psnr_q100"] > before["history"][-1]["train_psnr_q100"]
    monkeypatch.setitem(trainer.PRESETS, "eye", replace(TINY, latents=12))
    with pytest.raises(UsageError, match="16 latents cannot grow to one of 12"):
        train(
            settings(photographs, tmp_path / "large.safetensors", steps=1, init=str(small.with_suffix(".checkpoint")))
        )


def test_tilt_draws_low_qualities_more_often(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, seen = trainer.losses, []

    def watched(
        model: ImageModel, x: torch.Tensor, q: torch.Tensor, d: Distortion, *, quantise: bool
    ) -> trainer.Losses:
        if not quantise:
            seen.append(q.clone())
        return right(model, x, q, d, quantise=quantise)

    monkeypatch.setattr(trainer, "losses", watched)
    for tilt in (1.0, 3.0):
        train(settings(photographs, tmp_path / "mine.safetensors", steps=2, tilt=tilt))
    torch.testing.assert_close(torch.stack(seen[2:]), torch.stack(seen[:2]) ** 3)
    with pytest.raises(UsageError, match="--tilt"):
        train(settings(photographs, tmp_path / "mine.safetensors", tilt=0))
