"""The trainer for a GPU, on a processor: its crops are parts of the pictures, and what it writes can be exported and gone on from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from bench.studies.train_on_gpu import Crops, colour_changes, main
from vaecodec.installed import WEIGHTS_FOLDER
from vaecodec.training.image import read_average

CPU = torch.device("cpu")


def symmetries(crop: np.ndarray) -> list[bytes]:
    """A crop, flipped and turned in all eight ways."""
    turned = [np.rot90(crop, k) for k in range(4)]
    return [one.tobytes() for both in turned for one in (both, both[:, ::-1])]


def test_a_crop_is_a_part_of_a_picture_flipped_or_turned() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (70, 66, 3), np.uint8)
    crops = Crops(64, CPU)
    crops.add(torch.from_numpy(picture))
    crops.finish()
    places = torch.from_numpy(crops.draw(40, 0.0, np.random.default_rng(2)))
    got = crops.at(places, torch.eye(3).repeat(40, 1, 1)).numpy().astype(np.uint8)
    parts = {
        one for top in range(7) for left in range(3) for one in symmetries(picture[top : top + 64, left : left + 64])
    }
    found = {crop.tobytes() for crop in got}
    assert found <= parts and len(found) > 20


def test_graphics_are_drawn_as_they_are() -> None:
    drawn = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), np.uint8)
    crops = Crops(64, CPU)
    crops.add(torch.zeros(64, 64, 3, dtype=torch.uint8))
    crops.add_graphics(drawn)
    crops.finish()
    got = crops.at(torch.from_numpy(crops.draw(9, 1.0, np.random.default_rng(2))), torch.eye(3).repeat(9, 1, 1))
    assert {crop.tobytes() for crop in got.numpy().astype(np.uint8)} == {crop.tobytes() for crop in drawn}


def test_colours_are_changed_in_a_share_of_the_crops_and_greys_stay_greys_where_channels_are_exchanged() -> None:
    matrices = colour_changes(2000, 0.1, np.random.default_rng(3))
    changed = np.abs(matrices - np.eye(3)).max((1, 2)) > 0
    # A sixth of the permutations changes nothing.
    assert 0.06 < changed.mean() < 0.13
    assert np.isfinite(matrices).all() and np.abs(matrices).max() < 4


@pytest.mark.filterwarnings("ignore")
def test_a_short_run_writes_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(2):
            samples = np.kron(rng.integers(0, 256, (10, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
            Image.fromarray(samples).save(tmp_path / name / f"{number}.png")
    out = tmp_path / "mine.checkpoint"
    weights = WEIGHTS_FOLDER / "eye.safetensors"
    options = ["--minutes", "0.02", "--batch", "2", "--crop", "64", "--drawn", "8", "--device", "cpu"]
    done = CliRunner().invoke(
        main, [str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(out), "--init", str(weights), *options]
    )
    assert done.exit_code == 0, done.output
    assert done.output.startswith("step 0 0.0 min: validation ")
    state, sizes = read_average(out)
    assert sizes is not None and sizes.analysis_blocks8 == 4
    before, _ = read_average(weights)
    moved = (state["g_s.patches.weight"] - before["g_s.patches.weight"]).abs().max()
    assert 0 < float(moved) < 0.1
