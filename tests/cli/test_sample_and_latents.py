"""``sample`` and ``latents``: sheets, arrays, lines between two items, a page about the latents; and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from blobs import blobs

from vaecodec.cli import main
from vaecodec.vae.arrays import ArrayCodec
from vaecodec.vae.export import export_vae
from vaecodec.vae.networks import VaeModel
from vaecodec.vae.plots import kl_bits, manifold, project, sheet, traversals
from vaecodec.vae.settings import VaeSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items with labels, and two models, random but for what export does."""
    folder = tmp_path_factory.mktemp("latents")
    items = blobs(60)
    np.save(folder / "items.npy", items)
    np.save(folder / "labels.npy", np.arange(60) % 7)
    for name, latents in (("plane", 2), ("four", 4)):
        torch.manual_seed(1)
        sizes = VaeSettings(12, 10, 1, widths=(24, 16), latents=latents)
        export_vae(VaeModel(sizes), torch.from_numpy(items), folder / f"{name}.safetensors", card={})
    return folder


def test_a_sheet_holds_every_item_where_it_belongs() -> None:
    items = blobs(5, 8, 6, 3)[:, :4]
    whole = sheet(items, 2, scale=2)
    assert whole.shape == (3 * (8 + 1) + 1, 2 * (12 + 1) + 1, 3)
    assert np.array_equal(whole[10:18:2, 14:26:2], items[3])
    assert (whole[19:27, 14:26] == 96).all()
    assert sheet(blobs(4, 8, 6, 2)).shape[2] == 1


def test_samples_are_a_sheet_or_an_array_and_follow_the_seed(folder: Path, tmp_path: Path) -> None:
    model = str(folder / "plane.safetensors")
    assert main(["sample", "--model", model, "-n", "9", "-o", str(tmp_path / "a.png")]) == 0
    assert main(["sample", "--model", model, "-n", "9", "-o", str(tmp_path / "a.npy"), "--seed", "3"]) == 0
    drawn = np.load(tmp_path / "a.npy")
    assert np.array_equal(drawn, ArrayCodec(model).sample(9, seed=3))
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image)[..., None], sheet(ArrayCodec(model).sample(9)))


def test_latents_go_out_and_come_back_as_items(folder: Path, tmp_path: Path) -> None:
    model, z = str(folder / "four.safetensors"), str(tmp_path / "z.npy")
    assert main(["latents", str(folder / "items.npy"), "--model", model, "-o", z]) == 0
    assert np.load(z).shape == (60, 4)
    assert main(["sample", "--model", model, "--latents", z, "-o", str(tmp_path / "b.npy")]) == 0
    codec = ArrayCodec(model)
    assert np.array_equal(np.load(tmp_path / "b.npy"), codec.decode(codec.encode(np.load(folder / "items.npy"))))
    line = ["sample", "--model", model, "--between", f"{folder / 'items.npy'}:3,5", "-n", "7", "-o"]
    assert main([*line, str(tmp_path / "c.npy")]) == 0
    assert np.array_equal(np.load(tmp_path / "c.npy"), codec.interpolate(np.load(folder / "items.npy")[[3, 5]], 7))


@pytest.mark.parametrize("name", ["plane", "four"])
def test_the_page_is_drawn_with_and_without_labels(folder: Path, tmp_path: Path, name: str) -> None:
    pages = []
    for options in ([], ["--labels", str(folder / "labels.npy")]):
        page = tmp_path / f"{len(options)}.png"
        command = [
            "latents",
            str(folder / "items.npy"),
            "--model",
            str(folder / f"{name}.safetensors"),
            "-o",
            str(page),
        ]
        assert main([*command, *options]) == 0
        with Image.open(page) as image:
            pages.append(np.asarray(image.convert("RGB")))
    assert pages[0].shape == pages[1].shape and pages[0].std() > 20
    # Ten colours in place of one.
    assert (pages[0] != pages[1]).any()


def test_what_the_page_shows_is_what_the_model_says(folder: Path) -> None:
    codec = ArrayCodec(folder / "plane.safetensors")
    grid = manifold(codec, side=4)
    assert np.array_equal(grid[5], codec.decode(np.array([[-0.31864, 0.31864]]))[0])
    rows = traversals(codec, np.zeros(2, np.float32), np.array([1]))
    assert np.array_equal(rows[0], codec.decode(np.array([[0.0, -2.5]]))[0])
    assert kl_bits(codec, blobs(60)).shape == (2,) and (kl_bits(codec, blobs(60)) > 0).all()
    points, _ = project(np.random.default_rng(1).normal(size=(50, 5)).astype(np.float32) * [1, 9, 1, 5, 1])
    assert np.allclose(points.std(axis=0), [9, 5], rtol=0.4)


def test_what_makes_no_sense_is_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items, model = str(folder / "items.npy"), str(folder / "plane.safetensors")
    np.save(tmp_path / "z.npy", np.zeros((2, 5)))
    for arguments, code, message in (
        (["sample", "--model", model, "-o", "a.jpg"], 2, "ends in .png or .npy"),
        (
            ["sample", "--model", model, "--latents", str(tmp_path / "z.npy"), "-o", "a.png"],
            2,
            "2 finite numbers an item",
        ),
        (["sample", "--model", model, "--between", "x", "-o", "a.png"], 2, "not a line such as"),
        (["sample", "--model", model, "--between", f"{items}:3,99", "-o", "a.png"], 2, "has 60 items"),
        (["sample", "--model", "none", "-o", "a.png"], 4, "no model of the VAE family is called 'none'"),
        (["sample", "--model", "psnr", "--between", f"{items}:1,2", "-o", "a.png"], 2, "for models of the VAE family"),
        (["latents", items, "--model", model, "-o", "a.gif"], 2, "ends in .png or .npy"),
        (["latents", items, "--model", model, "--labels", items, "-o", "a.png"], 3, "not one label for each"),
        (["latents", items, "--model", "psnr", "-o", "a.png"], 4, "psnr is for pictures, not for arrays"),
    ):
        assert main(arguments) == code, arguments
        printed = capsys.readouterr()
        assert message in printed.err and printed.err.count("\n") == 1, printed.err


def test_the_image_model_draws_pictures_from_its_prior(tmp_path: Path) -> None:
    out = tmp_path / "a.npy"
    assert main(["sample", "--model", "psnr", "-n", "1", "-o", str(out), "-q", "40"]) == 0
    pictures = np.load(out)
    assert pictures.shape == (1, 256, 256, 3) and pictures.std() > 5


def test_hyper_latents_of_the_image_model_are_traversed_through_the_mean(tmp_path: Path) -> None:
    out = tmp_path / "a.npy"
    assert main(["sample", "--model", "psnr", "--traverse", "2", "-o", str(out)]) == 0
    pictures = np.load(out).astype(int)
    assert pictures.shape == (18, 64, 64, 3)
    # In the middle of both rows everything is 0; at the ends it is not.
    assert (pictures[4] == pictures[13]).all()
    assert all((pictures[i] != pictures[4]).any() for i in (0, 8, 9, 17))
